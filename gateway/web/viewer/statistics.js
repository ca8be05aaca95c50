// What the page counts. Pure: readings in, numbers out; no document, no language, no clock.
//
// A reading: {kind, time, offset, value, unit, beyond, excluded}
//   kind     "sensor" | "finger-stick" | "control" | "ketone"
//   time     milliseconds since 1970, UTC;  offset  minutes of the person's clock against UTC
//   value    number in `unit`, or null;     unit    "mg/dL" | "mmol/L", as the device wrote it
//   beyond   "low" (LO) | "high" (HI) | null

/** mg/dL in one mmol/L of glucose. */
export const MG_PER_MMOL = 18.0182;

/** A hole longer than this ends a line (Danne et al. 2017, Diabetes Care 40:1631). */
export const GAP_MINUTES = 45;

/** Ranges from low to high, each with its upper limit; a limit belongs to the range named (Battelino 2019). */
export const RANGES = ["veryLow", "low", "target", "high", "veryHigh"];
const LIMITS = {
  "mg/dL": { veryLow: 54, low: 70, target: 180, high: 250 },
  "mmol/L": { veryLow: 3.0, low: 3.9, target: 10.0, high: 13.9 },
};

/** The thresholds between ranges, in a unit. */
export function limits(unit) {
  return LIMITS[unit];
}

/** The range of a reading, in the unit its device wrote; null where it has no value. LO and HI are extremes. */
export function rangeOf(reading) {
  if (reading.beyond) return reading.beyond === "low" ? "veryLow" : "veryHigh";
  if (reading.value === null) return null;
  const { veryLow, low, target, high } = LIMITS[reading.unit];
  const value = reading.value;
  if (value < veryLow) return "veryLow";
  if (value < low) return "low";
  if (value <= target) return "target";
  return value <= high ? "high" : "veryHigh";
}

/** The value in mg/dL, whatever the device wrote; null where it has none. */
export function milligrams(reading) {
  if (reading.value === null) return null;
  return reading.unit === "mmol/L" ? reading.value * MG_PER_MMOL : reading.value;
}

/** Readings of one kind that count: control solutions and what the person set aside never do. */
export function counted(readings, kind) {
  return readings.filter((reading) => reading.kind === kind && !reading.excluded && rangeOf(reading) !== null);
}

/**
 * The numbers of readings of one kind: n (with LO and HI), mean, sd (n − 1), cv in percent, lowest and highest
 * in mg/dL (null without values), how many were LO and HI, and how many fell in each range.
 */
export function summary(readings) {
  const values = [];
  const ranges = { veryLow: 0, low: 0, target: 0, high: 0, veryHigh: 0 };
  let [lo, hi] = [0, 0];
  for (const reading of readings) {
    ranges[rangeOf(reading)] += 1;
    if (reading.beyond === "low") lo += 1;
    else if (reading.beyond === "high") hi += 1;
    else values.push(milligrams(reading));
  }
  const mean = values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const sd = values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null;
  return {
    n: readings.length,
    mean,
    sd,
    cv: sd === null ? null : (100 * sd) / mean,
    lowest: values.length ? values.reduce((least, value) => Math.min(least, value)) : null,
    highest: values.length ? values.reduce((most, value) => Math.max(most, value)) : null,
    lo,
    hi,
    ranges,
  };
}

/** Whole percentages that sum to 100 (largest remainder), in the order of RANGES; zeros for nothing. */
export function percentages(ranges) {
  const total = RANGES.reduce((sum, range) => sum + ranges[range], 0);
  if (!total) return RANGES.map(() => 0);
  const exact = RANGES.map((range) => (100 * ranges[range]) / total);
  const whole = exact.map(Math.floor);
  const missing = 100 - whole.reduce((sum, percent) => sum + percent, 0);
  const byRemainder = exact.map((percent, index) => [percent - whole[index], index]).sort((a, b) => b[0] - a[0]);
  for (const [, index] of byRemainder.slice(0, missing)) whole[index] += 1;
  return whole;
}

/** Minutes between readings of a sensor: the most frequent step, in whole minutes; null below two readings. */
export function interval(readings) {
  const steps = new Map();
  for (let index = 1; index < readings.length; index += 1) {
    const minutes = Math.round((readings[index].time - readings[index - 1].time) / 60_000);
    if (minutes > 0) steps.set(minutes, (steps.get(minutes) ?? 0) + 1);
  }
  let [usual, most] = [null, 0];
  for (const [minutes, times] of steps) if (times > most) [usual, most] = [minutes, times];
  return usual;
}

/** Hours of sensor data: each reading stands for the sensor's interval. */
export function hoursOfData(readings) {
  return (readings.length * (interval(readings) ?? 0)) / 60;
}

/** Runs of readings without a hole of more than GAP_MINUTES, for lines. `readings` are in order of time. */
export function runs(readings) {
  const found = [];
  for (const reading of readings) {
    const run = found.at(-1);
    if (run && reading.time - run.at(-1).time <= GAP_MINUTES * 60_000) run.push(reading);
    else found.push([reading]);
  }
  return found;
}
