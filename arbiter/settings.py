"""Everything an operator can set, read once at start-up from `ARBITER_*` variables.

A variable this release does not know is refused, because a misspelt setting would otherwise silently keep its default.
"""

from __future__ import annotations

import difflib
import os
import re
import zoneinfo
from datetime import time, tzinfo
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from arbiter.errors import ConfigurationError

PREFIX = "ARBITER_"
OFF = "off"


class LogLevel(StrEnum):
    """The least serious lines that the log holds."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Mode(StrEnum):
    """What the installation is for; in production a named person must approve deciding without a clinician."""

    DEMONSTRATION = "demonstration"
    PRODUCTION = "production"


def _postgresql(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise ValueError("expected a URL that begins with postgresql://")
    return f"postgresql+psycopg://{rest}"


def _mail_server(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("expected smtp://host[:port] or smtps://host[:port]")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            f"expected no user or password; {PREFIX}MAIL_CREDENTIALS names the file that holds them"
        )
    return url


def _public_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected an https:// or http:// URL")
    return url.rstrip("/")


def _time_zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("expected the name of a time zone, such as Europe/London") from None
    return name


def _time_of_day(text: str) -> str:
    if text != OFF and not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError(f"expected a time of day such as 03:00, or {OFF}")
    return text


DatabaseUrl = Annotated[str, AfterValidator(_postgresql)]


class Settings(BaseSettings):
    """The installation's settings; each field is the variable `ARBITER_<NAME>`.

    `database_url` names a PostgreSQL server's application role and `database_owner_url` the role that migrates;
    without them the embedded PostgreSQL under `data` is used. `origin`, if set, must be the log's name kept with the keys;
    `keys_passphrase_file` holds the passphrase that they are encrypted under.
    `automatic_decisions_approved_by` names the person who has determined, for this deployment, that cases may be decided
    without a clinician; in production nothing is until somebody has. `duty` is the file that says who is called about an
    escalation; `witnesses` the file that says who cosigns the log; `mail_credentials` a file of two lines, user and
    password; `public_url` where people and systems reach us. `fleet` is the file that says which vLLM servers there are;
    `model_server_token_file` holds the key that they want. `protocols` is a folder of bundles in force beside the shipped
    ones.
    `planted_cases` is a file of invented cases, or a folder of such, that the department has consented to have planted; none is
    planted without it. With `teaching` reviewers are shown closed cases of their sites in which somebody differed, also such as they did not
    review.
    `downtime_advice` is what the pages tell people to do while the database does not answer; `time_zone` is the zone of the
    times on the pages, the machine's where it is None; `language` is what they speak. `retention_days` is how long a case is kept at least after its end,
    `backup_days` how long any copy of the database is kept at most. From `canary_at` on, by that zone, every seat is asked its
    fixed cases; all seats together are to raise `canary_false_alarms_a_year` false alarms at most, in expectation.
    Of what panels decide under a stated error rate the share `audit_share` is read by clinicians who do not see it; where one
    has waited for longer than `audit_days`, its protocol decides nothing alone until it is read.
    `drift_delta` is the probability, at most, that the watch over a protocol version's inputs ever alarms while they stay as they are.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    data: Path = Path(".arbiter")
    mode: Mode = Mode.PRODUCTION
    database_url: DatabaseUrl | None = Field(default=None, repr=False)
    database_owner_url: DatabaseUrl | None = Field(default=None, repr=False)
    # One connection numbers and signs while another releases.
    database_pool_size: int = Field(default=20, ge=2, le=150)
    host: str = "127.0.0.1"
    port: int = Field(default=8400, ge=1, le=65535)
    origin: str | None = None
    keys_passphrase_file: Path | None = None
    workers: bool = True
    capacity: int = Field(default=256, ge=8, le=100_000)
    automatic_decisions_approved_by: str | None = Field(default=None, min_length=3, max_length=200)
    planted_cases: Path | None = None
    teaching: bool = False
    fleet: Path | None = None
    model_server_token_file: Path | None = None
    protocols: Path | None = None
    secure_cookies: bool = True
    duty: Path | None = None
    witnesses: Path | None = None
    mail_server: Annotated[str, AfterValidator(_mail_server)] | None = None
    mail_from: str | None = Field(default=None, pattern=r"^[^\s@<>]{1,64}@[A-Za-z0-9.-]{1,255}$")
    mail_credentials: Path | None = None
    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    log_level: LogLevel = LogLevel.INFO
    downtime_advice: str = Field(
        default="Follow your local downtime procedure for decisions that Arbiter takes part in.",
        min_length=3,
        max_length=1000,
    )
    time_zone: Annotated[str, AfterValidator(_time_zone)] | None = None
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(_[A-Z][a-z]{3})?(_[A-Z]{2})?$")
    retention_days: int = Field(default=10_958, ge=0, le=40_000)
    backup_days: int = Field(default=35, ge=1, le=4_000)
    canary_at: Annotated[str, AfterValidator(_time_of_day)] = "03:00"
    canary_false_alarms_a_year: Decimal = Field(
        default=Decimal("0.1"), gt=0, le=366, max_digits=12, decimal_places=6
    )

    audit_share: Decimal = Field(default=Decimal("0.2"), gt=0, le=1, max_digits=7, decimal_places=6)
    audit_days: int = Field(default=14, ge=1, le=90)
    drift_delta: Decimal = Field(default=Decimal("0.05"), gt=0, lt=1, max_digits=12, decimal_places=9)

    @property
    def may_decide_alone(self) -> bool:
        """True when a panel's verdict may become a decision without a clinician."""
        return self.mode is Mode.DEMONSTRATION or self.automatic_decisions_approved_by is not None

    @property
    def needs_error_rate(self) -> bool:
        """True where a panel's verdict becomes a decision only under a stated error rate."""
        return self.mode is Mode.PRODUCTION

    @property
    def zone(self) -> tzinfo | None:
        """The zone in which people are shown times; None is the zone this machine is set to."""
        return None if self.time_zone is None else zoneinfo.ZoneInfo(self.time_zone)

    @property
    def canary_time(self) -> time | None:
        """The time of day from which the canary asks; None where it does not by itself."""
        return None if self.canary_at == OFF else time.fromisoformat(self.canary_at)

    @model_validator(mode="after")
    def _owner_needs_a_server(self) -> Settings:
        if self.database_owner_url is not None and self.database_url is None:
            raise ValueError(f"{PREFIX}DATABASE_OWNER_URL is set without {PREFIX}DATABASE_URL")
        return self

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Settings:
        if (self.mail_server is None) != (self.mail_from is None):
            raise ValueError(f"{PREFIX}MAIL_SERVER and {PREFIX}MAIL_FROM are set together or not at all")
        if self.mail_credentials is not None and self.mail_server is None:
            raise ValueError(f"{PREFIX}MAIL_CREDENTIALS is set without {PREFIX}MAIL_SERVER")
        return self


class ClientSettings(BaseSettings):
    """What the commands that call a running Arbiter need: its address, and the file that holds their token."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    url: str = "http://127.0.0.1:8400"
    token_file: Path | None = None


_Settings = TypeVar("_Settings", Settings, ClientSettings)


def read_settings() -> Settings:
    """Read the process's environment; raise ConfigurationError naming every variable that is unknown or unfit."""
    return _read(Settings)


def read_client_settings() -> ClientSettings:
    """Read what a command that calls a running Arbiter needs; raises as `read_settings`."""
    return _read(ClientSettings)


def _read(model: type[_Settings]) -> _Settings:
    fields = Settings.model_fields | ClientSettings.model_fields
    known = {f"{PREFIX}{name}".upper() for name in fields}
    unknown = [
        name for name in sorted(os.environ) if name.upper().startswith(PREFIX) and name.upper() not in known
    ]
    if unknown:
        raise ConfigurationError("; ".join(_unknown(name, known) for name in unknown))
    try:
        return model()
    except ValidationError as error:
        # The values stay out of the message: a database URL holds a password.
        faults = [_fault(tuple(fault["loc"]), fault["msg"]) for fault in error.errors()]
        raise ConfigurationError("; ".join(faults)) from None


def _unknown(name: str, known: set[str]) -> str:
    nearest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.0)
    return f"unknown setting {name}: did you mean {nearest[0]}?"


def _fault(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    if not location:
        return text
    name = str(location[0])
    variable = name if name.upper().startswith(PREFIX) else f"{PREFIX}{name}"
    return f"{variable.upper()}: {text[:1].lower()}{text[1:]}"
