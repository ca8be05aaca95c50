// From a FHIR collection Bundle (R4) to readings. Pure. What it does not know it leaves aside, and says how many.

import { measureKind, numbersOf } from "./measures.js";

/** What codes of glucose mean, by kind of method. Control solutions are recognised so as never to be counted. */
const KINDS = new Map([
  ["99504-3", "sensor"],
  ["105272-9", "sensor"],
  ["41653-7", "finger-stick"],
  ["14743-9", "finger-stick"],
  ["2339-0", "finger-stick"],
  ["15074-8", "finger-stick"],
  ["2345-7", "finger-stick"],
  ["14749-6", "finger-stick"],
  ["control-solution", "control"],
]);
const EXCLUDED = "urn:passerelle:excluded";
const MEAL = "urn:passerelle:meal";
const TIME_SOURCE = "urn:passerelle:time-source";
const UNITS = new Set(["mg/dL", "mmol/L"]);
const ABSENT_LOW = new Set(["negative-infinity"]);
const ABSENT_HIGH = new Set(["positive-infinity"]);
const OFFSET = /(?:Z|([+-])(\d\d):(\d\d))$/;

/** A file that is no Bundle of readings. */
export class NotReadable extends Error {}

/**
 * {patient, readings, measures, undated, others, madeAt} of a Bundle given as text: readings of glucose and
 * measures of other kinds in order of time, `undated` the readings of glucose that have none, `others` the number
 * of observations that are neither. Throws NotReadable.
 */
export function read(text) {
  const bundle = parsed(text);
  const resources = bundle.entry?.map((entry) => entry?.resource).filter(Boolean) ?? [];
  const patient = resources.find((resource) => resource.resourceType === "Patient");
  const devices = new Map();
  for (const entry of bundle.entry ?? []) {
    if (entry?.resource?.resourceType !== "Device") continue;
    for (const name of [entry.fullUrl, `Device/${entry.resource.id}`]) devices.set(name, deviceName(entry.resource));
  }
  const observations = resources.filter((resource) => resource.resourceType === "Observation");
  const readings = observations.map((observation) => reading(observation, devices)).filter(Boolean);
  const measures = observations.map((observation) => measure(observation, devices)).filter(Boolean);
  const undated = readings.filter((reading) => reading.time === null);
  const timed = readings.filter((reading) => reading.time !== null);
  for (const found of [timed, measures]) found.sort((a, b) => a.time - b.time);
  return {
    patient: patient ? patientName(patient) : null,
    readings: timed,
    measures,
    undated,
    others: observations.length - readings.length - measures.length,
    madeAt: bundle.timestamp ? Date.parse(bundle.timestamp) : null,
  };
}

function parsed(text) {
  let bundle;
  try {
    bundle = JSON.parse(text);
  } catch {
    throw new NotReadable("not JSON");
  }
  if (bundle?.resourceType !== "Bundle") throw new NotReadable("not a Bundle");
  return bundle;
}

function reading(observation, devices) {
  const kind = kindOf(observation);
  const when = observation.effectiveDateTime;
  const time = when === undefined ? null : Date.parse(when);
  if (!kind || Number.isNaN(time)) return null;
  const quantity = observation.valueQuantity;
  const unit = [quantity?.code ?? quantity?.unit].find((name) => UNITS.has(name));
  const beyond = beyondRange(observation);
  if (!beyond && (typeof quantity?.value !== "number" || !unit)) return null;
  return {
    kind,
    time,
    offset: time === null ? 0 : offsetMinutes(when),
    known: timeSource(observation),
    value: beyond ? null : quantity.value,
    unit: unit ?? "mg/dL",
    beyond,
    excluded: isExcluded(observation),
    meal: mealOf(observation),
    device: observation.device?.display ?? devices.get(observation.device?.reference) ?? null,
    note: observation.note?.map((note) => note.text).join(" ") || null,
  };
}

function measure(observation, devices) {
  const kind = measureKind(codesOf(observation));
  const when = observation.effectiveDateTime;
  const time = Date.parse(when);
  if (!kind || Number.isNaN(time)) return null;
  const beyond = kind === "blood-pressure" ? null : beyondRange(observation);
  const numbers = numbersOf(kind, observation);
  if (!beyond && !numbers) return null;
  return {
    ...(numbers ?? { value: null, unit: null, beside: {} }),
    kind,
    time,
    offset: offsetMinutes(when),
    known: timeSource(observation),
    beyond,
    excluded: isExcluded(observation),
    device: observation.device?.display ?? devices.get(observation.device?.reference) ?? null,
    note: observation.note?.map((note) => note.text).join(" ") || null,
  };
}

/** How the time is known: device, device-corrected, ordered (only the order is sure), unknown, person. */
function timeSource({ _effectiveDateTime: time }) {
  return time?.extension?.find(({ url }) => url === TIME_SOURCE)?.valueCode ?? "device";
}

const codesOf = ({ code }) => code?.coding?.map((coding) => coding.code) ?? [];

function kindOf(observation) {
  return codesOf(observation).map((code) => KINDS.get(code)).find(Boolean) ?? null;
}

function isExcluded({ status, extension = [] }) {
  if (status === "entered-in-error" || status === "cancelled") return true;
  return extension.some(({ url, valueBoolean }) => url === EXCLUDED && valueBoolean === true);
}

/** The meal a meter noted, by its number in the Bluetooth glucose profile (1 before, 2 after, 3 fasting…). */
function mealOf({ component = [] }) {
  const codings = component.flatMap((part) => part.valueCodeableConcept?.coding ?? []);
  const coding = codings.find(({ system }) => system === MEAL);
  return coding ? Number(coding.code) : null;
}

function beyondRange(observation) {
  const reasons = observation.dataAbsentReason?.coding?.map((coding) => coding.code) ?? [];
  if (reasons.some((code) => ABSENT_LOW.has(code))) return "low";
  if (reasons.some((code) => ABSENT_HIGH.has(code))) return "high";
  if (observation.valueQuantity?.value !== undefined) return null;
  const marks = observation.interpretation?.flatMap((concept) => concept.coding ?? []).map((coding) => coding.code);
  if (marks?.some((code) => code === "<" || code === "LL")) return "low";
  return marks?.some((code) => code === ">" || code === "HH") ? "high" : null;
}

function offsetMinutes(when) {
  const [, sign, hours, minutes] = OFFSET.exec(when) ?? [];
  if (!sign) return 0;
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

function patientName(patient) {
  const name = patient.name?.[0];
  return name?.text ?? ([...(name?.given ?? []), name?.family].filter(Boolean).join(" ") || null);
}

function deviceName(device) {
  const named = device.deviceName?.[0]?.name;
  return [device.manufacturer, named ?? device.modelNumber].filter(Boolean).join(" ") || null;
}
