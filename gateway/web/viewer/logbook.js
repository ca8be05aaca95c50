// Finger-stick measurements over the moments of a day: all days in one, and the logbook, a row a day.

import { SHAPES } from "./chart.js";
import { el, svg } from "./dom.js";
import { date, number, t, tn } from "./language.js";
import { ENOUGH_FOR_A_MEDIAN, MOMENTS, momentOf, moments } from "./moments.js";
import { dateOf, dayOf } from "./period.js";
import { milligrams, rangeOf } from "./statistics.js";
import { SYMBOLS, amount, rangeName, standing, written } from "./units.js";

const HEIGHT = 250;
/** The width on an A4 page, in CSS pixels: browsers tell nobody the width they print at. */
const PAPER = 700;
const MARGIN = { top: 14, right: 14, bottom: 28, left: 46 };
const THRESHOLDS = [54, 70, 180, 250];
const FLOOR = 40;

/** Rows of the logbook that are shown at once; the days before wait behind a disclosure. */
const AT_ONCE = 14;

function nameOf(moment) {
  const names = {
    night: t("Night"),
    "before-breakfast": t("Before breakfast"),
    "after-breakfast": t("After breakfast"),
    "before-lunch": t("Before lunch"),
    "after-lunch": t("After lunch"),
    "before-dinner": t("Before dinner"),
    "after-dinner": t("After dinner"),
    bedtime: t("At bedtime"),
  };
  return names[moment];
}

/** All days in one: a mark for each measurement at its time of day, the median of each moment from five on. */
export function modalDay(readings, unit) {
  const found = moments(readings);
  const place = el("div", { class: "chart" });
  let drawn = 0;
  const draw = (width) => {
    if (!width || width === drawn) return;
    drawn = width;
    place.replaceChildren(drawing(readings, found, unit, width));
  };
  new ResizeObserver(() => draw(matchMedia("print").matches ? PAPER : Math.round(place.clientWidth))).observe(place);
  return el(
    "figure",
    { class: "modal" },
    el("figcaption", {}, t("All days in one, by time of day")),
    place,
    el("p", { class: "fine" }, t("A bar is the middle value of its moment, from {n} measurements on.", { n: number(ENOUGH_FOR_A_MEDIAN) })),
    byMoment(found, unit),
  );
}

function drawing(readings, found, unit, width) {
  const highest = readings.reduce((most, reading) => Math.max(most, milligrams(reading) ?? 0), 0);
  const ceiling = Math.max(270, highest + 15);
  const [right, bottom] = [width - MARGIN.right, HEIGHT - MARGIN.bottom];
  const x = (hour) => round(MARGIN.left + (hour / 24) * (right - MARGIN.left));
  const y = (value) => round(bottom - ((Math.min(Math.max(value, FLOOR), ceiling) - FLOOR) / (ceiling - FLOOR)) * (bottom - MARGIN.top));
  const hourOf = (reading) => (((reading.time / 60_000 + reading.offset) % 1440) + 1440) % 1440 / 60;
  const at = (reading) => (reading.beyond ? (reading.beyond === "low" ? FLOOR : ceiling) : milligrams(reading));
  const ends = MOMENTS.map((_, index) => MOMENTS[index + 1]?.[1] ?? 24);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" },
    svg("rect", { class: "band", x: MARGIN.left, width: right - MARGIN.left, y: y(180), height: y(70) - y(180) }),
    ...(width < 560 ? [0, 6, 12, 18, 24] : [0, 3, 6, 9, 12, 15, 18, 21, 24]).flatMap((hour) => [
      svg("line", { class: "day", x1: x(hour), x2: x(hour), y1: MARGIN.top, y2: bottom }),
      svg("text", { class: "date", x: x(hour), y: bottom + 19, "text-anchor": hour === 24 ? "end" : hour ? "middle" : "start" }, clock(hour)),
    ]),
    ...THRESHOLDS.map((value) => svg("line", { class: `threshold at-${value}`, x1: MARGIN.left, x2: right, y1: y(value), y2: y(value) })),
    ...THRESHOLDS.filter((value) => value !== 54).map((value) =>
      svg("text", { class: `amount at-${value}`, x: MARGIN.left - 8, y: y(value), "text-anchor": "end", dy: "0.35em" }, amount(value, unit)),
    ),
    ...readings.map((reading) => svg("path", { class: `mark ${rangeOf(reading)}`, d: SHAPES[rangeOf(reading)], transform: `translate(${x(hourOf(reading))},${y(at(reading))})` })),
    ...found.flatMap(({ median }, index) =>
      median === null ? [] : [svg("line", { class: "middle", x1: x(MOMENTS[index][1]) + 3, x2: x(ends[index]) - 3, y1: y(median), y2: y(median) })],
    ),
  );
}

const round = (length) => Math.round(length * 10) / 10;
const clock = (hour) => date(new Date(hour * 3_600_000), { hour: "2-digit", minute: "2-digit" });

function byMoment(found, unit) {
  const of = (readings, ranges) => readings.filter((reading) => ranges.includes(rangeOf(reading))).length;
  const head = [t("Moment"), t("Measurements"), t("Middle value ({unit})", { unit }), t("Low"), t("High")];
  return el(
    "details",
    { class: "table" },
    el("summary", {}, t("The moments in a table")),
    scrolled(
      t("The moments in a table"),
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
        el(
          "tbody",
          {},
          ...found.map(({ moment, readings, median }) =>
            el(
              "tr",
              {},
              el("th", { scope: "row" }, nameOf(moment)),
              el("td", {}, number(readings.length)),
              el("td", {}, amount(median, unit)),
              el("td", {}, number(of(readings, ["veryLow", "low"]))),
              el("td", {}, number(of(readings, ["high", "veryHigh"]))),
            ),
          ),
        ),
      ),
    ),
  );
}

/** The logbook: a row a day, the newest first, a column for each moment of it. */
export function logbook(readings, unit) {
  const days = new Map();
  for (const reading of readings) {
    const day = dayOf(reading);
    if (!days.has(day)) days.set(day, []);
    days.get(day).push(reading);
  }
  const rows = [...days].sort(([a], [b]) => b - a).map(([day, of]) => row(day, of, unit));
  const before = rows.slice(AT_ONCE);
  return el(
    "figure",
    { class: "logbook" },
    el("figcaption", {}, t("Logbook, in {unit}", { unit })),
    scrolled(t("Logbook, in {unit}", { unit }), sheet(rows.slice(0, AT_ONCE))),
    el("p", { class: "fine" }, t("The meter’s own meal mark decides the column; where it noted none, the time of day does.")),
    before.length
      ? el(
          "details",
          { class: "table" },
          el("summary", {}, tn("{n} day before", "{n} days before", before.length)),
          scrolled(t("Logbook, the days before"), sheet(before)),
        )
      : null,
  );
}

/** A wide table that scrolls by itself, by keyboard too. */
const scrolled = (label, table) => el("div", { class: "rows", role: "region", tabindex: 0, "aria-label": label }, table);

function sheet(rows) {
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("Day")), ...MOMENTS.map(([moment]) => el("th", { scope: "col" }, nameOf(moment))))),
    el("tbody", {}, ...rows),
  );
}

function row(day, readings, unit) {
  const cells = new Map(MOMENTS.map(([moment]) => [moment, []]));
  for (const reading of readings) cells.get(momentOf(reading)).push(reading);
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, date(dateOf(day), { weekday: "short", day: "2-digit", month: "2-digit" })),
    ...[...cells.values()].map((of) => el("td", {}, ...of.map((reading) => entry(reading, unit)))),
  );
}

function entry(reading, unit) {
  const range = rangeOf(reading);
  const when = date(new Date(reading.time + reading.offset * 60_000), { hour: "2-digit", minute: "2-digit" });
  return el(
    "span",
    { class: "entry", title: [when, standing(reading), reading.note].filter(Boolean).join(" · ") },
    el("span", { class: `symbol ${range}`, "aria-hidden": "true" }, range === "target" ? "" : SYMBOLS[range]),
    el("strong", {}, written(reading, unit)),
    range === "target" ? null : el("span", { class: "unseen" }, ` ${rangeName(range)}`),
    el("span", { class: "at" }, when),
  );
}
