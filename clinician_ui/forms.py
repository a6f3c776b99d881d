"""What browsers send, turned into values or into sentences that say what to put right.

A form that a person filled in badly comes back with `Mistake`s; a form that no page of ours can have sent (an unknown
field, one that came twice, a body too large) is refused as a whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from arbiter.errors import RefusedError
from clinician_ui.fields import CSRF_FIELD, Fields, only_value
from clinician_ui.texts import _, noted

LONGEST_TEXT = 2_000
LONGEST_PASSKEY = 16_384
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PERCENT = re.compile(r"\s*(\d{1,3})\s*%?\s*", re.ASCII)

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


# --- the forms ---------------------------------------------------------------------------------------------------


def _say(message: str) -> PydanticCustomError:
    return PydanticCustomError("mistake", "{message}", {"message": message})


def _text(value: str) -> str:
    text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if _CONTROL.search(text):
        raise _say(_("Remove characters that cannot be read or printed"))
    if len(text) > LONGEST_TEXT:
        raise _say(_("Use {number} characters or fewer").format(number=f"{LONGEST_TEXT:,}"))
    return text if is_seen(text) else ""


def is_seen(text: str) -> bool:
    """Return whether a text has anything to see: spaces have not, nor have characters without a width or a shape."""
    return any(character.isprintable() and not character.isspace() for character in text)


def _percent(value: object) -> object:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise _say(_("Enter how sure you are, from 0 to 100"))
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) > 100:
        raise _say(_("How sure you are must be a whole number from 0 to 100"))
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
    """The reviewer's own answer: an option, how sure (0 to 100), the facts it rests on, a note.

    `then` is `show` where the panel is to be shown as soon as the answer is locked.
    """

    option: str = ""
    confidence: Annotated[int, BeforeValidator(_percent)] = Field(default=None, validate_default=True)
    rests_on: tuple[str, ...] = ()
    note: Text = ""
    then: Literal["", "show"] = ""


class SignForm(_Strict):
    """The decision: an option, why, the hash of what was shown, and login and password once more or a passkey's answer.

    `keep` is the option of the button that keeps one's own answer; it stands for a selected option.
    """

    option: str = ""
    keep: str = ""
    reason: Text = ""
    shown: str = Field(default="", max_length=64)
    login: str = Field(default="", max_length=256)
    password: str = Field(default="", max_length=1024)
    passkey: str = Field(default="", max_length=LONGEST_PASSKEY)


class PasskeyForm(_Strict):
    """A passkey to add: what it is called, the password once more where it is asked for, the browser's answer where it comes."""

    name: str = Field(default="", max_length=200)
    password: str = Field(default="", max_length=1024)
    passkey: str = Field(default="", max_length=LONGEST_PASSKEY)


class RemovalForm(_Strict):
    """The passkey to remove, by the id that its owner's page gives it."""

    passkey: str = Field(default="", max_length=64)


class GlassForm(_Strict):
    """The case of another site to open, and why."""

    case: str = Field(default="", max_length=200)
    reason: Text = ""


class ReasonForm(_Strict):
    """Why a case is referred, a conflict is declared, or a decision is taken back."""

    reason: Text = ""


class DeferForm(_Strict):
    """For how many minutes a case is set aside, and why."""

    wait: str = Field(default="", max_length=6)
    reason: Text = ""


class AskForm(_Strict):
    """Which facts the hospital's system is asked for, by name, and a note to whoever sends them."""

    facts: tuple[str, ...] = ()
    note: Text = ""


class AttendanceForm(_Strict):
    """The logins of those who sat together over a case."""

    attendees: Text = ""


def check_log_in(fields: Fields) -> Checked[LogInForm]:
    """Check a log-in; the field `next` is checked where it is used."""
    return _check(
        LogInForm,
        fields,
        (_blank(fields, "login"), Mistake("login", _("Enter your login"))),
        (not only_value(fields, "password"), Mistake("password", _("Enter your password"))),
    )


def check_opinion(fields: Fields) -> Checked[OpinionForm]:
    """Check an opinion; whether the case has that option and those facts is the workflow's to say."""
    groundless = not fields.get("rests_on") and _blank(fields, "note")
    return _check(
        OpinionForm,
        fields,
        (not only_value(fields, "option"), Mistake("option", _("Select your answer"))),
        (groundless, Mistake("rests_on", _("Tick what your answer rests on, or explain it in the note"))),
    )


SHOWN_CHANGED = noted("What you were shown has changed since. Read the case again before you sign")


_TWO_ANSWERS = noted(
    "You keep your answer, but have selected another one. Select the one you mean, and sign the decision"
)


def check_signature(fields: Fields) -> Checked[SignForm]:
    """Check a signature; whether this decision needs a reason is the workflow's to say.

    Login and password are asked for only where no passkey's answer came. An answer that is kept needs not be selected; where
    another one is, nobody can tell which of the two is meant.
    """
    by_hand = not only_value(fields, "passkey")
    selected, kept = only_value(fields, "option"), only_value(fields, "keep")
    return _check(
        SignForm,
        {**fields, "option": (kept,)} if kept and not selected else fields,
        (not selected and not kept, Mistake("option", _("Select your decision"))),
        (bool(selected and kept and selected != kept), Mistake("option", _(_TWO_ANSWERS))),
        (_blank(fields, "shown"), Mistake("shown", _(SHOWN_CHANGED))),
        (by_hand and _blank(fields, "login"), Mistake("login", _("Enter your login to sign"))),
        (
            by_hand and not only_value(fields, "password"),
            Mistake("password", _("Enter your password to sign")),
        ),
    )


def check_decision(fields: Fields) -> Checked[SignForm]:
    """Check what a passkey is to be asked to sign: all of a signature but who proves it."""
    return _check(
        SignForm,
        {name: values for name, values in fields.items() if name not in {"login", "password", "passkey"}},
        (not only_value(fields, "option"), Mistake("option", _("Select your decision"))),
        (_blank(fields, "shown"), Mistake("shown", _(SHOWN_CHANGED))),
    )


def check_passkey(fields: Fields) -> Checked[PasskeyForm]:
    """Check a passkey that is to be asked for: it has a name, and the password is typed once more."""
    return _check(
        PasskeyForm,
        fields,
        (_blank(fields, "name"), Mistake("name", _("Give the passkey a name"))),
        (not only_value(fields, "password"), Mistake("password", _("Enter your password"))),
    )


def check_new_passkey(fields: Fields) -> Checked[PasskeyForm]:
    """Check a passkey that a browser has made."""
    missing = not only_value(fields, "passkey")
    return _check(PasskeyForm, fields, (missing, Mistake("name", _("Your browser has made no passkey"))))


def check_removal(fields: Fields) -> Checked[RemovalForm]:
    """Check which passkey is to be removed; whether it is one's own is the workflow's to say."""
    missing = _blank(fields, "passkey")
    return _check(RemovalForm, fields, (missing, Mistake("passkey", _("Select the passkey to remove"))))


def check_glass(fields: Fields) -> Checked[GlassForm]:
    """Check whether there is an id and a reason; whether there is such a case is the workflow's to say."""
    return _check(
        GlassForm,
        fields,
        (_blank(fields, "case"), Mistake("case", _("Enter the id of the case"))),
        (_blank(fields, "reason"), Mistake("reason", _("Give the reason: it goes into the log"))),
    )


def check_reason(fields: Fields) -> Checked[ReasonForm]:
    """Check that there is a reason."""
    return _check(ReasonForm, fields, (_blank(fields, "reason"), Mistake("reason", _("Give the reason"))))


def check_deferral(fields: Fields) -> Checked[DeferForm]:
    """Check a time and a reason; whether the case can wait that long is the workflow's to say."""
    wait = (only_value(fields, "wait") or "").strip()
    return _check(
        DeferForm,
        fields,
        (not (wait.isascii() and wait.isdigit()), Mistake("wait", _("Select for how long"))),
        (_blank(fields, "reason"), Mistake("reason", _("Give the reason"))),
    )


def check_asking(fields: Fields) -> Checked[AskForm]:
    """Check that a fact is asked for; whether the question has it is the workflow's to say."""
    return _check(AskForm, fields, (not fields.get("facts"), Mistake("facts", _("Tick at least one fact"))))


def check_attendance(fields: Fields) -> Checked[AttendanceForm]:
    """Check that somebody is named; who they are is the workflow's to say."""
    nobody = _blank(fields, "attendees")
    return _check(AttendanceForm, fields, (nobody, Mistake("attendees", _("Enter at least one login"))))


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody had typed, shown to them again; nothing in it has been checked but its size.

    `saved_at` is set for one that was kept while they were away: when that was, in words.
    """

    option: str = ""
    confidence: str = ""
    rests_on: tuple[str, ...] = ()
    note: str = ""
    reason: str = ""
    saved_at: str = ""


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
    return not is_seen(only_value(fields, name) or "")


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
            return Mistake(field, _("Use fewer characters"))
        case _:
            # No page of ours sends this: an unknown field, or one of another kind.
            raise RefusedError(f"the form's field {field[:40]!r} is not one that its page has")
