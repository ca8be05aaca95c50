// A section for each kind of measure that is no glucose: the last value, what it did over the period, a drawing, a
// table of all.

import { moment } from "./chart.js";
import { periodChoice, spanOf, zones } from "./choice.js";
import { el, svg } from "./dom.js";
import { date, number, t, tn } from "./language.js";
import { MEASURES, RULE_OF_THREE, homePressure, inUnit } from "./measures.js";
import { dateOf, lengthOf, midnight, opening, within } from "./period.js";
import { deviceName, doubtName, doubtful } from "./units.js";

const HEIGHT = 200;
/** The size on an A4 page, in CSS pixels. */
const PAPER = 700;
const MARGIN = { top: 14, right: 14, bottom: 28, left: 46 };

const DECIMALS = { weight: 1, temperature: 1, "body-composition": 1, ketone: 1 };

// The period of each kind, as the reader left it, while the page stands.
const periods = new WeakMap();

function nameOf(kind) {
  const names = {
    ketone: t("Ketones"),
    "blood-pressure": t("Blood pressure"),
    weight: t("Body weight"),
    "body-composition": t("Body fat"),
    temperature: t("Body temperature"),
    oxygen: t("Oxygen saturation"),
    pulse: t("Heart rate"),
  };
  return names[kind];
}

const UNIT_NAMES = { "mm[Hg]": "mmHg", Cel: "°C", "[degF]": "°F", "[lb_av]": "lb", "/min": "/min" };
const unitName = (unit) => UNIT_NAMES[unit] ?? unit;

/** The sections of a share's measures; none for a share without. */
export function vitals(share) {
  const kept = periods.get(share) ?? {};
  periods.set(share, kept);
  return MEASURES.flatMap((kind) => {
    const all = share.measures.filter((measure) => measure.kind === kind && !measure.excluded);
    return all.length ? [section(kind, all, kept)] : [];
  });
}

function section(kind, all, kept) {
  const place = el("section", { class: `card readings measures ${kind}` });
  const show = (period) => {
    kept[kind] = period;
    const held = place.contains(document.activeElement) ? document.activeElement.textContent : null;
    place.replaceChildren(...content(kind, all, period, show));
    if (held) [...place.querySelectorAll("button")].find((button) => button.textContent === held)?.focus();
  };
  show(kept[kind] ?? opening(all, kind));
  return place;
}

function content(kind, all, period, show) {
  const measures = within(all, period);
  const unit = all.findLast((measure) => measure.unit)?.unit ?? "";
  const devices = [...new Set(measures.map(deviceName).filter(Boolean))].join(", ");
  const title = `${nameOf(kind)}, ${spanOf(period)}`;
  return [
    el(
      "header",
      {},
      el(
        "div",
        {},
        el("h2", {}, nameOf(kind)),
        el(
          "p",
          { class: "muted" },
          el("span", {}, spanOf(period)),
          el("span", {}, tn("{n} day", "{n} days", lengthOf(period))),
          devices ? el("span", {}, devices) : null,
        ),
      ),
      el("div", { class: "period" }, ...periodChoice(all, period, show)),
    ),
    ...(measures.length ? filled(kind, measures, period, unit, title) : [el("p", { class: "empty" }, t("No reading in these days."))]),
  ];
}

function filled(kind, measures, period, unit, title) {
  return [
    tiles(kind, measures, unit),
    kind === "blood-pressure" ? ruleOfThree(measures) : null,
    measures.length > 1 ? drawing(kind, measures, period, unit) : null,
    el("p", { class: "fine" }, [keyOf(kind), zones(measures)].filter(Boolean).join(" ")),
    table(kind, measures, unit, title),
  ].filter(Boolean);
}

const keyOf = (kind) =>
  kind === "blood-pressure" ? t("Each line is one measurement, from the lower to the upper pressure; dashed: 135 and 85 mmHg.") : null;

/** A measure in words without its unit: 128/82, 72,4, LO. */
function written(kind, measure, unit) {
  if (measure.beyond) return measure.beyond === "low" ? "LO" : "HI";
  const value = number(inUnit(measure, unit) ?? measure.value, DECIMALS[kind] ?? 0);
  if (kind !== "blood-pressure") return value;
  const lower = measure.beside.diastolic;
  return `${value}/${lower === undefined ? "–" : number(lower)}`;
}

function tiles(kind, measures, unit) {
  const last = measures.at(-1);
  const values = measures.map((measure) => inUnit(measure, unit)).filter((value) => value !== null);
  const decimals = DECIMALS[kind] ?? 0;
  const change = values.length > 1 ? values.at(-1) - values[0] : null;
  return el(
    "dl",
    { class: "tiles" },
    tile(t("Last"), written(kind, last, unit), unitName(unit), moment(last)),
    kind === "blood-pressure" && last.beside.pulse !== undefined ? tile(t("Pulse"), number(last.beside.pulse), "/min") : null,
    kind !== "blood-pressure" && values.length > 1
      ? tile(t("Lowest – highest"), `${number(Math.min(...values), decimals)}–${number(Math.max(...values), decimals)}`, unitName(unit))
      : null,
    kind === "weight" && change !== null ? tile(t("Change in these days"), signed(change, decimals), unitName(unit)) : null,
    tile(t("Measurements"), number(measures.length), ""),
  );
}

const signed = (value, decimals) => `${value < 0 ? "−" : "+"}${number(Math.abs(value), decimals)}`;

function tile(name, value, unit, detail) {
  return el(
    "div",
    {},
    el("dt", {}, name),
    el("dd", {}, el("span", { class: "number" }, value), " ", el("span", { class: "unit" }, unit)),
    detail ? el("dd", { class: "detail" }, detail) : null,
  );
}

function ruleOfThree(measures) {
  const found = homePressure(measures);
  if (!found)
    return el("p", { class: "hint" }, t("A home blood pressure needs three days in a row: three measurements in the morning and three in the evening."));
  const { first, last, n, systolic, diastolic, above } = found;
  const days = spanOf({ first, last });
  return el(
    "p",
    { class: `hint rule ${above ? "above" : "below"}` },
    el("span", { class: "symbol", "aria-hidden": "true" }, above ? "▲" : "●"),
    el("strong", {}, t("Home blood pressure: {systolic}/{diastolic} mmHg", { systolic: number(systolic), diastolic: number(diastolic) })),
    el("span", {}, t("the mean of {n} of {expected} measurements, {days}", { n: number(n), expected: number(RULE_OF_THREE.expected), days })),
    el("span", {}, above ? t("135/85 or more: above the limit for home measurements") : t("below 135/85, the limit for home measurements")),
  );
}

// The drawing.

function drawing(kind, measures, period, unit) {
  const place = el("div", { class: "chart plain" });
  let drawn = 0;
  const draw = (width) => {
    if (!width || width === drawn) return;
    drawn = width;
    place.replaceChildren(plane(kind, measures, period, unit, width));
  };
  new ResizeObserver(() => draw(matchMedia("print").matches ? PAPER : Math.round(place.clientWidth))).observe(place);
  return place;
}

function plane(kind, measures, period, unit, width) {
  const start = midnight(period.first, measures[0].offset);
  const end = midnight(period.last + 1, measures.at(-1).offset);
  const pressure = kind === "blood-pressure";
  const shown = measures.filter((measure) => measure.value !== null);
  const values = shown.flatMap((measure) => [inUnit(measure, unit), pressure ? measure.beside.diastolic : null]).filter(Number.isFinite);
  const limits = pressure ? [RULE_OF_THREE.systolic, RULE_OF_THREE.diastolic] : [];
  const [low, high] = around([...values, ...limits]);
  const [right, bottom] = [width - MARGIN.right, HEIGHT - MARGIN.bottom];
  const x = (time) => round(MARGIN.left + ((time - start) / (end - start)) * (right - MARGIN.left));
  const y = (value) => round(bottom - ((value - low) / (high - low)) * (bottom - MARGIN.top));
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" },
    ...days(period, measures[0].offset, x, bottom, width),
    ...scale(low, high, limits, y, DECIMALS[kind] ?? 0),
    ...limits.map((value) => svg("line", { class: "threshold at-54", x1: MARGIN.left, x2: right, y1: y(value), y2: y(value) })),
    ...(pressure ? shown.map((measure) => pair(measure, x, y)) : [points(shown, unit, x, y)]),
  );
}

const round = (length) => Math.round(length * 10) / 10;

/** A range a little wider than the values, never none. */
function around(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const margin = Math.max((most - least) * 0.12, 0.5);
  return [Math.max(least - margin, 0), most + margin];
}

function days(period, offset, x, bottom, width) {
  const step = Math.max(1, Math.ceil(lengthOf(period) / (width < 560 ? 4 : 8)));
  const ticks = [];
  for (let day = period.first; day <= period.last; day += step) {
    const at = x(midnight(day, offset));
    ticks.push(
      svg("line", { class: "day", x1: at, x2: at, y1: MARGIN.top, y2: bottom }),
      svg("text", { class: "date", x: at + 3, y: bottom + 19 }, date(dateOf(day), { day: "numeric", month: "short" })),
    );
  }
  return ticks;
}

/** Round numbers at the side, the limits of the kind in place of those that would stand on them. */
function scale(low, high, limits, y, decimals) {
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50].find((each) => (high - low) / each <= 6) ?? 100;
  const label = (value, name = "") =>
    svg("text", { class: `amount ${name}`, x: MARGIN.left - 8, y: y(value), "text-anchor": "end", dy: "0.35em" }, number(value, step < 1 ? decimals : 0));
  const rounds = [];
  for (let count = Math.ceil(low / step); count * step <= high; count += 1) rounds.push(count * step);
  const apart = (value) => limits.every((limit) => Math.abs(y(value) - y(limit)) >= 13);
  return [...rounds.filter(apart).map((value) => label(value)), ...limits.map((value) => label(value, "at-70"))];
}

function pair(measure, x, y) {
  const at = x(measure.time);
  const lower = measure.beside.diastolic;
  if (lower === undefined) return dot(measure, at, y(measure.value));
  return svg(
    "g",
    { class: "pressure" },
    svg("line", { x1: at, x2: at, y1: y(measure.value), y2: y(lower) }),
    dot(measure, at, y(measure.value)),
    dot(measure, at, y(lower)),
  );
}

function points(measures, unit, x, y) {
  const at = (measure) => [x(measure.time), y(inUnit(measure, unit))];
  const sure = measures.filter((measure) => !doubtful(measure)).map((measure) => at(measure).join(","));
  return svg(
    "g",
    {},
    sure.length ? svg("path", { class: "trend", d: `M${sure.join("L")}` }) : null,
    ...measures.map((measure) => dot(measure, ...at(measure))),
  );
}

/** A measure as a dot, hollow where only its order among the others is sure. */
function dot(measure, cx, cy) {
  return svg("circle", { class: doubtful(measure) ? "dot doubtful" : "dot", cx, cy, r: 3 });
}

// The table behind it.

function table(kind, measures, unit, title) {
  const place = el("div", { class: "rows", role: "region", tabindex: 0, "aria-label": title });
  const pulse = kind === "blood-pressure";
  const head = [t("Date"), t("Time"), unitName(unit), ...(pulse ? [t("Pulse")] : []), t("Note and device")];
  const cells = (measure) => {
    const when = new Date(measure.time + measure.offset * 60_000);
    return [
      date(when, { day: "2-digit", month: "2-digit", year: "numeric" }),
      date(when, { hour: "2-digit", minute: "2-digit" }),
      written(kind, measure, unit),
      ...(pulse ? [measure.beside.pulse === undefined ? "–" : number(measure.beside.pulse)] : []),
      [doubtName(measure), measure.note, deviceName(measure)].filter(Boolean).join(" · "),
    ];
  };
  const fill = () =>
    place.replaceChildren(
      el(
        "table",
        {},
        el("caption", {}, title),
        el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, ...[...measures].reverse().map((measure) => el("tr", {}, ...cells(measure).map((text) => el("td", {}, text))))),
      ),
    );
  const details = el(
    "details",
    { class: "table", ontoggle: () => details.open && !place.hasChildNodes() && fill() },
    el("summary", {}, t("All measurements of this period, in a table")),
    place,
  );
  return details;
}
