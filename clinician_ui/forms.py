"""What browsers send, turned into values or into sentences that say what to put right.

A form that a person filled in badly comes back with `Mistake`s; a form that no page of ours can have sent (an unknown
field, one that came twice, a body too large) is refused as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from starlette.requests import ClientDisconnect, Request

from arbiter.errors import RefusedError

CSRF_FIELD = "csrf_token"
"""The hidden field that every form carries."""

LARGEST_BODY_BYTES = 65_536
MOST_FIELDS = 250
LONGEST_TEXT = 2_000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PERCENT = re.compile(r"\s*(\d{1,3})\s*%?\s*", re.ASCII)

Fields = Mapping[str, tuple[str, ...]]
_Form = TypeVar("_Form", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to put right: the field it stands beside and the sentence that says how."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Checked(Generic[_Form]):
    """A form with its values, or without them and with at least one mistake."""

    values: _Form | None
    mistakes: tuple[Mistake, ...]


async def read_fields(request: Request, largest: int = LARGEST_BODY_BYTES) -> Fields:
    """Return the fields of an urlencoded body, each with its values in order.

    Raises:
        RefusedError: for another content type, more than `largest` bytes (64 KiB) or 250 fields, or anything that is not UTF-8.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise RefusedError("expected an urlencoded form")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > largest:
                raise RefusedError(f"expected a form of at most {largest} bytes")
    except ClientDisconnect as error:
        raise RefusedError("expected a whole form, got the beginning of one") from error
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise RefusedError("expected a well-formed urlencoded form in UTF-8") from error
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        fields[name] = (*fields.get(name, ()), value)
    return fields


def only_value(fields: Fields, name: str) -> str | None:
    """Return a field's single value, or None when it is absent; raise RefusedError when it came twice."""
    values = fields.get(name, ())
    if len(values) > 1:
        raise RefusedError(f"expected the field {name} once, got it {len(values)} times")
    return values[0] if values else None


# --- the forms ---------------------------------------------------------------------------------------------------


def _say(message: str) -> PydanticCustomError:
    return PydanticCustomError("mistake", "{message}", {"message": message})


def _text(value: str) -> str:
    text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if _CONTROL.search(text):
        raise _say("Remove characters that cannot be read or printed")
    if len(text) > LONGEST_TEXT:
        raise _say(f"Use {LONGEST_TEXT:,} characters or fewer")
    return text


def _percent(value: object) -> object:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise _say("Enter how sure you are, from 0 to 100")
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) > 100:
        raise _say("How sure you are must be a whole number from 0 to 100")
    return int(match[1])


Text = Annotated[str, AfterValidator(_text)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LogInForm(_Strict):
    """A login, a password, and where to go afterwards."""

    login: str = Field(default="", max_length=256)
    password: str = Field(default="", max_length=1024)
    next: str = Field(default="", max_length=512)


class OpinionForm(_Strict):
    """The reviewer's own answer: an option, how sure (0 to 100), the facts it rests on, a note."""

    option: str = ""
    confidence: Annotated[int, BeforeValidator(_percent)] = Field(default=None, validate_default=True)
    rests_on: tuple[str, ...] = ()
    note: Text = ""


class SignForm(_Strict):
    """The decision: an option, why, and the password once more."""

    option: str = ""
    reason: Text = ""
    password: str = Field(default="", max_length=1024)


class GlassForm(_Strict):
    """The case of another site to open, and why."""

    case: str = Field(default="", max_length=200)
    reason: Text = ""


def check_log_in(fields: Fields) -> Checked[LogInForm]:
    """Check a log-in; the field `next` is checked where it is used."""
    return _check(
        LogInForm,
        fields,
        (_blank(fields, "login"), Mistake("login", "Enter your login")),
        (not only_value(fields, "password"), Mistake("password", "Enter your password")),
    )


def check_opinion(fields: Fields) -> Checked[OpinionForm]:
    """Check an opinion; whether the case has that option and those facts is the workflow's to say."""
    groundless = not fields.get("rests_on") and _blank(fields, "note")
    return _check(
        OpinionForm,
        fields,
        (not only_value(fields, "option"), Mistake("option", "Select your answer")),
        (groundless, Mistake("rests_on", "Tick what your answer rests on, or explain it in the note")),
    )


def check_signature(fields: Fields) -> Checked[SignForm]:
    """Check a signature; whether this decision needs a reason is the workflow's to say."""
    return _check(
        SignForm,
        fields,
        (not only_value(fields, "option"), Mistake("option", "Select your decision")),
        (not only_value(fields, "password"), Mistake("password", "Enter your password to sign")),
    )


def check_glass(fields: Fields) -> Checked[GlassForm]:
    """Check whether there is an id and a reason; whether there is such a case is the workflow's to say."""
    return _check(
        GlassForm,
        fields,
        (_blank(fields, "case"), Mistake("case", "Enter the id of the case")),
        (_blank(fields, "reason"), Mistake("reason", "Give the reason: it goes into the log")),
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody had typed, shown to them again; nothing in it has been checked but its size."""

    option: str = ""
    confidence: str = ""
    rests_on: tuple[str, ...] = ()
    note: str = ""
    reason: str = ""


def draft_of(fields: Fields) -> Draft:
    """Return what was typed; a password is never among it."""
    first = {name: values[0][: 2 * LONGEST_TEXT] for name, values in fields.items() if values}
    return Draft(
        option=first.get("option", ""),
        confidence=first.get("confidence", "")[:20],
        rests_on=fields.get("rests_on", ()),
        note=first.get("note", ""),
        reason=first.get("reason", ""),
    )


def _blank(fields: Fields, name: str) -> bool:
    return not (only_value(fields, name) or "").strip()


def _check(model: type[_Form], fields: Fields, *faults: tuple[bool, Mistake]) -> Checked[_Form]:
    order = list(model.model_fields)
    plural = {name for name, field in model.model_fields.items() if field.annotation == tuple[str, ...]}
    values: dict[str, object] = {
        name: fields[name] if name in plural else only_value(fields, name)
        for name in fields
        if name != CSRF_FIELD
    }
    mistakes = [mistake for wrong, mistake in faults if wrong]
    form = None
    try:
        form = model.model_validate(values)
    except ValidationError as error:
        mistakes += [_mistake(detail) for detail in error.errors(include_url=False)]
    mistakes.sort(key=lambda mistake: order.index(mistake.field))
    return Checked(None if mistakes else form, tuple(mistakes))


def _mistake(detail: ErrorDetails) -> Mistake:
    field = str(detail["loc"][0])
    match detail["type"]:
        case "mistake":
            return Mistake(field, str(detail["msg"]))
        case "string_too_long":
            return Mistake(field, "Use fewer characters")
        case _:
            # No page of ours sends this: an unknown field, or one of another kind.
            raise RefusedError(f"the form's field {field[:40]!r} is not one that its page has")
