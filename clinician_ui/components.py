"""The design system's components as templates call them: `{{ nhs.button({...}) }}`, by the names that it gives its macros.

Its templates ask about every option that a component can have, which is most of what a page costs, and one page's buttons, labels
and choices are the next one's. So what a component makes of the same parameters in the same language is made once and kept.

What somebody typed is never kept, be it in a field or in a name, nor what stands around other content. What is kept may name a
protocol, a site, a colleague, or a case by its opaque id.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from jinja2 import Environment, TemplateNotFound
from markupsafe import Markup

from clinician_ui.texts import Language, spoken

MOST_KEPT: Final = 2048
"""So many are kept, those used last."""

_FIELDS: Final = frozenset({"input", "passwordInput", "textarea"})
_KEPT: Final = _FIELDS | {"backLink", "button", "checkboxes", "radios", "select", "skipLink", "tag"}
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2})?", re.ASCII)
_CAPITAL: Final = re.compile(r"(?=[A-Z])")

_Asked: TypeAlias = tuple[str, Language, str]


class Components:
    """The components of one environment, each as an attribute that takes the parameters its macro takes."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._made: OrderedDict[_Asked, Markup] = OrderedDict()

    @property
    def kept(self) -> tuple[str, ...]:
        """The parameters of what is kept, as they are written."""
        return tuple(written for _name, _language, written in self._made)

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
        asked = name, spoken(), repr(parameters)
        if asked in self._made:
            self._made.move_to_end(asked)
            return self._made[asked]
        made = self._made[asked] = self._make(name, parameters, None)
        if len(self._made) > MOST_KEPT:
            self._made.popitem(last=False)
        return made

    def _make(self, name: str, parameters: Mapping[str, Any], caller: Callable[..., Markup] | None) -> Markup:
        macro = getattr(self._environment.get_template(_path(name)).module, name)
        made: Markup = macro(parameters) if caller is None else macro(parameters, caller=caller)
        return made


def _is_kept(name: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether what a component makes may be kept: not with markup of a page's own, nor with what was typed but for a day."""
    value = parameters.get("value") if name in _FIELDS else None
    return name in _KEPT and "html" not in parameters and (not value or bool(_DAY.fullmatch(str(value))))


def _path(name: str) -> str:
    return f"nhsuk/components/{'-'.join(_CAPITAL.split(name)).lower()}/macro.jinja"
