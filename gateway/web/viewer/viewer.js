// The viewer: asks who opens the link, fetches what it carries, opens it here, shows it. Nothing leaves again.

import { NotReadable, read } from "./bundle.js";
import { el } from "./dom.js";
import { LANGUAGES, current, preferred, remember, remembered, t, use } from "./language.js";
import { LinkError, check, open, parse } from "./link.js";
import { page } from "./page.js";
import { UNITS, usual } from "./units.js";
import { notice, welcome } from "./welcome.js";

const place = document.getElementById("page");
const choices = document.getElementById("choices");
// What stands on the page: a function that makes it anew, in the language and unit then chosen.
let shown = () => el("p");
let share = null;

async function begin() {
  share = null;
  let link;
  try {
    link = parse(location.hash);
    check(link);
  } catch (error) {
    return present(() => notice(error, link));
  }
  if (link.exp && link.exp * 1000 < Date.now()) return present(() => notice(new LinkError("gone"), link));
  const name = visitor(link);
  if (name && !link.flag.includes("P")) return enter(link, { recipient: name });
  return ask(link, { name });
}

function ask(link, { name = "", refused = null } = {}) {
  present(() => welcome(link, { refused, name, enter: (who) => enter(link, who) }));
  place.querySelector(refused ? "[name=passcode]" : "h1").focus();
}

async function enter(link, who) {
  try {
    const files = await open(link, who.recipient, who.passcode);
    share = { link, files, ...merged(files) };
    keep(link, who.recipient);
    present(() => page(share, unit()));
    place.querySelector("h1")?.focus();
  } catch (error) {
    if (!(error instanceof LinkError || error instanceof NotReadable)) throw error;
    if (error.kind === "passcode" && error.remaining !== 0) ask(link, { name: who.recipient, refused: error });
    else present(() => notice(error, link, () => enter(link, who)));
  }
}

function merged(files) {
  const bundles = files.map((file) => read(file.text));
  return {
    patient: bundles.find((bundle) => bundle.patient)?.patient ?? null,
    readings: bundles.flatMap((bundle) => bundle.readings).sort((a, b) => a.time - b.time),
    undated: bundles.flatMap((bundle) => bundle.undated),
    measures: bundles.flatMap((bundle) => bundle.measures).sort((a, b) => a.time - b.time),
    others: bundles.reduce((sum, bundle) => sum + bundle.others, 0),
    madeAt: Math.max(...files.map((file, index) => file.lastUpdated ?? bundles[index].madeAt ?? 0)) || null,
  };
}

function present(make) {
  shown = make;
  place.replaceChildren(make());
  choices.replaceChildren(...switches());
}

// Choices of the reader.

function unit() {
  const chosen = remembered("unit");
  return chosen in UNITS ? chosen : usual(share.readings);
}

function switches() {
  const languages = Object.entries(LANGUAGES).map(([tag, name]) =>
    choice(tag.toUpperCase(), tag === current(), () => choose("language", tag), { lang: tag, title: name }),
  );
  if (!share?.readings.length) return [group(t("Language"), languages)];
  const units = Object.keys(UNITS).map((name) => choice(name, name === unit(), () => choose("unit", name)));
  return [group(t("Unit"), units), group(t("Language"), languages)];
}

const group = (label, buttons) => el("div", { class: "segmented", role: "group", "aria-label": label }, ...buttons);

function choice(text, pressed, onclick, attributes = {}) {
  return el("button", { type: "button", "aria-pressed": String(pressed), onclick, ...attributes }, text);
}

async function choose(name, value) {
  remember(name, value);
  if (name === "language") await use(value);
  const typed = [...place.querySelectorAll("input")].map((input) => input.value);
  present(shown);
  place.querySelectorAll("input").forEach((input, index) => (input.value = typed[index] ?? ""));
  [...choices.querySelectorAll("[aria-pressed=true]")].at(name === "language" ? -1 : 0)?.focus();
}

// Who opened this link in this tab: a page loaded again does not ask the name again. A passcode is never kept:
// browsers write the storage of their tabs to disk, beside the link that it guards.

const nameOf = (link) => `passerelle.visitor ${link.url}`;

function visitor(link) {
  try {
    return sessionStorage.getItem(nameOf(link)) ?? "";
  } catch {
    return "";
  }
}

function keep(link, name) {
  try {
    sessionStorage.setItem(nameOf(link), name);
  } catch {
    // Then the page asks again.
  }
}

await use(preferred());
addEventListener("hashchange", begin);
await begin();
