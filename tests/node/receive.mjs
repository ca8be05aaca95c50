// Opens a SMART Health Link as a receiver that we did not write does: npm kill-the-clipboard.
//
// In: {"link", "recipient", "passcode", "embeddedLengthMax"}. Out: {"label", "flag", "exp", "files", "resources"},
// or {"refused": the name of its error}.

import { readFileSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { createInflateRaw } from 'node:zlib';
import { SHLViewer } from 'kill-the-clipboard';

// Node.js 18 lacks the format that the library asks for, which browsers and later releases have.
try {
  new DecompressionStream('deflate-raw');
} catch {
  globalThis.DecompressionStream = class {
    constructor() {
      return Duplex.toWeb(createInflateRaw());
    }
  };
}

const { link, ...asked } = JSON.parse(readFileSync(0, 'utf8'));
let answer;
try {
  const viewer = new SHLViewer({ shlinkURI: link });
  const { manifest, fhirResources } = await viewer.resolveSHL(asked);
  answer = {
    label: viewer.shl.label,
    flag: viewer.shl.flag,
    exp: viewer.shl.exp,
    files: manifest.files.map((file) => ('embedded' in file ? 'embedded' : 'location')),
    resources: fhirResources,
  };
} catch (error) {
  answer = { refused: error.name };
}
process.stdout.write(JSON.stringify(answer));
