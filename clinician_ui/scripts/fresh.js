// Keeps a part of an open page fresh; the part's own attributes say from where and how often.
// A part that cannot be refreshed stays as it is and says so: an error page never takes its place.

import htmx from "htmx.org";

htmx.config.noSwap.push("4xx", "5xx");
// A part that is fresh is no other page: a step back leads where the browser says, and loses nothing that was typed.
htmx.config.history = false;

function sayStale(stale) {
  document.querySelector("[data-stale-notice]")?.toggleAttribute("hidden", !stale);
}

document.addEventListener("htmx:error", () => sayStale(true));
document.addEventListener("htmx:response:error", () => sayStale(true));
document.addEventListener("htmx:after:request", (event) => {
  if (event.detail.ctx.response.status < 400) {
    sayStale(false);
  }
});

export { htmx };
