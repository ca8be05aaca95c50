// Uses the access that a SMART Health Link carries, by code that is not ours: npm kill-the-clipboard reads the link
// and opens its file, the FHIR client of npm @medplum/core asks the server that the file names.
//
// In: {"link", "recipient", "query"}. Out: {"label", "contentType", "access", "pages", "observations", "subject",
// "refused": how the library's own resolver, which knows no such file, ends}.

import { readFileSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { createInflateRaw } from 'node:zlib';
import { MedplumClient } from '@medplum/core';
import { SHLViewer, decryptSHLFile } from 'kill-the-clipboard';

try {
  new DecompressionStream('deflate-raw');
} catch {
  globalThis.DecompressionStream = class {
    constructor() {
      return Duplex.toWeb(createInflateRaw());
    }
  };
}

const { link, recipient, query } = JSON.parse(readFileSync(0, 'utf8'));
const viewer = new SHLViewer({ shlinkURI: link });
const { url, key, label } = viewer.shl;
let refused = null;
try {
  await viewer.resolveSHL({ recipient });
} catch (error) {
  refused = error.name;
}
const answer = await fetch(url, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ recipient }),
});
const [file] = (await answer.json()).files;
const opened = await decryptSHLFile({ jwe: file.embedded ?? (await (await fetch(file.location)).text()), key });
const access = JSON.parse(opened.content);

const base = new URL(access.aud);
const client = new MedplumClient({ baseUrl: `${base.origin}/`, fhirUrlPath: base.pathname.slice(1), fetch, accessToken: access.access_token });
client.setAccessToken(access.access_token);
const pages = [];
const asked = { patient: access.patient, ...query };
for await (const page of client.searchResourcePages('Observation', asked)) pages.push(page);
const observations = pages.flat().filter(({ resourceType }) => resourceType === 'Observation');
const subject = await client.readReference(observations[0].subject);
process.stdout.write(
  JSON.stringify({
    label,
    contentType: opened.contentType,
    access,
    pages: pages.length,
    observations: observations.map(({ id }) => id),
    subject: subject.id,
    refused,
  }),
);
