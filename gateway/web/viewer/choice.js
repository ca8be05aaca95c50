// The choice of a period, and how a period and its clock are told.

import { el } from "./dom.js";
import { date, dates, t, tn } from "./language.js";
import { LENGTHS, dateOf, extent, latest, lengthOf, shifted } from "./period.js";

/** A period in words. */
export function spanOf({ first, last }) {
  const whole = { day: "numeric", month: "long", year: "numeric" };
  if (first === last) return date(dateOf(first), { weekday: "long", ...whole });
  return dates(dateOf(first), dateOf(last), whole);
}

/** Buttons for how long the period is, and to move it; `show` takes the one that is chosen. */
export function periodChoice(all, period, show) {
  const whole = extent(all);
  const total = lengthOf(whole);
  if (total === 1) return [];
  const length = lengthOf(period);
  const option = (days, text) =>
    el("button", { type: "button", "aria-pressed": String(length === days), onclick: () => show(around(period, days, whole)) }, text);
  const step = (text, label, steps, there) =>
    el("button", { type: "button", "aria-label": label, title: label, disabled: !there, onclick: () => show(shifted(period, steps, whole)) }, text);
  return [
    el(
      "div",
      { class: "segmented", role: "group", "aria-label": t("Period") },
      ...LENGTHS.filter((days) => days < total).map((days) => option(days, tn("{n} day", "{n} days", days))),
      option(total, t("All")),
    ),
    el(
      "div",
      { class: "segmented", role: "group", "aria-label": t("Move the period") },
      step("←", t("Earlier"), -1, period.first > whole.first),
      step("→", t("Later"), 1, period.last < whole.last),
    ),
  ];
}

/** So many days that end where the period ends. */
function around(period, days, whole) {
  if (days >= lengthOf(whole)) return whole;
  const last = Math.max(Math.min(period.last, whole.last), whole.first + days - 1);
  return latest({ first: whole.first, last }, days);
}

/** The clock that the times are on, told once. */
export function zones(readings) {
  const offsets = [...new Set(readings.map((reading) => reading.offset))].map((minutes) => {
    const [sign, size] = [minutes < 0 ? "−" : "+", Math.abs(minutes)];
    const two = (part) => String(part).padStart(2, "0");
    return `UTC${sign}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  });
  return t("Times are those of the person’s own clock ({zone}).", { zone: offsets.join(", ") });
}
