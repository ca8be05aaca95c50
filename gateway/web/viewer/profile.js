// The glucose profile: the percentiles of many days over the hours of one, as bands that pointer, touch and
// keyboard read out, and as a table.

import { el, svg } from "./dom.js";
import { date, t } from "./language.js";
import { BLOCK_MINUTES } from "./statistics.js";
import { amount } from "./units.js";

const MARGIN = { top: 12, right: 44, bottom: 30, left: 46 };
const THRESHOLDS = [54, 70, 180, 250];
const FLOOR = 40;
const DAY_MINUTES = 1440;
const PAPER = { width: 700, height: 155 };

let views = [];
const redrawAll = (size) => {
  views = views.filter(({ figure }) => figure.isConnected);
  views.forEach((view) => redraw(view, size));
};
addEventListener("beforeprint", () => redrawAll(() => PAPER));
addEventListener("afterprint", () => redrawAll(onScreen));

/** A drawing of the blocks of `statistics.profile`, in a unit, with the table behind it. */
export function profileChart(blocks, { unit, title }) {
  const drawing = svg("svg", { "aria-hidden": "true" });
  const readout = el("div", { class: "readout", hidden: true });
  const figure = el(
    "div",
    {
      class: "chart profile",
      role: "slider",
      tabindex: 0,
      "aria-label": t("Glucose profile of a day: {title}", { title }),
      "aria-valuemin": 1,
      "aria-valuemax": blocks.length,
      "aria-valuenow": 1,
      "aria-valuetext": spoken(blocks[0], unit),
    },
    drawing,
    readout,
  );
  const view = { blocks, unit, figure, drawing, readout, chosen: null, plane: null };
  views.push(view);
  new ResizeObserver(() => redraw(view, matchMedia("print").matches ? () => PAPER : onScreen)).observe(figure);
  listen(view);
  return [figure, legend(), behind(blocks, unit, title)];
}

function onScreen(figure) {
  const width = Math.round(figure.clientWidth);
  return { width, height: width < 560 ? 250 : 300 };
}

function redraw(view, size) {
  const { width, height } = size(view.figure);
  if (!width || view.plane?.width === width) return;
  view.plane = planeOf(view.blocks, width, height);
  view.drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  view.cursor = svg("g", { class: "cursor", visibility: "hidden" });
  view.drawing.replaceChildren(...ground(view.plane), ...hours(view.plane), ...bands(view), ...limits(view), view.cursor);
  if (view.chosen !== null) show(view, view.chosen);
}

function planeOf(blocks, width, height) {
  const highest = Math.max(...blocks.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const ceiling = Math.max(270, Math.ceil((highest + 10) / 10) * 10);
  const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
  const x = (minute) => round(MARGIN.left + (minute / DAY_MINUTES) * (right - MARGIN.left));
  const y = (value) => {
    const inside = Math.min(Math.max(value, FLOOR), ceiling);
    return round(bottom - ((inside - FLOOR) / (ceiling - FLOOR)) * (bottom - MARGIN.top));
  };
  return { width, height, right, bottom, ceiling, x, y };
}

const round = (length) => Math.round(length * 10) / 10;
const middle = (block) => block.minute + BLOCK_MINUTES / 2;
/** Where a percentile is drawn: LO on the floor, HI at the ceiling. */
const drawn = (block, rank, plane) => block.values[rank] ?? (rank < 2 ? FLOOR : plane.ceiling);

function ground({ right, y }) {
  return [svg("rect", { class: "band", x: MARGIN.left, width: right - MARGIN.left, y: y(180), height: y(70) - y(180) })];
}

function hours(plane) {
  const step = plane.width < 560 ? 6 : 3;
  const ticks = [];
  for (let hour = 0; hour <= 24; hour += step) {
    const at = plane.x(hour * 60);
    const anchor = hour === 0 ? "start" : hour === 24 ? "end" : "middle";
    ticks.push(
      svg("line", { class: "day", x1: at, x2: at, y1: MARGIN.top, y2: plane.bottom }),
      svg("text", { class: "date", x: at, y: plane.bottom + 20, "text-anchor": anchor }, clock(hour * 60)),
    );
  }
  return ticks;
}

function limits({ plane, unit }) {
  return THRESHOLDS.flatMap((value) => [
    svg("line", { class: `threshold at-${value}`, x1: MARGIN.left, x2: plane.right, y1: plane.y(value), y2: plane.y(value) }),
    value === 54 && plane.y(54) - plane.y(70) < 13
      ? null
      : svg(
          "text",
          { class: `amount at-${value}`, x: MARGIN.left - 8, y: plane.y(value), "text-anchor": "end", dy: "0.35em" },
          amount(value, unit),
        ),
  ]).filter(Boolean);
}

/** Blocks that follow one another without a hole. */
function stretches(blocks) {
  const found = [];
  for (const block of blocks) {
    const last = found.at(-1);
    if (last && block.minute - last.at(-1).minute === BLOCK_MINUTES) last.push(block);
    else found.push([block]);
  }
  return found;
}

function bands({ blocks, plane }) {
  const parts = stretches(blocks);
  const points = (part, rank) => part.map((block) => [plane.x(middle(block)), plane.y(drawn(block, rank, plane))]);
  const between = (low, high) =>
    parts.map((part) => `M${points(part, low).join("L")}L${points(part, high).reverse().join("L")}Z`).join("");
  const line = (rank) => parts.map((part) => `M${points(part, rank).join("L")}`).join("");
  const last = blocks.at(-1);
  const named = last.minute === DAY_MINUTES - BLOCK_MINUTES;
  return [
    svg("path", { class: "spread wide", d: between(0, 4) }),
    svg("path", { class: "spread narrow", d: between(1, 3) }),
    svg("path", { class: "edge", d: line(0) + line(4) }),
    svg("path", { class: "median", d: line(2) }),
    ...(named ? names(last, plane) : []),
  ];
}

/** The percentiles' names at the right end, where they do not stand on one another. */
function names(block, plane) {
  let above = Infinity;
  return ["5 %", "25 %", "50 %", "75 %", "95 %"].flatMap((name, rank) => {
    const at = plane.y(drawn(block, rank, plane));
    if (above - at < 12) return [];
    above = at;
    return [svg("text", { class: "percent", x: plane.right + 6, y: at, dy: "0.35em" }, name)];
  });
}

function legend() {
  return el(
    "p",
    { class: "fine legend" },
    named("median", t("middle value (50 %)")),
    named("narrow", t("half of the days (25–75 %)")),
    named("wide", t("nine days out of ten (5–95 %)")),
  );
}

const named = (key, text) => el("span", {}, el("span", { class: `key ${key}`, "aria-hidden": "true" }), text);

function behind(blocks, unit, title) {
  const place = el("div", { class: "rows" });
  const head = [t("Time"), "5 %", "25 %", "50 %", "75 %", "95 %", t("Readings")];
  const fill = () =>
    place.replaceChildren(
      el(
        "table",
        {},
        el("caption", {}, `${title}, ${unit}`),
        el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
        el(
          "tbody",
          {},
          ...blocks.map((block) =>
            el(
              "tr",
              {},
              el("th", { scope: "row" }, clock(block.minute)),
              ...block.values.map((_, rank) => el("td", {}, shown(block, rank, unit))),
              el("td", {}, String(block.n)),
            ),
          ),
        ),
      ),
    );
  const details = el(
    "details",
    { class: "table", ontoggle: () => details.open && !place.hasChildNodes() && fill() },
    el("summary", {}, t("The profile in a table")),
    place,
  );
  return details;
}

const shown = (block, rank, unit) => (block.values[rank] === null ? (rank < 2 ? "LO" : "HI") : amount(block.values[rank], unit));
const clock = (minute) => date(new Date(minute * 60_000), { hour: "2-digit", minute: "2-digit" });

// Reading out.

function listen(view) {
  const { figure, blocks } = view;
  const point = ({ clientX }) => {
    if (!view.plane) return;
    const left = clientX - figure.getBoundingClientRect().left;
    const minute = ((left - MARGIN.left) / (view.plane.right - MARGIN.left)) * DAY_MINUTES;
    const distance = (block) => Math.abs(middle(block) - minute);
    show(view, blocks.reduce((best, block, index) => (distance(block) < distance(blocks[best]) ? index : best), 0));
  };
  figure.addEventListener("pointermove", point);
  figure.addEventListener("pointerdown", point);
  figure.addEventListener("pointerleave", ({ pointerType }) => {
    if (pointerType === "mouse" && document.activeElement !== figure) hide(view);
  });
  figure.addEventListener("focus", () => view.chosen === null && show(view, 0));
  figure.addEventListener("blur", () => hide(view));
  figure.addEventListener("keydown", (event) => {
    const from = view.chosen ?? 0;
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -12, PageUp: 12 };
    const ends = { Home: 0, End: blocks.length - 1 };
    if (event.key === "Escape") return hide(view);
    if (!(event.key in steps) && !(event.key in ends)) return;
    event.preventDefault();
    const next = ends[event.key] ?? from + steps[event.key];
    show(view, Math.min(Math.max(next, 0), blocks.length - 1));
  });
}

function show(view, index) {
  const { figure, blocks, unit, readout, cursor, plane } = view;
  view.chosen = index;
  const block = blocks[index];
  figure.setAttribute("aria-valuenow", index + 1);
  figure.setAttribute("aria-valuetext", spoken(block, unit));
  if (!plane) return;
  const x = plane.x(middle(block));
  const y = plane.y(drawn(block, 2, plane));
  cursor.setAttribute("visibility", "visible");
  cursor.replaceChildren(
    svg("line", { x1: x, x2: x, y1: MARGIN.top, y2: plane.bottom }),
    svg("circle", { class: "middle", cx: x, cy: y, r: 5 }),
  );
  readout.replaceChildren(
    el("strong", {}, `${shown(block, 2, unit)} ${unit}`),
    el("span", {}, `25–75 %: ${shown(block, 1, unit)}–${shown(block, 3, unit)}`),
    el("span", {}, `5–95 %: ${shown(block, 0, unit)}–${shown(block, 4, unit)}`),
    el("span", { class: "when" }, quarter(block)),
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

const quarter = ({ minute }) => t("{from} to {to}", { from: clock(minute), to: clock(minute + BLOCK_MINUTES) });

function spoken(block, unit) {
  return t("{when}: {middle} {unit}; half of the days from {low} to {high}", {
    when: quarter(block),
    middle: shown(block, 2, unit),
    low: shown(block, 1, unit),
    high: shown(block, 3, unit),
    unit,
  });
}
