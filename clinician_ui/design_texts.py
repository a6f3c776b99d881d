"""The design system's own texts, which its templates and scripts say in English unless they are told otherwise.

Its templates are read with each of these texts turned into a call of gettext; its scripts are told them by the page. So no
template of ours has to hand them on.
"""

from __future__ import annotations

import json
import re
from typing import Final

from jinja2.ext import Extension

from clinician_ui.texts import _, noted

DEFAULTS: Final = (
    noted("Back"),
    noted("Column headers are sortable"),
    noted("Error"),
    noted("Important"),
    noted("Information"),
    noted("Search"),
    noted("Show"),
    noted("Show password"),
    noted("Skip to main content"),
    noted("Success"),
)
"""The texts that its templates fall back on."""

_DEFAULT: Final = re.compile(rf'(default\(|else )"({"|".join(DEFAULTS)})"')
_SCRIPTS: Final = {
    "showPassword": noted("Show"),
    "hidePassword": noted("Hide"),
    "showPasswordAriaLabel": noted("Show password"),
    "hidePasswordAriaLabel": noted("Hide password"),
    "passwordShownAnnouncement": noted("Your password is visible"),
    "passwordHiddenAnnouncement": noted("Your password is hidden"),
}


class DesignTexts(Extension):
    """Turns the fall-backs of the design system's templates into texts of the catalogue."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return a template's source; only those of the design system are altered."""
        del filename
        if name is None or not name.startswith("nhsuk/"):
            return source
        return _DEFAULT.sub(r'\1_("\2")', source)


def script_texts() -> str:
    """Return what the design system's scripts say, by its own names, as JSON."""
    return json.dumps({name: _(text) for name, text in _SCRIPTS.items()})
