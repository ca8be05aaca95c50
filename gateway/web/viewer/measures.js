// Measurements that are no glucose: blood pressure, weight, temperature, oximetry, pulse, ketones. Pure.
//
// A measure: {kind, time, offset, value, unit, beside, beyond, excluded, device, note}
//   value   the number of its kind in `unit` (of a blood pressure: the upper one), or null
//   beside  further numbers by name: {diastolic, mean, pulse, …}, in the unit of the first where they share it

const DAY = 86_400_000;
const MINUTE = 60_000;

/** 1 mmHg = 133.322 Pa (SI brochure, 9th edition, table 8). */
const MMHG_PER_KPA = 7.50062;

/** Kinds in the order of their sections. */
export const MEASURES = ["ketone", "blood-pressure", "weight", "body-composition", "temperature", "oxygen", "pulse"];

const CODES = new Map([
  ["66441-7", "ketone"],
  ["ketone", "ketone"],
  ["85354-9", "blood-pressure"],
  ["29463-7", "weight"],
  ["41982-0", "body-composition"],
  ["8310-5", "temperature"],
  ["2708-6", "oxygen"],
  ["59408-5", "oxygen"],
  ["8867-4", "pulse"],
]);

const BESIDE = new Map([
  ["8480-6", "systolic"],
  ["8462-4", "diastolic"],
  ["8478-0", "mean"],
  ["8867-4", "pulse"],
  ["39156-5", "bmi"],
]);

/** The kind of an Observation's codes, or null for none of these. */
export function measureKind(codes) {
  return codes.map((code) => CODES.get(code)).find(Boolean) ?? null;
}

/** The numbers of an Observation of a kind: {value, unit, beside}; null where its first number is not there. */
export function numbersOf(kind, { valueQuantity, component = [] }) {
  const beside = {};
  for (const { code, valueQuantity: quantity } of component) {
    const name = code?.coding?.map((coding) => BESIDE.get(coding.code)).find(Boolean);
    if (name && typeof quantity?.value === "number") beside[name] = { value: quantity.value, unit: quantity.code ?? quantity.unit };
  }
  const first = kind === "blood-pressure" ? beside.systolic : valueQuantity && { value: valueQuantity.value, unit: valueQuantity.code ?? valueQuantity.unit };
  if (typeof first?.value !== "number") return null;
  const pressure = (number) => (number === undefined ? undefined : number.unit === "kPa" ? number.value * MMHG_PER_KPA : number.value);
  if (kind !== "blood-pressure") return { value: first.value, unit: first.unit, beside: plain(beside) };
  return {
    value: pressure(beside.systolic),
    unit: "mm[Hg]",
    beside: { diastolic: pressure(beside.diastolic), mean: pressure(beside.mean), pulse: beside.pulse?.value },
  };
}

const plain = (beside) => Object.fromEntries(Object.entries(beside).map(([name, { value }]) => [name, value]));

/** Three measurements in the morning and the evening of three days, and what their mean stands against (HAS 2016). */
export const RULE_OF_THREE = { days: 3, expected: 18, systolic: 135, diastolic: 85 };

/**
 * The last three days in a row that have blood pressures: {first, last, n, systolic, diastolic, above}, days counted
 * from 1970 on the person's clock; null where there are none.
 */
export function homePressure(measures) {
  const days = new Map();
  for (const measure of measures) {
    if (measure.value === null || measure.beside.diastolic === undefined) continue;
    const day = Math.floor((measure.time + measure.offset * MINUTE) / DAY);
    days.set(day, [...(days.get(day) ?? []), measure]);
  }
  for (const last of [...days.keys()].sort((a, b) => b - a)) {
    const of = [last, last - 1, last - 2].map((day) => days.get(day));
    if (of.includes(undefined)) continue;
    const found = of.flat();
    const mean = (number) => found.reduce((sum, measure) => sum + number(measure), 0) / found.length;
    const [systolic, diastolic] = [mean(({ value }) => value), mean(({ beside }) => beside.diastolic)];
    const above = systolic >= RULE_OF_THREE.systolic || diastolic >= RULE_OF_THREE.diastolic;
    return { first: last - 2, last, n: found.length, systolic, diastolic, above };
  }
  return null;
}

/** A number in the unit that the newest measure was written in, so that one line holds them all. */
export function inUnit(measure, unit) {
  if (measure.value === null || measure.unit === unit) return measure.value;
  const conversions = {
    "kg [lb_av]": (value) => value / 0.45359237,
    "[lb_av] kg": (value) => value * 0.45359237,
    "Cel [degF]": (value) => value * 1.8 + 32,
    "[degF] Cel": (value) => (value - 32) / 1.8,
  };
  return conversions[`${measure.unit} ${unit}`]?.(measure.value) ?? null;
}
