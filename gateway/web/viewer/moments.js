// The moments of a day that finger-stick measurements are sorted into. Pure; the same as gateway/reports/logbook.py.

import { milligrams } from "./statistics.js";

/** The moments in the order of the day, with the hour each begins where the meter noted no meal. */
export const MOMENTS = [
  ["night", 0],
  ["before-breakfast", 5],
  ["after-breakfast", 9],
  ["before-lunch", 11],
  ["after-lunch", 13],
  ["before-dinner", 17],
  ["after-dinner", 20],
  ["bedtime", 22],
];

/** Below this a median of a moment says less than the points. */
export const ENOUGH_FOR_A_MEDIAN = 5;

const [BEFORE, AFTER, FASTING, BEDTIME] = [1, 2, 3, 5];
/** From when on a mark of a meal means one of the three meals of this day. */
const MORNING = 4;

/** The moment of a reading: the meter's mark decides, else the hour on the person's clock. */
export function momentOf(reading) {
  const hour = new Date(reading.time + reading.offset * 60_000).getUTCHours();
  const { meal } = reading;
  if (meal === FASTING) return "before-breakfast";
  if (meal === BEDTIME) return "bedtime";
  if ((meal === BEFORE || meal === AFTER) && hour >= MORNING) return aroundMeal(hour, meal === AFTER);
  return MOMENTS.findLast(([, begins]) => hour >= begins)[0];
}

function aroundMeal(hour, after) {
  const [lunch, dinner] = after ? [12, 18] : [10, 16];
  const meal = hour < lunch ? "breakfast" : hour < dinner ? "lunch" : "dinner";
  return `${after ? "after" : "before"}-${meal}`;
}

/** For each moment {moment, readings, median}: the median in mg/dL, null below five or where it falls on LO or HI. */
export function moments(readings) {
  const found = new Map(MOMENTS.map(([moment]) => [moment, []]));
  for (const reading of readings) found.get(momentOf(reading)).push(reading);
  return [...found].map(([moment, of]) => ({ moment, readings: of, median: median(of) }));
}

function median(readings) {
  if (readings.length < ENOUGH_FOR_A_MEDIAN) return null;
  const rank = (reading) => (reading.beyond ? (reading.beyond === "low" ? -Infinity : Infinity) : milligrams(reading));
  const values = readings.map(rank).sort((a, b) => a - b);
  const middle = (values[(values.length - 1) >> 1] + values[values.length >> 1]) / 2;
  return Number.isFinite(middle) ? middle : null;
}
