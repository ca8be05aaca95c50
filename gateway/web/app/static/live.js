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
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
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
    if (other && other.outerHTML !== part.outerHTML && !isBeingUsed(part)) part.replaceWith(other);
  }
}

// Nobody loses what they type, and the focus stays where it is when only a part beside it changes.
function isBeingUsed(part) {
  const used = document.activeElement;
  return part.contains(used) && used.matches("input, select, textarea");
}

const events = new EventSource("/events");
events.addEventListener("changed", changed);
let lost = false;
events.addEventListener("error", () => {
  if (events.readyState === EventSource.CLOSED) location.reload(); // the session has ended: show that
  lost = true;
});
events.addEventListener("open", () => {
  if (lost) changed(); // what happened meanwhile was not told
  lost = false;
});
