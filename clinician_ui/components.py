"""The design system's components as templates call them: `{{ nhs.button({...}) }}`, by the names that it gives its macros.

Its templates ask about every option that a component can have, which is most of what a page costs, and one page's buttons, labels
and choices are the next one's. So what a component makes of the same parameters in the same language is made once and kept. What
somebody typed is never kept, nor what stands around other content: those may be about a patient.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Final

from jinja2 import Environment, TemplateNotFound
from markupsafe import Markup

from clinician_ui.texts import Language, spoken

MOST_KEPT: Final = 2048
"""So many are kept, those used last; one is some hundred to a few thousand characters."""

_FIELDS: Final = frozenset({"input", "passwordInput", "textarea"})
_KEPT: Final = _FIELDS | {"backLink", "button", "checkboxes", "radios", "select", "skipLink", "tag"}
_CHOSEN: Final = frozenset({"date", "datetime-local"})
_CAPITAL: Final = re.compile(r"(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A component with its parameters; two are the same when their parameters are written the same."""

    name: str
    language: Language
    written: str
    parameters: Mapping[str, Any] = field(compare=False)


class Components:
    """The components of one environment, each as an attribute that takes the parameters its macro takes."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._made = lru_cache(MOST_KEPT)(self._make_asked)

    @property
    def kept(self) -> int:
        """How many made components are kept."""
        return self._made.cache_info().currsize

    def __getattr__(self, name: str) -> Callable[..., Markup]:
        """Return the component of that name; raise AttributeError when the design system has none."""
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            self._environment.get_template(_path(name))
        except TemplateNotFound:
            raise AttributeError(f"the design system has no component {name!r}") from None
        component = partial(self._call, name)
        # Asked for again, it is there.
        setattr(self, name, component)
        return component

    def _call(
        self, name: str, parameters: Mapping[str, Any], caller: Callable[..., Markup] | None = None
    ) -> Markup:
        if caller is not None or not _is_kept(name, parameters):
            return self._make(name, parameters, caller)
        # Parameters are texts, markup, numbers and truth values, in lists and mappings: as they are written tells them apart.
        return self._made(_Asked(name, spoken(), repr(parameters), parameters))

    def _make_asked(self, asked: _Asked) -> Markup:
        return self._make(asked.name, asked.parameters, None)

    def _make(self, name: str, parameters: Mapping[str, Any], caller: Callable[..., Markup] | None) -> Markup:
        macro = getattr(self._environment.get_template(_path(name)).module, name)
        made: Markup = macro(parameters) if caller is None else macro(parameters, caller=caller)
        return made


def _is_kept(name: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether what a component makes may be kept: never with what somebody typed, unless it is a day."""
    typed = name in _FIELDS and parameters.get("value") and parameters.get("type") not in _CHOSEN
    return name in _KEPT and not typed


def _path(name: str) -> str:
    return f"nhsuk/components/{'-'.join(_CAPITAL.split(name)).lower()}/macro.jinja"
