// Enhances the design system's components. Every page works without it.

import { Button, ErrorSummary, NotificationBanner, PasswordInput, SkipLink, createAll } from "nhsuk-frontend";

import "./keys.js";

document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
// What a component says comes in the page's language.
const i18n = JSON.parse(document.body.dataset.texts ?? "{}");
for (const [Component, config] of [[Button], [ErrorSummary], [NotificationBanner], [PasswordInput, { i18n }], [SkipLink]]) {
  createAll(Component, config);
}

// A page that the browser kept alive may show more than its case allows by now, or to somebody else: it is hidden when it is left, and
// asked for anew when it comes back. Not reloaded: that would send a form again.
window.addEventListener("pagehide", (event) => {
  document.documentElement.hidden = event.persisted;
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    location.replace(location.pathname + location.search);
  }
});
