"""Where passkeys work: browsers bind each to a host's name, over https, or over http on localhost alone (WebAuthn Level 3, 5.1)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from arbiter.errors import ConfigurationError
from arbiter.settings import Mode, Settings

LOCAL: Final = "localhost"
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*", re.ASCII)
_PORTS = {"https": 443, "http": 80}


class WhyNot(StrEnum):
    """Why passkeys work nowhere, in an operator's words."""

    NO_ADDRESS = "passkeys need ARBITER_PUBLIC_URL, the address of the pages"
    NUMBER = "passkeys need a host's name in ARBITER_PUBLIC_URL, came an IP address"
    UNFIT = "passkeys need a host's name in ASCII in ARBITER_PUBLIC_URL"
    INSECURE = "passkeys need https in ARBITER_PUBLIC_URL, came http"


class NoPlaceError(ConfigurationError):
    """Passkeys work nowhere here; `why` says what is missing."""

    def __init__(self, why: WhyNot) -> None:
        super().__init__(str(why))
        self.why = why


@dataclass(frozen=True, slots=True)
class Place:
    """What a browser binds a passkey to: the host's name (`rp_id`), and the origin of the pages."""

    rp_id: str
    origin: str


def place_of(settings: Settings) -> Place:
    """Return where passkeys work here: at `public_url`, or, in a demonstration without one, on localhost.

    Raises:
        NoPlaceError: saying why they work nowhere.
    """
    if settings.public_url is None:
        if settings.mode is Mode.DEMONSTRATION:
            return Place(LOCAL, f"http://{LOCAL}:{settings.port}")
        raise NoPlaceError(WhyNot.NO_ADDRESS)
    parts = urlsplit(settings.public_url)
    host = (parts.hostname or "").lower()
    if _is_number(host):
        raise NoPlaceError(WhyNot.NUMBER)
    if not _HOST.fullmatch(host):
        raise NoPlaceError(WhyNot.UNFIT)
    if parts.scheme != "https" and host != LOCAL:
        raise NoPlaceError(WhyNot.INSECURE)
    port = "" if parts.port in {None, _PORTS[parts.scheme]} else f":{parts.port}"
    return Place(host, f"{parts.scheme}://{host}{port}")


def why_not(settings: Settings) -> WhyNot | None:
    """Return why passkeys work nowhere here; None where they do."""
    try:
        place_of(settings)
    except NoPlaceError as error:
        return error.why
    return None


def _is_number(host: str) -> bool:
    # Browsers read one number, or hexadecimal ones, as an address too.
    if re.fullmatch(r"[0-9.]+|0x[0-9a-f.x]+", host, re.ASCII):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
