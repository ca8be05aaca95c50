// A strip for each day: its curve from midnight to midnight, and the episodes of that day marked and counted.

import { el, svg } from "./dom.js";
import { date, number, t, tn } from "./language.js";
import { dateOf, dayOf, midnight } from "./period.js";
import { episodes, milligrams, percentages, runs, summary } from "./statistics.js";
import { amount } from "./units.js";

const WIDTH = 150;
const HEIGHT = 72;
const FLOOR = 40;
const DAY = 86_400_000;

/** Days that are shown at once; more of them wait behind a disclosure. */
const AT_ONCE = 14;

let strips = 0;

/** The strips of all days that have readings, in a unit; nothing for a single day, whose curve is there. */
export function dayStrips(readings, unit, choose) {
  const days = new Map();
  for (const reading of readings) {
    const day = dayOf(reading);
    if (!days.has(day)) days.set(day, []);
    days.get(day).push(reading);
  }
  if (days.size < 2) return null;
  const highest = readings.reduce((most, reading) => Math.max(most, milligrams(reading) ?? 0), 0);
  const ceiling = Math.max(270, highest + 10);
  const all = [...days].map(([day, of]) => strip(day, of, unit, ceiling, choose));
  const recent = all.slice(-AT_ONCE);
  const before = all.slice(0, -AT_ONCE);
  return el(
    "figure",
    { class: "days" },
    el("figcaption", {}, t("Day by day; choose one to see it large")),
    el("div", { class: "strips" }, ...recent),
    before.length
      ? el(
          "details",
          { class: "table" },
          el("summary", {}, tn("{n} day before", "{n} days before", before.length)),
          el("div", { class: "strips" }, ...before),
        )
      : null,
  );
}

function strip(day, readings, unit, ceiling, choose) {
  const found = episodes(readings);
  const numbers = summary(readings);
  const target = percentages(numbers.ranges)[2];
  const name = date(dateOf(day), { weekday: "short", day: "numeric", month: "short" });
  const low = found.lt70.length;
  const high = found.gt180.length;
  return el(
    "button",
    { type: "button", class: "strip", onclick: () => choose(day) },
    el("span", { class: "name" }, name),
    drawing(day, readings, found, ceiling),
    el(
      "span",
      { class: "facts" },
      el("span", {}, numbers.mean === null ? "–" : `${amount(numbers.mean, unit)} ${unit}`),
      el("span", {}, t("{n} % in target", { n: number(target) })),
    ),
    el(
      "span",
      { class: "facts" },
      el("span", { class: "low" }, el("span", { class: "symbol", "aria-hidden": "true" }, "▼"), tn("{n} low", "{n} low", low)),
      el("span", { class: "high" }, el("span", { class: "symbol", "aria-hidden": "true" }, "▲"), tn("{n} high", "{n} high", high)),
    ),
  );
}

function drawing(day, readings, found, ceiling) {
  const start = midnight(day, readings[0].offset);
  const x = (time) => round(((time - start) / DAY) * WIDTH);
  const y = (value) => round(HEIGHT - 6 - ((Math.min(Math.max(value, FLOOR), ceiling) - FLOOR) / (ceiling - FLOOR)) * (HEIGHT - 12));
  const at = (reading) => [
    x(reading.time),
    y(reading.beyond ? (reading.beyond === "low" ? FLOOR : ceiling) : milligrams(reading)),
  ];
  const line = runs(readings)
    .map((run) => `M${run.map(at).join("L")}${run.length === 1 ? "h0.1" : ""}`)
    .join("");
  const id = `strip-${(strips += 1)}`;
  const clip = (name, from, to) =>
    svg("clipPath", { id: `${id}-${name}` }, svg("rect", { x: -2, width: WIDTH + 4, y: from, height: Math.max(to - from, 0) }));
  const marked = (of, row, name) =>
    of.map(({ start: begin, end }) =>
      svg("rect", { class: `episode ${name}`, x: x(begin), width: Math.max(x(end) - x(begin), 2), y: row, height: 3 }),
    );
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
    svg("defs", {}, clip("high", 0, y(180)), clip("target", y(180), y(70)), clip("low", y(70), HEIGHT)),
    svg("rect", { class: "band", x: 0, width: WIDTH, y: y(180), height: y(70) - y(180) }),
    ...["low", "target", "high"].map((part) =>
      svg("path", { class: `line ${part}`, d: line, "clip-path": `url(#${id}-${part})` }),
    ),
    ...marked(found.gt180, 0, "high"),
    ...marked(found.lt70, HEIGHT - 3, "low"),
  );
}

const round = (length) => Math.round(length * 10) / 10;
