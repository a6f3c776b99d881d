// Enhances the design system's components. Every page works without it.

import { Button, ErrorSummary, NotificationBanner, PasswordInput, SkipLink, createAll } from "nhsuk-frontend";

document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
for (const Component of [Button, ErrorSummary, NotificationBanner, PasswordInput, SkipLink]) {
  createAll(Component);
}
