// What the page counts. Pure: readings in, numbers out; no document, no language, no clock.
//
// A reading: {kind, time, offset, value, unit, beyond, excluded}
//   kind     "sensor" | "finger-stick" | "control"
//   time     milliseconds since 1970, UTC;  offset  minutes of the person's clock against UTC
//   value    number in `unit`, or null;     unit    "mg/dL" | "mmol/L", as the device wrote it
//   beyond   "low" (LO) | "high" (HI) | null

/** mg/dL in one mmol/L of glucose. */
export const MG_PER_MMOL = 18.0182;

const MINUTE = 60_000;
const DAY = 86_400_000;

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

/** Minutes between readings of a sensor: the median step, in whole minutes, at least one; 5 below two readings. */
export function interval(readings) {
  if (readings.length < 2) return 5;
  const times = readings.map(({ time }) => time).sort((a, b) => a - b);
  const steps = times.slice(1).map((time, index) => time - times[index]).sort((a, b) => a - b);
  const middle = steps.length >> 1;
  const median = steps.length % 2 ? steps[middle] : (steps[middle - 1] + steps[middle]) / 2;
  return Math.max(1, Math.round(median / MINUTE));
}

/** Hours of sensor data: each reading stands for the sensor's interval. */
export function hoursOfData(readings) {
  return (readings.length * interval(readings)) / 60;
}

/** Percent of the readings that the sensor would give in so many minutes (Battelino 2019). */
export function completeness(readings, minutes) {
  return Math.min(100, (100 * readings.length * interval(readings)) / minutes);
}

/** Below this completeness a sensor's numbers are too few for a glucose management indicator or a profile. */
export const SUFFICIENT = 70;

/** Glucose management indicator in percent, from a mean in mg/dL (Bergenstal et al. 2018, Diabetes Care 41:2275). */
export function managementIndicator(mean) {
  return 3.31 + 0.02392 * mean;
}

/** What an episode lies beyond, by name: a test of one reading, in the unit its device wrote. */
const BEYOND = {
  lt70: (range) => range === "low" || range === "veryLow",
  lt54: (range) => range === "veryLow",
  gt180: (range) => range === "high" || range === "veryHigh",
  gt250: (range) => range === "veryHigh",
};

/**
 * Episodes by name, each {start, end, minutes}: from the first reading of fifteen minutes beyond a limit to the
 * end of the last one's interval, before fifteen minutes in a row that are back; a hole of more than 45 minutes
 * ends one too (Danne 2017; Battelino 2023). `readings` are in order of time; minutes are readings × interval.
 */
export function episodes(readings) {
  const minutes = interval(readings);
  const needed = Math.max(1, Math.ceil(15 / minutes));
  const parts = runs(readings).map((run) => run.map((reading) => ({ time: reading.time, range: rangeOf(reading) })));
  return Object.fromEntries(
    Object.entries(BEYOND).map(([name, isOut]) => [
      name,
      parts.flatMap((run) =>
        stretches(run.map(({ range }) => isOut(range)), needed).map(([first, last]) => ({
          start: run[first].time,
          end: run[last].time + minutes * MINUTE,
          minutes: (last - first + 1) * minutes,
        })),
      ),
    ]),
  );
}

/** First and last index of each episode in a run without a hole. */
function stretches(out, needed) {
  const found = [];
  let [first, last, run, back] = [null, 0, 0, 0];
  out.forEach((isOut, index) => {
    [run, back] = isOut ? [run + 1, 0] : [0, back + 1];
    if (first === null && run >= needed) first = index - run + 1;
    if (first === null) return;
    if (isOut) last = index;
    else if (back >= needed) {
      found.push([first, last]);
      first = null;
    }
  });
  if (first !== null) found.push([first, last]);
  return found;
}

/** Minutes of one block of the profile, and the percentiles it shows. */
export const BLOCK_MINUTES = 15;
export const PERCENTS = [5, 25, 50, 75, 95];

/**
 * The glucose profile: blocks of the person's own day that have readings, each {minute, n, values}, values in
 * mg/dL by PERCENTS, linearly interpolated. LO ranks below every value, HI above: a percentile there is null.
 */
export function profile(readings) {
  const blocks = new Map();
  for (const reading of readings) {
    const local = reading.time + reading.offset * MINUTE;
    const block = Math.floor((((local % DAY) + DAY) % DAY) / (BLOCK_MINUTES * MINUTE));
    if (!blocks.has(block)) blocks.set(block, []);
    blocks.get(block).push(ranked(reading));
  }
  return [...blocks]
    .sort(([a], [b]) => a - b)
    .map(([block, values]) => ({ minute: block * BLOCK_MINUTES, n: values.length, values: percentiles(values) }));
}

function ranked(reading) {
  if (reading.beyond) return reading.beyond === "low" ? -Infinity : Infinity;
  return milligrams(reading);
}

function percentiles(values) {
  values.sort((a, b) => a - b);
  return PERCENTS.map((percent) => {
    const place = (percent / 100) * (values.length - 1);
    const below = Math.floor(place);
    const [low, high, share] = [values[below], values[Math.ceil(place)], place - below];
    const value = share === 0 ? low : low + (high - low) * share;
    return Number.isFinite(value) ? value : null;
  });
}

/** Runs of readings without a hole of more than GAP_MINUTES, for lines. `readings` are in order of time. */
export function runs(readings) {
  const found = [];
  for (const reading of readings) {
    const run = found.at(-1);
    if (run && reading.time - run.at(-1).time <= GAP_MINUTES * MINUTE) run.push(reading);
    else found.push([reading]);
  }
  return found;
}
