"""Every text of the pages in the language that the installation speaks, from gettext catalogues.

A text stands in the code in English, which is also its key: `_("Sign the decision")`, or `noted(...)` where a constant only marks it
and `_` is called when it is shown. Texts with values carry named places, filled after they are translated:
`_("due in {length}").format(length=...)`. Templates say the same with `{% trans %}` and `_()` of Jinja's extension.

What is kept as a record stays as it was written, whatever the pages speak: reasons, rationales, a certificate's plain paragraph,
what a protocol is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from struct import error as StructError  # noqa: N812 - a class under a function's name
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from arbiter.errors import ConfigurationError

DOMAIN: Final = "clinician_ui"
LANGUAGES: Final = Path(__file__).parent / "languages"
_NAME: Final = re.compile(r"[a-z]{2,3}(?:_[A-Z][a-z]{3})?(?:_[A-Z]{2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Language:
    """A language: its tag as HTML wants it (BCP 47, such as `en-GB`), whether it is written leftwards, and its texts."""

    tag: str
    leftwards: bool
    texts: NullTranslations

    @property
    def direction(self) -> str:
        """What HTML calls the direction of writing."""
        return "rtl" if self.leftwards else "ltr"


ENGLISH: Final = Language("en-GB", leftwards=False, texts=NullTranslations())
_LEFTWARDS: Final = frozenset({"ar", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})
_SPOKEN: ContextVar[Language] = ContextVar("spoken", default=ENGLISH)


def language_named(name: str, folder: Path = LANGUAGES) -> Language:
    """Return a language by its gettext name, such as `cy` or `pt_BR`; `en` is what the code itself is written in.

    Raises:
        ConfigurationError: when there is no catalogue of it, or none that can be read; the message names those there are.
    """
    if name == "en":
        return ENGLISH
    path = folder / name / "LC_MESSAGES" / f"{DOMAIN}.mo"
    if not _NAME.fullmatch(name) or not path.is_file():
        there = ", ".join(sorted({"en", *(each.parent.parent.name for each in folder.glob("*/*/*.mo"))}))
        raise ConfigurationError(f"ARBITER_LANGUAGE: expected one of {there}, got {name[:40]!r}")
    try:
        with path.open("rb") as file:
            texts = GNUTranslations(file)
    except (OSError, ValueError, LookupError, StructError) as error:
        raise ConfigurationError(f"ARBITER_LANGUAGE: the catalogue of {name} cannot be read") from error
    return Language(name.replace("_", "-"), name.partition("_")[0] in _LEFTWARDS, texts)


# --- saying ------------------------------------------------------------------------------------------------------


def _(text: str) -> str:
    """Return a text in the language that is spoken; in English where its catalogue lacks it."""
    return _SPOKEN.get().texts.gettext(text)


def ngettext(one: str, many: str, number: int) -> str:
    """Return the form that fits a number; the number's place is the caller's to fill."""
    return _SPOKEN.get().texts.ngettext(one, many, number)


def noted(text: str) -> str:
    """Mark a text for the catalogue where it is a constant; `_` says it."""
    return text


def spoken() -> Language:
    """Return the language that is spoken."""
    return _SPOKEN.get()


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Speak this language within the block."""
    token = _SPOKEN.set(language)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


class Speaking:
    """An application that speaks one language from a request's first line to its answer's last."""

    def __init__(self, application: ASGIApp, language: Language) -> None:
        self._application = application
        self._language = language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in that language."""
        with speaking(self._language):
            await self._application(scope, receive, send)
