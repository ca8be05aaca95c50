// Glucose as the reader writes it.

import { current, number, t } from "./language.js";
import { MG_PER_MMOL, rangeOf } from "./statistics.js";

export const UNITS = {
  "g/L": { perMilligram: 0.01, decimals: 2, step: 0.01 },
  "mg/dL": { perMilligram: 1, decimals: 0, step: 1 },
  "mmol/L": { perMilligram: 1 / MG_PER_MMOL, decimals: 1, step: 0.1 },
};

/** The unit to begin with: g/L in French; else the one the devices wrote. */
export function usual(readings) {
  if (current() === "fr") return "g/L";
  const molar = readings.filter((reading) => reading.unit === "mmol/L").length;
  return molar * 2 > readings.length ? "mmol/L" : "mg/dL";
}

/** A number of mg/dL in a unit, without its name; an en dash for none. */
export function amount(milligrams, unit) {
  if (milligrams === null) return "–";
  const { perMilligram, decimals } = UNITS[unit];
  return number(milligrams * perMilligram, decimals);
}

/** A reading's value in a unit, without its name. What the device wrote in that unit is shown as written. */
export function written(reading, unit) {
  if (reading.beyond) return reading.beyond === "low" ? "LO" : "HI";
  const own = reading.unit === "mmol/L" ? reading.value * MG_PER_MMOL : reading.value;
  return amount(own, unit);
}

/** The same with the unit's name. */
export function writtenInFull(reading, unit) {
  return reading.beyond ? written(reading, unit) : `${written(reading, unit)} ${unit}`;
}

/** The bounds of each range in a unit: "0,70–1,80". */
export function bounds(unit) {
  const { perMilligram, decimals, step } = UNITS[unit];
  const at = (milligrams) => Number((milligrams * perMilligram).toFixed(decimals));
  const show = (value) => number(value, decimals);
  return {
    veryLow: `< ${show(at(54))}`,
    low: `${show(at(54))}–${show(at(70) - step)}`,
    target: `${show(at(70))}–${show(at(180))}`,
    high: `${show(at(180) + step)}–${show(at(250))}`,
    veryHigh: `> ${show(at(250))}`,
  };
}

/** What stands for a range beside its colour. */
export const SYMBOLS = { veryLow: "▼▼", low: "▼", target: "●", high: "▲", veryHigh: "▲▲" };

/** What a meter noted of a meal, by its number in the Bluetooth glucose profile; null for none. */
export function mealName(meal) {
  const names = {
    1: t("Before a meal"),
    2: t("After a meal"),
    3: t("Fasting"),
    4: t("Outside a meal"),
    5: t("At bedtime"),
  };
  return names[meal] ?? null;
}

/** What a device is called; the names that Passerelle gives where a device has none are translated. */
export function deviceName({ device }) {
  const given = {
    "Imported file": t("Imported file"),
    "generic file": t("Imported file"),
    "Personal health device": t("Personal health device"),
  };
  return given[device] ?? device;
}

/** Whether only the order of a reading among the others is sure: it is drawn as doubtful, and in no curve. */
export const doubtful = ({ known }) => known === "ordered";

/** What is said of a time that is not simply the device's; null for one that is. */
export function doubtName({ known }) {
  const names = {
    "device-corrected": t("time corrected"),
    ordered: t("time uncertain"),
    unknown: t("time unknown"),
    person: t("time as the person said"),
  };
  return names[known] ?? null;
}

/** The name of a range. */
export function rangeName(range) {
  const names = {
    veryLow: t("Very low"),
    low: t("Low"),
    target: t("In target"),
    high: t("High"),
    veryHigh: t("Very high"),
  };
  return names[range];
}

/** What a reading is called where it stands: its range, or what it is when the device gave no number. */
export function standing(reading) {
  if (reading.beyond === "low") return t("LO: below what the device can measure");
  if (reading.beyond === "high") return t("HI: above what the device can measure");
  return rangeName(rangeOf(reading));
}
