"""The duty file as strict models: unknown keys refused, nothing coerced. What needs two places is `arbiter.duty.loader`'s."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from arbiter.duty.roster import DAY
from arbiter.files.values import Duration, Id, Title

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
# RFC 5321 without quoted local parts and address literals: what a person writes, and nothing that could end a header.
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_ENDPOINT = re.compile(r"we_[a-z2-7]{16}")


class Day(StrEnum):
    """A day of the week, in its order."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


def _clock(value: object) -> int:
    """Read HH:MM, 00:00 to 24:00, as minutes of the day."""
    if not isinstance(value, str) or _CLOCK.fullmatch(value) is None:
        raise PydanticCustomError("clock", "expected a time of day such as 08:00, up to 24:00")
    hours, minutes = value.split(":")
    return int(hours) * 60 + int(minutes)


def _zone(value: object) -> ZoneInfo:
    if not isinstance(value, str) or value not in available_timezones():
        raise PydanticCustomError("zone", "expected the name of an IANA time zone such as Europe/London")
    return ZoneInfo(value)


def _mail(value: object) -> str:
    if not isinstance(value, str) or _MAIL.fullmatch(value) is None:
        raise PydanticCustomError("mail", "expected a mail address")
    return value


def _endpoint(value: object) -> str:
    if not isinstance(value, str) or _ENDPOINT.fullmatch(value) is None:
        raise PydanticCustomError("endpoint", "expected the id of a registered webhook endpoint")
    return value


Clock = Annotated[int, BeforeValidator(_clock), Field(ge=0, le=DAY)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Mail = Annotated[str, BeforeValidator(_mail)]
Endpoint = Annotated[str, BeforeValidator(_endpoint)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)


class ContactPart(_Part):
    """Somebody to call, by exactly one of mail and webhook."""

    id: Id
    mail: Mail | None = None
    webhook: Endpoint | None = None


class ShiftPart(_Part):
    """Who is on duty from and to a time of day, from each of these days on; a `to` not after `from` is the next day's."""

    days: Annotated[list[Annotated[Day, Field(strict=False)]], Field(min_length=1, max_length=7)]
    begins: Clock = Field(alias="from")
    ends: Clock = Field(alias="to")
    contacts: Annotated[list[Id], Field(min_length=1, max_length=32)]


class RotaPart(_Part):
    """A week's shifts; `gaps_go_to` allows gaps and says who is called in them."""

    zone: Zone
    shifts: Annotated[list[ShiftPart], Field(min_length=1, max_length=168)]
    gaps_go_to: Annotated[list[Id], Field(min_length=1, max_length=32)] | None = None


class GroupPart(_Part):
    """A group of people."""

    id: Id
    title: Title
    contacts: Annotated[list[ContactPart], Field(min_length=1, max_length=64)]
    rota: RotaPart | None = None


class RungPart(_Part):
    """One rung of a ladder."""

    group: Id
    acknowledge_within: Duration


Rungs = Annotated[list[RungPart], Field(min_length=1, max_length=10)]


class LadderPart(_Part):
    """Whom escalations of these protocols' duty groups call, by risk class."""

    duty_groups: Annotated[list[Id], Field(min_length=1, max_length=64)]
    routine: Rungs
    urgent: Rungs
    emergency: Rungs


class DutyFile(_Part):
    """The whole file."""

    groups: Annotated[list[GroupPart], Field(min_length=1, max_length=200)]
    ladders: Annotated[list[LadderPart], Field(min_length=1, max_length=200)]
