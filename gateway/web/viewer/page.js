// The opened share: whose it is, then a section for each kind of method, each with a period of its own.

import { chart, moment } from "./chart.js";
import { periodChoice, spanOf, zones } from "./choice.js";
import { dayStrips } from "./days.js";
import { el } from "./dom.js";
import { asText, episodeList, figures, ranges, tiles } from "./figures.js";
import { t, tn } from "./language.js";
import { logbook, modalDay } from "./logbook.js";
import { lengthOf, midnight, opening, within } from "./period.js";
import { profileChart } from "./profile.js";
import { SUFFICIENT, counted, profile } from "./statistics.js";
import { table } from "./table.js";
import { deviceName, doubtful } from "./units.js";
import { vitals } from "./vitals.js";
import { local } from "./welcome.js";

// The period of each kind, as the reader left it, while the page stands.
const periods = new WeakMap();

/** The page of a share: {patient, readings, others, madeAt, link, files}, in a unit. */
export function page(share, unit) {
  const sections = ["sensor", "finger-stick"].filter((kind) => counted(share.readings, kind).length);
  const beside = vitals(share);
  const undated = ["sensor", "finger-stick"].flatMap((kind) => counted(share.undated, kind));
  return el(
    "div",
    { class: "share" },
    heading(share),
    ...sections.map((kind) => section(share, kind, unit)),
    ...beside,
    undated.length ? withoutTime(undated, unit) : null,
    sections.length + beside.length + undated.length ? null : el("section", { class: "card" }, el("p", {}, t("There is no reading in this share."))),
    footing(share),
  );
}

function heading(share) {
  const { patient, readings, measures, madeAt, link } = share;
  const last = [readings.at(-1), measures.at(-1)].filter(Boolean).sort((a, b) => a.time - b.time).at(-1);
  return el(
    "section",
    { class: "heading" },
    el(
      "div",
      {},
      el("p", { class: "kicker" }, link.label || t("Shared health readings")),
      el("h1", { tabindex: -1 }, patient ?? t("Shared health readings")),
      el(
        "p",
        { class: "muted" },
        last ? el("span", {}, t("Data until {moment}", { moment: moment(last) })) : null,
        madeAt ? el("span", {}, t("Sent {moment}", { moment: local(madeAt) })) : null,
        link.exp ? el("span", {}, t("Link opens until {date}", { date: local(link.exp * 1000) })) : null,
      ),
    ),
    el(
      "div",
      { class: "actions" },
      el("button", { type: "button", onclick: () => print() }, t("Print")),
      el("button", { type: "button", onclick: () => download(share) }, t("Download FHIR")),
    ),
  );
}

function section(share, kind, unit) {
  const place = el("section", { class: `card readings ${kind}` });
  const readings = counted(share.readings, kind);
  const kept = periods.get(share) ?? {};
  periods.set(share, kept);
  const show = (period) => {
    kept[kind] = period;
    const held = place.contains(document.activeElement) ? document.activeElement.textContent : null;
    place.replaceChildren(...periodOf(readings, kind, period, unit, show));
    if (held) [...place.querySelectorAll("button")].find((button) => button.textContent === held)?.focus();
  };
  show(kept[kind] ?? opening(readings, kind));
  return place;
}

function periodOf(all, kind, period, unit, show) {
  const readings = within(all, period);
  const name = kind === "sensor" ? t("Glucose sensor") : t("Finger-stick meter");
  const span = spanOf(period);
  const devices = [...new Set(readings.map(deviceName).filter(Boolean))].join(", ");
  const days = tn("{n} day", "{n} days", lengthOf(period));
  return [
    el(
      "header",
      {},
      el(
        "div",
        {},
        el("h2", {}, name),
        el("p", { class: "muted" }, el("span", {}, span), el("span", {}, days), devices ? el("span", {}, devices) : null),
      ),
      el(
        "div",
        { class: "period" },
        ...periodChoice(all, period, show),
        readings.length
          ? copyButton(() => asText(figures(readings, kind, measureOf(readings, period)), unit, `${name}, ${span}`))
          : null,
      ),
    ),
    ...(readings.length
      ? filled(all, readings, kind, period, unit, `${name}, ${span}`, show)
      : [el("p", { class: "empty" }, t("No reading in these days."))]),
  ];
}

function filled(all, readings, kind, period, unit, title, show) {
  const found = figures(readings, kind, measureOf(readings, period));
  const before = compared(all, kind, period);
  const sure = readings.filter((reading) => !doubtful(reading));
  const byTheHour = sure.length > 0 && lengthOf(period) > 1;
  return [
    tiles(found, unit, before),
    found.short
      ? el("p", { class: "hint" }, t("Less than 24 hours of sensor data: too little for a mean or for ranges."))
      : ranges(found, unit, before),
    uncertain(readings),
    kind === "sensor" && !found.short ? episodeList(found, unit) : null,
    ...(kind === "sensor" && byTheHour ? profileOf(found, sure, unit, title) : []),
    kind === "sensor" ? dayStrips(sure, unit, (day) => show({ first: day, last: day })) : null,
    ...(kind === "finger-stick" && byTheHour ? [modalDay(sure, unit), logbook(sure, unit)] : []),
    chart(readings, { kind, period, unit, title }),
    el("p", { class: "fine" }, `${key(kind)} ${zones(readings)}`),
    table(readings, unit, title),
  ].filter(Boolean);
}

/** What is said where times of the period are doubtful. */
function uncertain(readings) {
  const count = readings.filter(doubtful).length;
  if (!count) return null;
  const said = tn(
    "The time of {n} reading is uncertain: the clock of the device was changed. It is drawn hollow and counted, and in no curve.",
    "The times of {n} readings are uncertain: the clock of the device was changed. They are drawn hollow and counted, and in no curve.",
    count,
  );
  return el("p", { class: "hint" }, said);
}

/** The readings that have no time: in a table, and in no drawing. */
function withoutTime(readings, unit) {
  const said = tn(
    "{n} reading has no time: the device did not know it.",
    "{n} readings have no time: the device did not know it.",
    readings.length,
  );
  const title = t("Readings without a time");
  return el("section", { class: "card undated" }, el("h2", {}, title), el("p", {}, said), table(readings, unit, title, t("Show them in a table")));
}

function profileOf(found, readings, unit, title) {
  if (found.short) return [];
  if (!found.profiled)
    return [el("p", { class: "hint" }, t("A glucose profile needs 7 days with 70 % of their readings; these days have fewer."))];
  return [
    el(
      "figure",
      { class: "profile" },
      el("figcaption", {}, t("Glucose profile: all days of the period in one")),
      ...profileChart(profile(readings), { unit, title }),
    ),
  ];
}

/** How long a period is on the person's own clock. */
function measureOf(readings, period) {
  const start = midnight(period.first, readings[0].offset);
  const end = midnight(period.last + 1, readings.at(-1).offset);
  return { minutes: (end - start) / 60_000, days: lengthOf(period) };
}

/** The figures of as many days before, where they are as complete as a comparison needs. */
function compared(all, kind, period) {
  if (kind !== "sensor") return null;
  const length = lengthOf(period);
  const earlier = { first: period.first - length, last: period.last - length };
  const readings = within(all, earlier);
  if (!readings.length) return null;
  const found = figures(readings, kind, measureOf(readings, earlier));
  return found.complete >= SUFFICIENT && !found.short ? found : null;
}

function copyButton(text) {
  const button = el("button", { type: "button" }, t("Copy as text"));
  button.addEventListener("click", async () => {
    await copied(text());
    button.textContent = t("Copied");
    setTimeout(() => (button.textContent = t("Copy as text")), 2000);
  });
  return button;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Some browsers let a page copy only what is selected in it.
    const area = el("textarea", { class: "aside", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function key(kind) {
  return kind === "sensor"
    ? t("The line stops where the sensor was silent for more than 45 minutes.")
    : t("Each mark is one measurement: ▼ low, ● in target, ▲ high.");
}

function footing({ readings, measures, others }) {
  const excluded = [...readings, ...measures].filter((reading) => reading.excluded).length;
  const controls = readings.filter((reading) => reading.kind === "control").length;
  return el(
    "footer",
    { class: "footing" },
    excluded
      ? el("p", {}, tn("{n} reading that the person set aside is not counted.", "{n} readings that the person set aside are not counted.", excluded))
      : null,
    controls
      ? el("p", {}, tn("{n} test with a control solution is not counted.", "{n} tests with a control solution are not counted.", controls))
      : null,
    others
      ? el("p", {}, tn("{n} other observation is in the file and not shown here.", "{n} other observations are in the file and not shown here.", others))
      : null,
    el("p", {}, t("These are the values of the person’s own devices. This page is no alarm and gives no medical advice.")),
  );
}

function download({ files, link }) {
  files.forEach((file, index) => {
    const url = URL.createObjectURL(new Blob([file.text], { type: "application/fhir+json" }));
    const name = `${(link.label || "passerelle").replace(/[^\p{L}\p{N}]+/gu, "-")}${index ? `-${index + 1}` : ""}.fhir.json`;
    el("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  });
}
