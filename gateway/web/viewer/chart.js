// The curve: a drawing that pointer, touch and keyboard read out. Sensor readings are a line that breaks at
// holes; finger-stick readings are marks, whose shape says low, in target or high.

import { el, svg } from "./dom.js";
import { date, t } from "./language.js";
import { dateOf, dayOf, lengthOf, midnight } from "./period.js";
import { milligrams, rangeOf, runs } from "./statistics.js";
import { SYMBOLS, amount, doubtName, doubtful, mealName, standing, writtenInFull } from "./units.js";

const MARGIN = { top: 14, right: 12, bottom: 34, left: 46 };
const THRESHOLDS = [54, 70, 180, 250];
const FLOOR = 40;
const HOUR = 3_600_000;

// The drawing on an A4 page, in CSS pixels: browsers tell nobody the width they print at.
const PAPER = { width: 700, height: 120 };

let charts = 0;
const views = new WeakMap();

function redrawAll(size) {
  for (const figure of document.querySelectorAll(".chart")) if (views.has(figure)) redraw(views.get(figure), size);
}

addEventListener("beforeprint", () => redrawAll(() => PAPER));
addEventListener("afterprint", () => redrawAll(onScreen));

/** A chart of readings of one kind within a period. Redraws itself when its width changes. */
export function chart(readings, { kind, period, unit, title }) {
  const id = `chart-${(charts += 1)}`;
  const drawing = svg("svg", { "aria-hidden": "true" });
  const readout = el("div", { class: "readout", hidden: true });
  const figure = el(
    "div",
    {
      class: `chart ${kind}`,
      role: "slider",
      tabindex: 0,
      "aria-label": title,
      "aria-valuemin": 1,
      "aria-valuemax": readings.length,
      "aria-valuenow": readings.length,
      "aria-valuetext": spoken(readings.at(-1), unit),
    },
    drawing,
    readout,
  );
  const view = { id, readings, kind, period, unit, figure, drawing, readout, chosen: null, plane: null };
  views.set(figure, view);
  new ResizeObserver(() => redraw(view, matchMedia("print").matches ? () => PAPER : onScreen)).observe(figure);
  listen(view);
  return figure;
}

function onScreen(figure) {
  const width = Math.round(figure.clientWidth);
  return { width, height: width < 560 ? 280 : 340 };
}

function redraw(view, size) {
  const { width, height } = size(view.figure);
  if (!width || view.plane?.width === width) return;
  view.plane = planeOf(view, width, height);
  view.drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  view.cursor = svg("g", { class: "cursor", visibility: "hidden" });
  view.drawing.replaceChildren(
    ...ground(view),
    ...timeAxis(view),
    ...thresholds(view),
    ...(view.kind === "sensor" ? curve(view) : marks(view)),
    view.cursor,
  );
  if (view.chosen !== null) show(view, view.chosen);
}

/** Where times and values lie on the drawing. */
function planeOf({ readings, period }, width, height) {
  const start = midnight(period.first, readings[0].offset);
  const end = midnight(period.last + 1, readings.at(-1).offset);
  const highest = readings.reduce((most, reading) => Math.max(most, milligrams(reading) ?? 0), 0);
  const ceiling = Math.max(270, Math.ceil((highest + 10) / 10) * 10);
  const right = width - MARGIN.right;
  const bottom = height - MARGIN.bottom;
  const x = (time) => MARGIN.left + ((time - start) / (end - start)) * (right - MARGIN.left);
  const y = (value) =>
    bottom - ((Math.min(Math.max(value, FLOOR), ceiling) - FLOOR) / (ceiling - FLOOR)) * (bottom - MARGIN.top);
  return { width, height, start, end, ceiling, right, bottom, x, y, perDay: (right - MARGIN.left) / lengthOf(period) };
}

function place({ plane }, reading) {
  const value = reading.beyond ? (reading.beyond === "low" ? FLOOR : plane.ceiling) : milligrams(reading);
  return [round(plane.x(reading.time)), round(plane.y(value))];
}

const round = (length) => Math.round(length * 10) / 10;

function ground({ plane, id }) {
  const { right, bottom, y } = plane;
  const wide = right - MARGIN.left;
  const strip = (from, to) => ({ x: MARGIN.left - 6, width: wide + 12, y: round(from), height: round(to - from) });
  const clip = (name, from, to) => svg("clipPath", { id: `${id}-${name}` }, svg("rect", strip(from, to)));
  return [
    svg(
      "defs",
      {},
      clip("high", 0, y(180)),
      clip("target", y(180), y(70)),
      clip("low", y(70), bottom + MARGIN.bottom),
    ),
    svg("rect", { class: "band", x: MARGIN.left, width: wide, y: y(180), height: y(70) - y(180) }),
  ];
}

function thresholds({ plane, unit }) {
  const { right, y, ceiling } = plane;
  const lines = THRESHOLDS.map((value) =>
    svg("line", { class: `threshold at-${value}`, x1: MARGIN.left, x2: right, y1: y(value), y2: y(value) }),
  );
  const apart = (value, other) => Math.abs(y(value) - y(other)) >= 13;
  const labelled = [...THRESHOLDS, ceiling].filter((value) => apart(value, 70) || value === 70);
  const labels = labelled.filter((value) => value !== ceiling || apart(value, 250)).map((value) =>
    svg(
      "text",
      { class: `amount at-${value}`, x: MARGIN.left - 8, y: y(value), "text-anchor": "end", dy: "0.35em" },
      amount(value, unit),
    ),
  );
  return [...lines, ...labels];
}

function timeAxis(view) {
  const { plane, period } = view;
  const days = lengthOf(period);
  if (days === 1) return hours(view);
  const ticks = days > 62 ? months(view) : daysOf(view);
  return ticks
    .flatMap(({ at, label, x, anchor = "middle", line }) => [
      line && svg("line", { class: "day", x1: round(at), x2: round(at), y1: MARGIN.top, y2: plane.bottom }),
      label && svg("text", { class: "date", x: round(x), y: plane.bottom + 21, "text-anchor": anchor }, label),
    ])
    .filter(Boolean);
}

function hours({ plane, readings, period }) {
  const offset = readings[0].offset;
  const step = plane.width < 560 ? 6 : 3;
  const ticks = [];
  for (let hour = 0; hour <= 24; hour += step) {
    const at = round(plane.x(midnight(period.first, offset) + hour * HOUR));
    const label = date(new Date(hour * HOUR), { hour: "2-digit", minute: "2-digit" });
    ticks.push(
      svg("line", { class: "day", x1: at, x2: at, y1: MARGIN.top, y2: plane.bottom }),
      svg("text", { class: "date", x: at, y: plane.bottom + 21, "text-anchor": anchorOf(hour, 24) }, label),
    );
  }
  return ticks;
}

const anchorOf = (position, end) => (position === 0 ? "start" : position === end ? "end" : "middle");

/** Days, named in their middle; where they are narrow, every second, every week… */
function daysOf({ plane, readings, period }) {
  const { perDay } = plane;
  const every = [1, 2, 3, 7, 14, 28].find((count) => count * perDay >= 58) ?? 28;
  const style = perDay >= 92 ? { weekday: "short", day: "numeric", month: "short" } : { day: "numeric", month: "short" };
  const ticks = [];
  let index = 0;
  for (let day = period.first; day <= period.last; day += 1) {
    while (index < readings.length - 1 && dayOf(readings[index]) < day) index += 1;
    const at = plane.x(midnight(day, readings[index].offset));
    const named = (day - period.first) % every === 0;
    const place = every === 1 ? { x: at + perDay / 2 } : { x: at + 2, anchor: "start" };
    const fits = every === 1 || at + 48 < plane.right;
    ticks.push({ at, ...place, line: every < 7 || named, label: named && fits ? date(dateOf(day), style) : null });
  }
  return ticks;
}

function months({ plane, readings, period }) {
  const { perDay } = plane;
  const every = [1, 2, 3, 6, 12].find((count) => count * 30 * perDay >= 84) ?? 12;
  const ticks = [];
  for (let day = period.first; day <= period.last; day += 1) {
    const when = dateOf(day);
    if (when.getUTCDate() !== 1) continue;
    const at = plane.x(midnight(day, readings[0].offset));
    const named = when.getUTCMonth() % every === 0 && at > MARGIN.left + 24 && at < plane.right - 24;
    ticks.push({
      at,
      x: at,
      line: named,
      label: named ? date(when, { month: "short", year: "numeric" }) : null,
    });
  }
  return ticks;
}

function curve(view) {
  const { plane, readings, id } = view;
  const parts = surely(readings).map((run) => run.map((reading) => place(view, reading)));
  const line = parts.map((points) => `M${points.join("L")}${points.length === 1 ? "h0.1" : ""}`).join("");
  const within = (name) => `url(#${id}-${name})`;
  const beyond = (value) =>
    parts.map((points) => `M${points[0][0]},${plane.y(value)}L${points.join("L")}V${plane.y(value)}Z`).join("");
  return [
    svg("path", { class: "excess low", d: beyond(70), "clip-path": within("low") }),
    svg("path", { class: "excess high", d: beyond(180), "clip-path": within("high") }),
    ...["low", "target", "high"].map((name) =>
      svg("path", { class: `line ${name}`, d: line, "clip-path": within(name) }),
    ),
    ...readings.filter((reading) => reading.beyond || doubtful(reading)).map((reading) => mark(view, reading)),
  ];
}

/** The stretches of a line: it stops where a time is doubtful, as where there is no reading. */
function surely(readings) {
  const parts = [[]];
  for (const reading of readings) {
    if (doubtful(reading)) parts.push([]);
    else parts.at(-1).push(reading);
  }
  return parts.flatMap(runs);
}

function marks(view) {
  return view.readings.map((reading) => mark(view, reading));
}

/** What a measurement is drawn as, by its range. */
export const SHAPES = {
  veryLow: "M-6,-5H6L0,6Z",
  low: "M-5,-4H5L0,5Z",
  target: "M-4.2,0A4.2,4.2 0 1 1 4.2,0A4.2,4.2 0 1 1 -4.2,0Z",
  high: "M-5,4H5L0,-5Z",
  veryHigh: "M-6,5H6L0,-6Z",
};

function mark(view, reading) {
  const [x, y] = place(view, reading);
  const range = rangeOf(reading);
  const sure = doubtful(reading) ? " doubtful" : "";
  const shape = svg("path", { class: `mark ${range}${sure}`, d: SHAPES[range], transform: `translate(${x},${y})` });
  if (!reading.beyond) return shape;
  const label = reading.beyond === "low" ? "LO" : "HI";
  const dy = reading.beyond === "low" ? -10 : 20;
  return svg("g", {}, shape, svg("text", { class: "beyond", x, y: y + dy, "text-anchor": "middle" }, label));
}

// Reading out.

function listen(view) {
  const { figure } = view;
  const point = (event) => {
    if (!view.plane) return;
    const left = event.clientX - figure.getBoundingClientRect().left;
    const { start, end, right } = view.plane;
    const time = start + ((left - MARGIN.left) / (right - MARGIN.left)) * (end - start);
    show(view, nearest(view.readings, time));
  };
  figure.addEventListener("pointermove", point);
  figure.addEventListener("pointerdown", point);
  figure.addEventListener("pointerleave", ({ pointerType }) => {
    if (pointerType === "mouse" && document.activeElement !== figure) hide(view);
  });
  figure.addEventListener("focus", () => view.chosen === null && show(view, view.readings.length - 1));
  figure.addEventListener("blur", () => hide(view));
  figure.addEventListener("keydown", (event) => {
    const next = stepped(view, event.key);
    if (next === null) return;
    event.preventDefault();
    if (next === "none") hide(view);
    else show(view, next);
  });
}

/** The reading a key leads to: arrows to the neighbour, page keys by a day, Home and End to the ends. */
function stepped({ readings, chosen }, key) {
  const last = readings.length - 1;
  const from = chosen ?? last;
  const keys = {
    ArrowLeft: () => from - 1,
    ArrowDown: () => from - 1,
    ArrowRight: () => from + 1,
    ArrowUp: () => from + 1,
    PageDown: () => nearest(readings, readings[from].time - 24 * HOUR),
    PageUp: () => nearest(readings, readings[from].time + 24 * HOUR),
    Home: () => 0,
    End: () => last,
  };
  if (key === "Escape") return "none";
  return keys[key] ? Math.min(Math.max(keys[key](), 0), last) : null;
}

function nearest(readings, time) {
  let [low, high] = [0, readings.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (readings[middle].time < time) low = middle + 1;
    else high = middle;
  }
  const before = readings[low - 1];
  return before && time - before.time < readings[low].time - time ? low - 1 : low;
}

function show(view, index) {
  const { figure, readings, unit, readout, cursor, plane } = view;
  view.chosen = index;
  const reading = readings[index];
  figure.setAttribute("aria-valuenow", index + 1);
  figure.setAttribute("aria-valuetext", spoken(reading, unit));
  if (!plane) return;
  const [x, y] = place(view, reading);
  const range = rangeOf(reading);
  cursor.setAttribute("visibility", "visible");
  cursor.replaceChildren(
    svg("line", { x1: x, x2: x, y1: MARGIN.top, y2: plane.bottom }),
    svg("circle", { class: range, cx: x, cy: y, r: 5.5 }),
  );
  const beside = [doubtName(reading), mealName(reading.meal), reading.note].filter(Boolean);
  readout.replaceChildren(
    el("strong", {}, writtenInFull(reading, unit)),
    el("span", { class: range }, el("span", { class: "symbol" }, SYMBOLS[range]), standing(reading)),
    el("span", { class: "when" }, moment(reading)),
    ...beside.map((text) => el("span", { class: "when" }, text)),
  );
  readout.hidden = false;
  const half = readout.offsetWidth / 2;
  readout.style.left = `${Math.min(Math.max(x - half, 0), plane.width - 2 * half)}px`;
  const above = y - readout.offsetHeight - 16;
  readout.style.top = `${above > 0 ? above : Math.min(y + 18, plane.bottom - readout.offsetHeight)}px`;
}

function hide(view) {
  view.chosen = null;
  view.readout.hidden = true;
  view.cursor?.setAttribute("visibility", "hidden");
}

/** When a reading was, on the person's clock. */
export function moment(reading) {
  const when = new Date(reading.time + reading.offset * 60_000);
  const day = date(when, { weekday: "short", day: "numeric", month: "short", year: "numeric" });
  return t("{day}, {time}", { day, time: date(when, { hour: "2-digit", minute: "2-digit" }) });
}

function spoken(reading, unit) {
  const parts = [writtenInFull(reading, unit), standing(reading), moment(reading), doubtName(reading), mealName(reading.meal), reading.note];
  return parts.filter(Boolean).join(", ");
}
