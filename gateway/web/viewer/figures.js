// The numbers of a period: tiles, the bar of ranges with the goals, episodes, and all of it as plain lines.

import { el } from "./dom.js";
import { number, t, tn } from "./language.js";
import { RANGES, SUFFICIENT, completeness, episodes, hoursOfData, managementIndicator, percentages, summary } from "./statistics.js";
import { SYMBOLS, UNITS, amount, bounds, rangeName } from "./units.js";

/** Below this number, shares of finger-stick measurements say more than is known. */
const ENOUGH_FOR_SHARES = 30;

/** Days that a profile needs. */
const PROFILE_DAYS = 7;

/** The goals of the consensus for most adults with diabetes (Battelino 2019): percent of time, by range. */
const GOALS = {
  veryLow: () => t("goal < {n} %", { n: number(1) }),
  low: () => t("with very low: goal < {n} %", { n: number(4) }),
  target: () => t("goal > {n} %", { n: number(70) }),
  high: () => t("with very high: goal < {n} %", { n: number(25) }),
  veryHigh: () => t("goal < {n} %", { n: number(5) }),
};

/**
 * What is known of the readings of a period of so many minutes and days: the numbers, whether they are too few,
 * how complete they are, the management indicator and the episodes.
 */
export function figures(readings, kind, { minutes, days }) {
  const numbers = summary(readings);
  if (kind !== "sensor") return { kind, numbers, short: false, few: numbers.n < ENOUGH_FOR_SHARES };
  const complete = completeness(readings, minutes);
  const sufficient = complete >= SUFFICIENT;
  return {
    kind,
    numbers,
    short: hoursOfData(readings) < 24,
    few: false,
    complete,
    indicator: sufficient && numbers.mean !== null ? managementIndicator(numbers.mean) : null,
    profiled: sufficient && days >= PROFILE_DAYS,
    episodes: episodes(readings),
  };
}

/** The tiles; `before` are the figures of the period before, where there are some to compare with. */
export function tiles(found, unit, before) {
  const { numbers, kind, short } = found;
  const value = (text, of = unit) => [el("span", { class: "number" }, text), " ", el("span", { class: "unit" }, of)];
  const was = (text) => (text && before ? t("before: {value}", { value: text }) : null);
  const sensor = kind === "sensor";
  return el(
    "dl",
    { class: "tiles" },
    short
      ? null
      : tile(
          t("Mean"),
          numbers.mean === null ? ["–"] : value(amount(numbers.mean, unit)),
          was(before && before.numbers.mean !== null ? `${amount(before.numbers.mean, unit)} ${unit}` : null),
        ),
    sensor && !short ? indicator(found, was(percent(before?.indicator, 1))) : null,
    sensor && !short && numbers.cv !== null
      ? tile(t("Variation (CV)"), value(number(numbers.cv, 1), "%"), was(percent(before?.numbers.cv, 1)) ?? t("stable up to 36 %"))
      : null,
    tile(
      t("Lowest – highest"),
      numbers.lowest === null ? ["–"] : value(`${amount(numbers.lowest, unit)}–${amount(numbers.highest, unit)}`),
    ),
    tile(sensor ? t("Readings") : t("Measurements"), [el("span", { class: "number" }, number(numbers.n))], outOfRange(numbers)),
    sensor
      ? tile(t("Data of the period"), value(number(Math.floor(found.complete)), "%"), t("of the readings that the sensor would give"))
      : null,
  );
}

const percent = (value, decimals) => (value === null || value === undefined ? null : t("{n} %", { n: number(value, decimals) }));

function indicator({ indicator: found }, was) {
  if (found === null) return tile(t("GMI"), [el("span", { class: "number" }, "–")], t("needs 70 % of the readings"));
  return tile(
    t("GMI"),
    [el("span", { class: "number" }, number(found, 1)), " ", el("span", { class: "unit" }, "%")],
    was ?? t("glucose management indicator"),
  );
}

function tile(name, value, detail) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, ...value), detail ? el("dd", { class: "detail" }, detail) : null);
}

function outOfRange({ lo, hi }) {
  if (!lo && !hi) return t("no LO, no HI");
  return t("of which {lo} LO and {hi} HI, not in the mean", { lo: number(lo), hi: number(hi) });
}

/** The share of each range: one bar, and the same in words below it. Few measurements are counted, not shared. */
export function ranges({ numbers, kind, few }, unit, before) {
  const shares = percentages(numbers.ranges);
  const earlier = before && !few ? percentages(before.numbers.ranges) : null;
  const limits = bounds(unit);
  const parts = RANGES.map((range, index) => ({ range, percent: shares[index], count: numbers.ranges[range], index }));
  const bar = el(
    "div",
    { class: "bar", "aria-hidden": "true" },
    ...parts.filter(({ count }) => count).map(({ range, count }) => {
      const segment = el("span", { class: range });
      segment.style.flexGrow = count;
      return segment;
    }),
  );
  const list = el(
    "ul",
    { class: "shares" },
    ...parts.map(({ range, percent: whole, count, index }) =>
      el(
        "li",
        { class: range },
        el("span", { class: "symbol", "aria-hidden": "true" }, SYMBOLS[range]),
        el("strong", {}, few ? number(count) : share(whole, count)),
        el("span", { class: "name" }, rangeName(range)),
        el("span", { class: "bounds" }, limits[range]),
        kind === "sensor" ? el("span", { class: "goal" }, GOALS[range]()) : null,
        earlier ? el("span", { class: "goal" }, t("before: {value}", { value: t("{n} %", { n: number(earlier[index]) }) })) : null,
      ),
    ),
  );
  return el("figure", { class: "ranges" }, el("figcaption", {}, caption(numbers.n, kind, few)), few ? null : bar, list);
}

function caption(n, kind, few) {
  if (kind === "sensor") return t("Share of the readings in each range, with the goals for most adults");
  return few ? t("Measurements in each range") : t("Share of the {n} measurements in each range", { n: number(n) });
}

function share(whole, count) {
  if (whole === 0 && count) return t("< 1 %");
  return t("{n} %", { n: number(whole) });
}

/** How many episodes there were beyond each limit, and for how long. */
export function episodeList(found, unit) {
  return el(
    "p",
    { class: "episodes" },
    el("span", {}, t("Episodes of 15 minutes or more:")),
    ...episodeTexts(found, unit).map(({ range, text }) =>
      el("span", { class: range }, el("span", { class: "symbol", "aria-hidden": "true" }, SYMBOLS[range]), ` ${text}`),
    ),
  );
}

function episodeTexts(found, unit) {
  const { perMilligram, decimals } = UNITS[unit];
  const limit = (milligrams) => `${number(milligrams * perMilligram, decimals)} ${unit}`;
  const rows = [
    ["veryLow", "lt54", (n) => tn("{n} below {limit}", "{n} below {limit}", n, { limit: limit(54) })],
    ["low", "lt70", (n) => tn("{n} below {limit}", "{n} below {limit}", n, { limit: limit(70) })],
    ["high", "gt180", (n) => tn("{n} above {limit}", "{n} above {limit}", n, { limit: limit(180) })],
    ["veryHigh", "gt250", (n) => tn("{n} above {limit}", "{n} above {limit}", n, { limit: limit(250) })],
  ];
  return rows.map(([range, name, text]) => {
    const of = found.episodes[name];
    const minutes = of.reduce((sum, each) => sum + each.minutes, 0);
    return { range, text: minutes ? `${text(of.length)} (${duration(minutes)})` : text(of.length) };
  });
}

function duration(minutes) {
  if (minutes < 120) return t("{n} min", { n: number(minutes) });
  return t("{n} h", { n: number(minutes / 60, 1) });
}

/** The same numbers as plain lines, for a clinician's own note. */
export function asText(found, unit, title) {
  const { numbers, kind, short, few } = found;
  const shares = percentages(numbers.ranges);
  const limits = bounds(unit);
  const lines = [title];
  if (kind === "sensor") lines.push(`${t("Data of the period")}: ${t("{n} %", { n: number(Math.floor(found.complete)) })}`);
  lines.push(`${kind === "sensor" ? t("Readings") : t("Measurements")}: ${number(numbers.n)} (${outOfRange(numbers)})`);
  if (!short && numbers.mean !== null) lines.push(`${t("Mean")}: ${amount(numbers.mean, unit)} ${unit}`);
  if (found.indicator) lines.push(`${t("GMI")}: ${percent(found.indicator, 1)}`);
  if (kind === "sensor" && !short && numbers.cv !== null) lines.push(`${t("Variation (CV)")}: ${percent(numbers.cv, 1)}`);
  if (!short)
    RANGES.forEach((range, index) => {
      const part = few ? number(numbers.ranges[range]) : share(shares[index], numbers.ranges[range]);
      lines.push(`${rangeName(range)} (${limits[range]} ${unit}): ${part}`);
    });
  if (kind === "sensor" && !short)
    lines.push(`${t("Episodes of 15 minutes or more:")} ${episodeTexts(found, unit).map(({ text }) => text).join("; ")}`);
  return `${lines.join("\n")}\n`;
}
