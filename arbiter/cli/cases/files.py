"""What `arbiter submit` sends: a case as it stands in a file, a FHIR Bundle, or one of a protocol's examples.

A file is sent byte for byte; only an override makes it be written anew. No message repeats anything of its content.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from arbiter.cli.failing import UsageError
from arbiter.documents.scalars import decimal_text
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.loader import read_shipped, shipped

CASES_PATH = "/v1/cases"
FHIR_PATH = "/fhir/Bundle/$submit-case"
LONGEST_CASE = 4 * 1024 * 1024
EXAMPLE_SITE = "demonstration"
"""The site that `arbiter demo` makes."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says instead of the file."""

    protocol: str | None
    site: str | None
    risk_class: str | None
    training: bool = False

    def members(self) -> dict[str, str | bool]:
        """Return those given, by the name that a case has for them."""
        named: dict[str, str | bool | None] = {
            "protocol": self.protocol,
            "site": self.site,
            "risk_class": self.risk_class,
            "training": self.training or None,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Request:
    """A request that makes a case: `body` goes to `address` (path and query) as it is."""

    address: str
    media_type: str
    body: bytes

    @property
    def is_bundle(self) -> bool:
        """Whether this goes to the FHIR door."""
        return self.address.startswith(FHIR_PATH)

    def digest(self) -> str:
        """Return what is the same for the same request alone."""
        return hashlib.sha256(self.address.encode() + b"\0" + self.body).hexdigest()


def from_file(path: Path, overrides: Overrides) -> Request:
    """Return the request that sends a file's case, or standard input's for `-`.

    Raises:
        UsageError: for a file that is no JSON object, too long, or lacks what only the command line can say.
    """
    if str(path) == "-":
        body = sys.stdin.buffer.read(LONGEST_CASE + 1)
    else:
        with path.open("rb") as file:
            body = file.read(LONGEST_CASE + 1)
    name = "standard input" if str(path) == "-" else str(path)
    if len(body) > LONGEST_CASE:
        raise UsageError(f"{name}: expected at most {LONGEST_CASE} bytes, more came")
    case = _object_in(body, name)
    if case.get("resourceType") is not None:
        return _bundle(case, body, name, overrides)
    changes = overrides.members()
    if not changes:
        return Request(CASES_PATH, "application/json", body)
    _check_numbers(body, name)
    return Request(CASES_PATH, "application/json", _written({**case, **changes}))


def from_example(protocol: str, example: LabelledCase, overrides: Overrides, taken_at: datetime) -> Request:
    """Return the request that sends an example, its facts observed as long before `taken_at` as the example says."""
    # A number that says nothing: the example's own name would tell a reviewer the answer.
    patient = f"made-up-{zlib.crc32(example.id.encode()) % 1_000_000:06d}"
    facts = {
        name: {
            "value": _number(raw.value) if isinstance(raw.value, Decimal) else raw.value,
            **({} if raw.unit is None else {"unit": raw.unit}),
            "observed_at": raw.observed_at.isoformat(),
            "status": raw.status,
            "source": raw.source,
        }
        for name, raw in example.raw_facts(taken_at).items()
    }
    case = {
        "protocol": protocol,
        "site": EXAMPLE_SITE,
        "subject": {"system": "urn:example:demonstration", "value": patient},
        "risk_class": example.risk_class.value,
        "facts": facts,
        **overrides.members(),
    }
    return Request(CASES_PATH, "application/json", _written(case))


def find_example(name: str) -> tuple[str, LabelledCase]:
    """Return the protocol's id and the example that `PROTOCOL/EXAMPLE` names; raise UsageError when there is none."""
    protocol, _, wanted = name.partition("/")
    if protocol not in shipped():
        raise UsageError(f"expected an example as PROTOCOL/EXAMPLE, of {', '.join(shipped())}; came {name}")
    examples = read_shipped(protocol).examples
    found = next((example for example in examples if example.id == wanted), None)
    if found is None:
        raise UsageError(
            f"{protocol} has no example {wanted or 'without a name'}; `arbiter protocol show {protocol}` lists them"
        )
    return protocol, found


def _bundle(case: Mapping[str, Any], body: bytes, name: str, overrides: Overrides) -> Request:
    if case["resourceType"] != "Bundle":
        raise UsageError(f"{name}: expected a case or a FHIR Bundle, another FHIR resource came")
    given = overrides.members()
    missing = [
        f"--{member.replace('_', '-')}"
        for member in ("protocol", "site", "risk_class")
        if member not in given
    ]
    if missing:
        raise UsageError(f"{name} is a FHIR Bundle, which cannot say these itself: {', '.join(missing)}")
    query = urlencode({member.replace("_", "-"): _parameter(value) for member, value in given.items()})
    return Request(f"{FHIR_PATH}?{query}", "application/fhir+json", body)


def _parameter(value: str | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _object_in(body: bytes, name: str) -> Mapping[str, Any]:
    """Return the JSON object in a file. Its syntax alone is judged here; the server judges what it says."""
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_finite)
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: expected UTF-8, byte {error.start} is not") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise UsageError(f"{name}: expected JSON; {place}: {error.msg[:1].lower()}{error.msg[1:]}") from None
    except RecursionError:
        raise UsageError(f"{name}: expected a case, something nested too deeply came") from None
    except _NotStrictError as error:
        raise UsageError(f"{name}: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(
            f"{name}: expected a JSON object, a case or a FHIR Bundle; another kind of value came"
        )
    return found


class _NotStrictError(ValueError):
    """JSON that two readers may read differently."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NotStrictError("expected each member of an object once, one came twice")
    return found


def _finite(_: str) -> Any:
    raise _NotStrictError("expected finite numbers, NaN or an infinity came")


def _check_numbers(body: bytes, name: str) -> None:
    """Refuse to write anew a number that would come out as another one."""

    def number(text: str) -> float:
        value = float(text)
        if Decimal(text) != Decimal(repr(value)):
            raise UsageError(
                f"{name}: a number has more digits than an override can keep; change the file instead"
            )
        return value

    json.loads(body, parse_float=number)


def _written(case: Mapping[str, Any]) -> bytes:
    return json.dumps(case, ensure_ascii=False).encode()


def _number(value: Decimal) -> int | float:
    text = decimal_text(value)
    return float(text) if "." in text else int(text)
