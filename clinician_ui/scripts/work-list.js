// Keeps the open work list fresh. The server says when something has changed, and no more; the page then fetches the list as it was
// asked for. Where the server cannot say so, the page asks by itself.

import { htmx } from "./fresh.js";

const ASK_EVERY = 20_000;
// What is late, and for how long something has waited, changes with the clock alone.
const AT_LEAST_EVERY = 60_000;
const LISTEN_AGAIN = 60_000;

const list = document.getElementById("work-list");
let source = null;
let live = false;
let refreshedAt = Date.now();

function refresh() {
  htmx.trigger(list, "refresh");
}

function waiting() {
  return list.querySelector("[data-waiting]")?.dataset ?? {};
}

function listen() {
  if (source || document.hidden || !("EventSource" in window)) {
    return;
  }
  source = new EventSource(list.dataset.events);
  source.addEventListener("open", () => {
    live = true;
  });
  source.addEventListener("changed", refresh);
  source.addEventListener("error", () => {
    live = false;
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(listen, LISTEN_AGAIN);
    }
  });
}

function stopListening() {
  source?.close();
  source = null;
  live = false;
}

let said = waiting().waiting;
document.addEventListener("htmx:after:swap", () => {
  const now = waiting();
  // Told politely, and only when the number is another one.
  if (now.waiting !== undefined && now.waiting !== said) {
    said = now.waiting;
    document.querySelector("[data-waits]").textContent = now.waitingWords;
  }
});
document.addEventListener("htmx:after:request", (event) => {
  if (event.detail.ctx.response.status < 400) {
    refreshedAt = Date.now();
  }
});

setInterval(() => {
  if (!live || Date.now() - refreshedAt >= AT_LEAST_EVERY) {
    refresh();
  }
}, ASK_EVERY);
// A browser opens few connections to a house, and a tab that nobody sees needs none of them.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stopListening();
  } else {
    refresh();
    listen();
  }
});
window.addEventListener("pagehide", stopListening);
listen();
