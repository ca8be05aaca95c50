// The table behind the drawing: every reading of the period, newest first, a hundred at a time.

import { el } from "./dom.js";
import { date, number, t } from "./language.js";
import { rangeOf } from "./statistics.js";
import { SYMBOLS, deviceName, doubtName, mealName, standing, written } from "./units.js";

const ROWS = 100;

/** A closed disclosure with the table; rows are made when it is opened. */
export function table(readings, unit, caption, summary = t("All readings of this period, in a table")) {
  const newest = [...readings].reverse();
  const place = el("div", { class: "rows" });
  const turn = (page) => place.replaceChildren(...paged(newest, page, unit, caption, turn));
  const details = el(
    "details",
    { class: "table", ontoggle: () => details.open && !place.hasChildNodes() && turn(0) },
    el("summary", {}, summary),
    place,
  );
  return details;
}

function paged(readings, page, unit, caption, turn) {
  const pages = Math.ceil(readings.length / ROWS);
  const shown = readings.slice(page * ROWS, (page + 1) * ROWS);
  const body = el(
    "table",
    {},
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ...[t("Date"), t("Time"), unit, t("Range"), t("Note and device")].map(heading))),
    el("tbody", {}, ...shown.map((reading) => row(reading, unit))),
  );
  if (pages === 1) return [body];
  const step = (label, to, there) =>
    el("button", { type: "button", disabled: !there, onclick: () => turn(to) }, label);
  return [
    body,
    el(
      "nav",
      { class: "pages", "aria-label": t("Pages of the table") },
      step(t("Newer"), page - 1, page > 0),
      el("span", {}, t("Page {page} of {pages}", { page: number(page + 1), pages: number(pages) })),
      step(t("Older"), page + 1, page < pages - 1),
    ),
  ];
}

const heading = (text) => el("th", { scope: "col" }, text);

function row(reading, unit) {
  const when = reading.time === null ? null : new Date(reading.time + reading.offset * 60_000);
  const range = rangeOf(reading);
  return el(
    "tr",
    {},
    el("td", {}, when ? date(when, { day: "2-digit", month: "2-digit", year: "numeric" }) : "–"),
    el("td", {}, when ? date(when, { hour: "2-digit", minute: "2-digit", second: "2-digit" }) : "–"),
    el("td", { class: "value" }, written(reading, unit)),
    el("td", {}, el("span", { class: `symbol ${range}` }, SYMBOLS[range]), ` ${standing(reading)}`),
    el("td", {}, [doubtName(reading), mealName(reading.meal), reading.note, deviceName(reading)].filter(Boolean).join(" · ")),
  );
}
