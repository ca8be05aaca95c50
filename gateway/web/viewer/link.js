// A SMART Health Link: read it, ask its shelf for what it carries, open that with the key of the fragment.

/** What can go wrong, by `kind`: malformed, newer, elsewhere, insecure, old-browser, passcode, gone, busy,
 *  unreachable, altered, access. `remaining` is the number of tries left after a wrong passcode. */
export class LinkError extends Error {
  constructor(kind, remaining = null) {
    super(kind);
    this.kind = kind;
    this.remaining = remaining;
  }
}

/** The payload of the link in a fragment: {url, key, label, exp, flag, v}. Throws LinkError. */
export function parse(fragment) {
  let payload;
  try {
    // Some mail programs escape what follows the #.
    const [, encoded] = /shlink:\/([\w-]+)$/.exec(decodeURIComponent(fragment).trim());
    payload = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(octets(encoded)));
    new URL(payload.url);
  } catch {
    throw new LinkError("malformed");
  }
  if ((payload.v ?? 1) !== 1) throw new LinkError("newer");
  if (typeof payload.key !== "string" || payload.key.length !== 43) throw new LinkError("malformed");
  return { ...payload, flag: String(payload.flag ?? "") };
}

/** Throws what stands in the way before anything is asked for: the browser, the address, the shelf. */
export function check(link) {
  if (!globalThis.crypto?.subtle) throw new LinkError("insecure");
  if (typeof DecompressionStream === "undefined") throw new LinkError("old-browser");
  if (new URL(link.url).origin !== location.origin) throw new LinkError("elsewhere");
}

/** The FHIR files of a link, as text, with when they were last changed (milliseconds, or null). */
export async function open(link, recipient, passcode) {
  const manifest = await requestManifest(link, recipient, passcode);
  const files = manifest.files.filter((file) => file.contentType?.startsWith("application/fhir+json"));
  const access = manifest.files.some((file) => file.contentType?.startsWith("application/smart-api-access"));
  if (access && files.length === 0) throw new LinkError("access");
  const key = await importKey(link.key);
  return Promise.all(
    files.map(async (file) => ({
      text: await unseal(file.embedded ?? (await download(file.location)), key),
      lastUpdated: file.lastUpdated ? Date.parse(file.lastUpdated) : null,
    })),
  );
}

async function requestManifest(link, recipient, passcode) {
  if (link.flag.includes("U")) return { files: [{ contentType: "application/fhir+json", location: direct(link, recipient) }] };
  const response = await ask(link.url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(passcode ? { recipient, passcode } : { recipient }),
  });
  if (response.status === 401) throw new LinkError("passcode", (await response.json()).remainingAttempts ?? null);
  const manifest = await answered(response).json();
  if (!Array.isArray(manifest?.files)) throw new LinkError("altered");
  return manifest;
}

function direct(link, recipient) {
  const url = new URL(link.url);
  url.searchParams.set("recipient", recipient);
  return url.href;
}

async function download(location) {
  return answered(await ask(location, {})).text();
}

async function ask(url, options) {
  try {
    return await fetch(url, { ...options, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" });
  } catch {
    throw new LinkError("unreachable");
  }
}

function answered(response) {
  if (response.status === 404) throw new LinkError("gone");
  if (response.status === 429) throw new LinkError("busy");
  if (!response.ok) throw new LinkError("unreachable");
  return response;
}

async function importKey(encoded) {
  try {
    return await crypto.subtle.importKey("raw", octets(encoded), "AES-GCM", false, ["decrypt"]);
  } catch {
    throw new LinkError("malformed");
  }
}

/** Opens a compact JWE of `dir` and `A256GCM` (RFC 7516), deflated or not. */
async function unseal(sealed, key) {
  try {
    const [header, encryptedKey, iv, ciphertext, tag] = sealed.trim().split(".");
    const { alg, enc, zip, crit } = JSON.parse(new TextDecoder().decode(octets(header)));
    if (alg !== "dir" || enc !== "A256GCM" || encryptedKey || crit) throw new LinkError("altered");
    const plain = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: octets(iv), additionalData: new TextEncoder().encode(header) },
      key,
      joined(octets(ciphertext), octets(tag)),
    );
    return zip === "DEF" ? await inflate(plain) : new TextDecoder().decode(plain);
  } catch {
    throw new LinkError("altered");
  }
}

function inflate(plain) {
  return new Response(new Blob([plain]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).text();
}

function octets(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
