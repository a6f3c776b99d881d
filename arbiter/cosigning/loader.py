"""Loads the file of witnesses: bytes in, a frozen `Circle` out, or every problem with its file, line and column."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from arbiter.audit.note import SignatureType, VerifierKey
from arbiter.cosigning.circle import Circle, Witness
from arbiter.errors import InvalidWitnessesError, VerificationError, counted
from arbiter.files.faults import PROBLEMS_LIMIT, Finder, structured
from arbiter.files.reading import read_yaml
from arbiter.files.sources import read_source
from arbiter.files.values import Id
from arbiter.model import RiskClass

SIZE_LIMIT: Final = 256 * 1024
LONGEST_URL: Final = 2000


def _key(value: object) -> VerifierKey:
    if not isinstance(value, str):
        raise PydanticCustomError("witness_key", "expected a witness's verifier key")
    try:
        key = VerifierKey.parse(value)
    except VerificationError as error:
        raise PydanticCustomError("witness_key", "{fault}", {"fault": str(error)}) from None
    if key.type is SignatureType.ED25519:
        raise PydanticCustomError("witness_key", "expected a cosigner's key, a log's own (type 0x01) came")
    return key


def _url(value: object) -> str:
    """Return a URL's text when a checkpoint may be sent there: https, or http to this very machine."""
    expected = PydanticCustomError(
        "witness_url",
        "expected an https:// URL without user, password, query or fragment; http:// for the loopback address alone",
    )
    if (
        not isinstance(value, str)
        or len(value) > LONGEST_URL
        or not value.isascii()
        or not value.isprintable()
    ):
        raise expected
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise expected from None
    extras = parts.username is not None or parts.password is not None or "?" in value or "#" in value
    if not host or extras or " " in value:
        raise expected
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise expected
    return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)


class WitnessPart(_Part):
    """One witness."""

    name: Id
    key: Annotated[VerifierKey, BeforeValidator(_key)]
    url: Annotated[str, BeforeValidator(_url)]


Needed = Annotated[int, Field(ge=0, le=64)]


class QuorumPart(_Part):
    """How many must have cosigned, a number for each risk class: none is left to a default."""

    routine: Needed
    urgent: Needed
    emergency: Needed


class WitnessesFile(_Part):
    """The whole file."""

    witnesses: Annotated[list[WitnessPart], Field(min_length=1, max_length=64)]
    quorum: QuorumPart


def read_circle(path: Path) -> Circle:
    """Return the file of witnesses at `path`.

    Raises:
        ConfigurationError: when it cannot be read; InvalidWitnessesError: with every problem found.
    """
    return load_circle(path.name, read_source(path, "the file of witnesses", SIZE_LIMIT))


def load_circle(name: str, source: bytes) -> Circle:
    """Return the circle that a file of that name and these bytes describes; pure.

    Raises:
        InvalidWitnessesError: with every problem found, each pointer `file:line:column`.
    """
    read = read_yaml(name, source)
    file = structured(WitnessesFile, read)
    if file is not None:
        _check(file, Finder(read.positions, read.problems))
    if read.problems or file is None:
        raise InvalidWitnessesError(
            f"the file of witnesses has {counted(len(read.problems), 'problem')}",
            tuple(read.problems[:PROBLEMS_LIMIT]),
        )
    quorum = dict(_quorum(file))
    return Circle(
        tuple(Witness(part.name, part.key, part.url) for part in file.witnesses), MappingProxyType(quorum)
    )


def _quorum(file: WitnessesFile) -> Iterator[tuple[RiskClass, int]]:
    for risk_class in RiskClass:
        match risk_class:
            case RiskClass.ROUTINE:
                yield risk_class, file.quorum.routine
            case RiskClass.URGENT:
                yield risk_class, file.quorum.urgent
            case RiskClass.EMERGENCY:
                yield risk_class, file.quorum.emergency


def _check(file: WitnessesFile, finder: Finder) -> None:
    finder.unique(("witnesses",), "name", (part.name for part in file.witnesses))
    finder.unique(("witnesses",), "url", (part.url for part in file.witnesses))
    seen: set[bytes] = set()
    for index, part in enumerate(file.witnesses):
        # A cosignature does not name its signer: one key under two names would be one witness counted twice.
        if part.key.public_key in seen:
            finder.report(
                ("witnesses", index, "key"), "duplicate", "expected each key once, this one came before"
            )
        seen.add(part.key.public_key)
    for risk_class, needed in _quorum(file):
        if needed > len(file.witnesses):
            finder.report(
                ("quorum", risk_class.value),
                "value",
                f"expected at most {len(file.witnesses)}, the number of witnesses, {needed} came",
            )
