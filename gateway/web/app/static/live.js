// What is marked with data-live follows what happens: an event says that something changed, and the page is
// asked for again. Without this script every page works as it is.

const PATIENCE = 150; // milliseconds in which several events are one

let waiting = null;
let asking = false;
let again = false;

function changed() {
  waiting ??= setTimeout(renew, PATIENCE);
}

async function renew() {
  waiting = null;
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html", "Passerelle-Live": "1" } });
    if (answer.redirected && new URL(answer.url).pathname !== location.pathname) {
      location.assign(answer.url);
    } else if (answer.status === 401) {
      location.reload();
    } else if (answer.ok) {
      put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    }
  } catch {
    // The program is away for a moment: the next event, or the stream that comes back, asks again.
  } finally {
    asking = false;
    if (again) {
      again = false;
      changed();
    }
  }
}

function put(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (!other || other.outerHTML === part.outerHTML || isBeingUsed(part, other)) continue;
    const used = part.contains(document.activeElement) ? document.activeElement : null;
    part.replaceWith(other);
    follow(other, used?.id, part.dataset.state !== other.dataset.state);
  }
}

// Nobody loses what they type while the part is still about the same thing (data-state).
function isBeingUsed(part, other) {
  const used = document.activeElement;
  const typing = part.contains(used) && used.matches("input, select, textarea");
  return typing && part.dataset.state === other.dataset.state;
}

// The focus stays where it was; a part that turned to another thing brings its field, else its beginning.
function follow(part, id, turned) {
  const same = id && part.querySelector(`#${CSS.escape(id)}`);
  const field = turned && part.querySelector("[autofocus]");
  if (field) {
    field.focus();
  } else if (same) {
    same.focus();
  } else if (id) {
    const heading = part.querySelector("h1, h2");
    heading?.setAttribute("tabindex", "-1");
    heading?.focus();
  }
}

const events = new EventSource("/events");
events.addEventListener("changed", changed);
events.addEventListener("open", changed); // what happened before we listened was not told
events.addEventListener("closed", () => location.reload()); // for everybody: show that
events.addEventListener("error", () => {
  if (events.readyState === EventSource.CLOSED) location.reload(); // the session has ended: show that
});
