// Enhances the design system's components. Every page works without it.

import { Button, ErrorSummary, NotificationBanner, PasswordInput, SkipLink, createAll } from "nhsuk-frontend";

import "./keys.js";

document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
// What a component says comes in the page's language.
const i18n = JSON.parse(document.body.dataset.texts ?? "{}");
for (const [Component, config] of [[Button], [ErrorSummary], [NotificationBanner], [PasswordInput, { i18n }], [SkipLink]]) {
  createAll(Component, config);
}
