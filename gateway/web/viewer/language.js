// What the page says, in the reader's language. A sentence is its own name: the English text.

export const LANGUAGES = { en: "English", fr: "Français" };

let language = "en";
let strings = {};

/** The language in use. */
export function current() {
  return language;
}

/** The language to begin with: what was chosen in this browser, else the first of the browser's that there is. */
export function preferred() {
  const chosen = remembered("language");
  const spoken = navigator.languages.map((tag) => tag.split("-")[0]);
  return [chosen, ...spoken].find((tag) => tag in LANGUAGES) ?? "en";
}

/** Use a language from now on; its sentences come from the catalogue. English is always there. */
export async function use(tag) {
  const received = tag === "en" ? {} : await catalogue(tag);
  [language, strings] = received ? [tag, received] : ["en", {}];
  document.documentElement.lang = language;
}

async function catalogue(tag) {
  try {
    const response = await fetch(`view/strings/${tag}.json`);
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/** A sentence with its {fields} filled. */
export function t(sentence, fields = {}) {
  return fill(strings[sentence] ?? sentence, fields);
}

/** A sentence that counts {n}. */
export function tn(one, many, n, fields = {}) {
  const forms = strings[one] ?? [one, many];
  const form = new Intl.PluralRules(language).select(n) === "one" ? forms[0] : forms[1];
  return fill(form, { n: number(n), ...fields });
}

function fill(sentence, fields) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => fields[name] ?? whole);
}

/** A number as the language writes it, with so many decimals. */
export function number(value, decimals = 0) {
  return value.toLocaleString(language, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** A date or a time whose UTC fields are the person's own; `style` as for Intl.DateTimeFormat. */
export function date(when, style) {
  return dateFormat(style).format(when);
}

/** Two dates as one span: "5–14 June 2017". */
export function dates(from, to, style) {
  return dateFormat(style).formatRange(from, to);
}

const formats = {};

function dateFormat(style) {
  const key = language + JSON.stringify(style);
  // Of the ways to write a date in English, the one that no reader takes for another day.
  const locale = language === "en" ? "en-GB" : language;
  formats[key] ??= new Intl.DateTimeFormat(locale, { ...style, timeZone: "UTC" });
  return formats[key];
}

/** What this browser keeps of a choice; null where it keeps nothing. */
export function remembered(name) {
  try {
    return localStorage.getItem(`passerelle.${name}`);
  } catch {
    return null;
  }
}

/** Keep a choice in this browser. */
export function remember(name, value) {
  try {
    localStorage.setItem(`passerelle.${name}`, value);
  } catch {
    // A browser that keeps nothing still shows everything.
  }
}
