"""Every text of the pages in the language that is spoken, from gettext catalogues.

A text stands in the code in English, which is also its key: `_("Sign the decision")`, or `noted(...)` where a constant only marks it
and `_` is called when it is shown. Texts with values carry named places, filled after they are translated:
`_("due in {length}").format(length=...)`. Templates say the same with `{% trans %}` and `_()` of Jinja's extension.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from gettext import NullTranslations
from typing import Final

_ENGLISH: Final = NullTranslations()
_SPOKEN: ContextVar[NullTranslations] = ContextVar("spoken", default=_ENGLISH)


def _(text: str) -> str:
    """Return a text in the language that is spoken; in English where its catalogue lacks it."""
    return _SPOKEN.get().gettext(text)


def ngettext(one: str, many: str, number: int) -> str:
    """Return the form that fits a number; the number's place is the caller's to fill."""
    return _SPOKEN.get().ngettext(one, many, number)


def noted(text: str) -> str:
    """Mark a text for the catalogue where it is a constant; `_` says it."""
    return text


@contextmanager
def speaking(language: NullTranslations) -> Iterator[None]:
    """Speak this language within the block."""
    token = _SPOKEN.set(language)
    try:
        yield
    finally:
        _SPOKEN.reset(token)
