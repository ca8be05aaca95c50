// Days and periods on the person's own clock. Pure. A day is a whole number: days since 1970-01-01 there.

const DAY = 86_400_000;

/** The choices a reader has, in days. */
export const LENGTHS = [1, 7, 14, 30, 90];

/** Below this number of finger-stick readings, an opening period is widened. */
const ENOUGH_POINTS = 30;

/** The day of a reading on the person's clock. */
export function dayOf(reading) {
  return Math.floor((reading.time + reading.offset * 60_000) / DAY);
}

/** Midnight that begins a day, as milliseconds UTC, where the clock is `offset` minutes from UTC. */
export function midnight(day, offset) {
  return day * DAY - offset * 60_000;
}

/** A day as a Date whose UTC fields are the person's. */
export function dateOf(day) {
  return new Date(day * DAY);
}

/** The first and the last day that hold readings: {first, last}, both included. */
export function extent(readings) {
  let [first, last] = [Infinity, -Infinity];
  for (const reading of readings) {
    const day = dayOf(reading);
    first = Math.min(first, day);
    last = Math.max(last, day);
  }
  return { first, last };
}

/** The readings of a period, both its days included. */
export function within(readings, period) {
  return readings.filter((reading) => {
    const day = dayOf(reading);
    return day >= period.first && day <= period.last;
  });
}

/** The last `days` days that there are; all of them where there are fewer. */
export function latest(whole, days) {
  return { first: Math.max(whole.first, whole.last - days + 1), last: whole.last };
}

/** The period to open on: the last 14 days of a sensor; of a meter, as many as hold enough points to read. */
export function opening(readings, kind) {
  const whole = extent(readings);
  if (kind === "sensor") return latest(whole, 14);
  for (const days of [14, 30, 90]) {
    const period = latest(whole, days);
    if (within(readings, period).length >= ENOUGH_POINTS) return period;
  }
  return whole;
}

/** The number of days of a period. */
export function lengthOf(period) {
  return period.last - period.first + 1;
}

/** The same length, `steps` lengths earlier (negative) or later, kept inside the days there are. */
export function shifted(period, steps, whole) {
  const length = lengthOf(period);
  const first = Math.min(Math.max(period.first + steps * length, whole.first), whole.last - length + 1);
  return { first: Math.max(first, whole.first), last: Math.min(first + length - 1, whole.last) };
}
