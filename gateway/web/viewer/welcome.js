// What stands before the readings: who opens the link, and in plain words why a link does not open.

import { NotReadable } from "./bundle.js";
import { el } from "./dom.js";
import { date, t, tn } from "./language.js";

/** The first screen. `enter({recipient, passcode})` opens the link; `refused` is the error of the last try. */
export function welcome(link, { refused, name, enter }) {
  const passcode = link.flag.includes("P");
  const button = el("button", { class: "primary", type: "submit" }, t("Open"));
  const submit = (event) => {
    event.preventDefault();
    const typed = new FormData(event.target);
    button.disabled = true;
    button.textContent = t("Opening…");
    enter({ recipient: typed.get("recipient").trim(), passcode: typed.get("passcode") ?? undefined });
  };
  return el(
    "section",
    { class: "card welcome" },
    el("p", { class: "kicker" }, t("Health readings shared with you")),
    el("h1", { tabindex: -1 }, link.label || t("Readings of a person’s own devices")),
    link.exp ? el("p", { class: "muted" }, t("This link opens until {date}.", { date: local(link.exp * 1000) })) : null,
    el(
      "form",
      { onsubmit: submit },
      field(t("Your name"), t("The person who shares sees who opened the link, and when."), {
        name: "recipient",
        value: name,
        required: true,
        maxlength: 120,
        autocomplete: "name",
        placeholder: t("Name and place of work"),
        pattern: ".*\\S.*",
      }),
      passcode
        ? field(t("Passcode"), t("It was given to you apart from the link."), {
            name: "passcode",
            required: true,
            type: "password",
            autocomplete: "off",
            "aria-invalid": refused ? "true" : null,
            "aria-describedby": refused ? "refused" : null,
          })
        : null,
      refused ? el("p", { class: "refused", id: "refused", role: "alert" }, refusal(refused)) : null,
      button,
    ),
    el(
      "p",
      { class: "fine" },
      t("The readings are encrypted. Your browser opens them with the key in the link; the server cannot read them."),
    ),
  );
}

function field(label, hint, attributes) {
  const id = `field-${attributes.name}`;
  const described = [attributes["aria-describedby"], `${id}-hint`].filter(Boolean).join(" ");
  return el(
    "div",
    { class: "field" },
    el("label", { for: id }, label),
    el("input", { id, type: "text", ...attributes, "aria-describedby": described }),
    el("p", { class: "hint", id: `${id}-hint` }, hint),
  );
}

function refusal({ remaining }) {
  if (remaining === null) return t("This passcode is not the right one.");
  return tn(
    "This passcode is not the right one. {n} try is left, then the link closes for good.",
    "This passcode is not the right one. {n} tries are left, then the link closes for good.",
    remaining,
  );
}

/** Why nothing is shown, and the one next step. */
export function notice(error, link, again) {
  const { title, text, step } = words(error, link, again);
  return el(
    "section",
    { class: "card notice", role: "alert" },
    el("h1", { tabindex: -1 }, title),
    el("p", {}, text),
    step ?? null,
  );
}

function words(error, link, again) {
  if (error instanceof NotReadable) {
    return {
      title: t("This is not a file of readings"),
      text: t("The link was opened, but what it carries cannot be shown here. Ask the person who sent it."),
    };
  }
  if (error.kind === "gone") return closed(link);
  if (error.kind === "passcode") {
    return {
      title: t("This link is closed"),
      text: t("The passcode was wrong too many times. Ask the person who sent the link for a new one."),
      step: request(),
    };
  }
  if (error.kind === "unreachable" || error.kind === "busy") {
    const text =
      error.kind === "busy"
        ? t("The link was opened many times just now. Wait a minute, then try again.")
        : t("The server that keeps the readings does not answer. Check your connection, then try again.");
    const step = again ? el("button", { class: "primary", type: "button", onclick: again }, t("Try again")) : null;
    return { title: t("The readings cannot be fetched"), text, step };
  }
  return PLAIN[error.kind](link);
}

const PLAIN = {
  malformed: () => ({
    title: t("This link is not complete"),
    text: t("Copy the whole link, to its last character, and open it again."),
  }),
  newer: () => ({
    title: t("This link is newer than this page"),
    text: t("This page does not know this kind of link. Ask the person who sent it for another one."),
  }),
  elsewhere: (link) => ({
    title: t("This link belongs to another server"),
    text: t("Its readings are kept at {host}. Open the link with the page it came with.", {
      host: new URL(link.url).host,
    }),
  }),
  insecure: () => ({
    title: t("This address is not secure"),
    text: t(
      "Browsers decrypt only on pages whose address begins with https. Open this link on the computer that made " +
        "it, or ask for one that begins with https.",
    ),
  }),
  "old-browser": () => ({
    title: t("This browser is too old"),
    text: t("It cannot open encrypted readings. Update it, or open the link with another one."),
  }),
  access: () => ({
    title: t("This link is for software"),
    text: t(
      "It carries no readings, but the access to a server that has them, for a program of a practice or a hospital " +
        "that reads FHIR. That server can read what it gives. Open the link with that program, or ask the person who " +
        "sent it for a link that shows the readings.",
    ),
  }),
  altered: () => ({
    title: t("The readings cannot be decrypted"),
    text: t(
      "The link is not complete, or the file was altered. Nothing is shown, so that nothing wrong is shown. " +
        "Ask the person who sent it for a new link.",
    ),
    step: request(),
  }),
};

function closed(link) {
  const expired = link?.exp && link.exp * 1000 < Date.now();
  return {
    title: expired ? t("This link has expired") : t("This link is closed"),
    text: expired
      ? t("It opened until {date}. Ask the person who sent it for a new one.", { date: local(link.exp * 1000) })
      : t("It has ended, or the person who sent it has withdrawn it. Ask them for a new one."),
    step: request(),
  };
}

function request() {
  const subject = encodeURIComponent(t("A new link to your readings"));
  const body = encodeURIComponent(
    t("Hello,\n\nThe link to your readings no longer opens. Could you send me a new one?\n\nThank you."),
  );
  return el("a", { class: "primary", href: `mailto:?subject=${subject}&body=${body}` }, t("Ask for a new link"));
}

/** A moment on the reader's own clock. */
export function local(milliseconds) {
  const here = new Date(milliseconds - new Date(milliseconds).getTimezoneOffset() * 60_000);
  const day = date(here, { day: "numeric", month: "long", year: "numeric" });
  return t("{day}, {time}", { day, time: date(here, { hour: "2-digit", minute: "2-digit" }) });
}
