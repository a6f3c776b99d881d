"""Templates to responses: one environment, one set of headers.

A page is never kept by a browser or a proxy, runs no script and no style but our own files, and cannot be framed.
A value that a page needs and did not get stops the page: it never shows as an empty place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from jinja2 import ChainableUndefined, ChoiceLoader, Environment, FileSystemLoader, PackageLoader
from starlette.responses import HTMLResponse

from clinician_ui.assets import Assets
from clinician_ui.components import Components
from clinician_ui.design_texts import DesignTexts, script_texts
from clinician_ui.texts import _, ngettext, spoken

TEMPLATES = Path(__file__).parent / "templates"

SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": (
            "camera=(), geolocation=(), microphone=(), payment=(), "
            "publickey-credentials-create=(self), publickey-credentials-get=(self), usb=()"
        ),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)
NO_STORE: Mapping[str, str] = MappingProxyType({"Cache-Control": "no-store"})


class Absent(ChainableUndefined):
    """A missing value: the design system's macros may ask about it, nothing may print it."""

    def _refuse(self) -> NoReturn:
        self._fail_with_undefined_error()

    __str__ = __html__ = _refuse


def create_environment(assets: Assets) -> Environment:
    """Return the templates' environment; it escapes everything that is not marked as markup."""
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(TEMPLATES), PackageLoader("nhsuk_frontend_jinja")]),
        # No answer waits until the disk was asked about each file that a page is made of: they change with the release.
        auto_reload=False,
        autoescape=True,
        undefined=Absent,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", DesignTexts],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(_, ngettext, newstyle=True)  # type: ignore[attr-defined] # the extension's
    environment.globals["nhs"] = Components(environment)
    environment.globals["asset"] = assets.address
    environment.globals["spoken"] = spoken
    environment.globals["script_texts"] = script_texts
    environment.filters["capitalize_first"] = _capitalize_first
    return environment


def _capitalize_first(text: str) -> str:
    return text[:1].upper() + text[1:]


class Renderer:
    """Renders the named page with what every page shows: whether this is a demonstration."""

    def __init__(self, assets: Assets, *, demonstration: bool, planting: bool = False) -> None:
        self._environment = create_environment(assets)
        self._environment.globals["demonstration"] = demonstration
        self._environment.globals["planting"] = planting

    def page(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return the page `name` (a template without its suffix) as a response that nobody keeps."""
        return HTMLResponse(self.text(name, **values), status_code=status, headers=dict(NO_STORE))

    def text(self, name: str, **values: Any) -> str:
        """Return a template as text, for what is not sent to a browser."""
        return self._environment.get_template(f"{name}.jinja").render(**values)
