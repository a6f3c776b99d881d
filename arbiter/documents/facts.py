"""The JSON form of a case's facts, and the hash over it that binds every opinion."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from arbiter.documents.canonical import encode
from arbiter.documents.reader import Reader, whole
from arbiter.documents.scalars import decimal_text, instant_text
from arbiter.model import Fact, FactSet, FactStatus, FactValue
from arbiter.question import FactKind


def facts_document(facts: FactSet) -> dict[str, Any]:
    """Return the JSON form of the facts of one version of a case."""
    return {"version": facts.version, "facts": [fact_document(fact) for fact in facts]}


def facts_from(document: Mapping[str, Any]) -> FactSet:
    """Return the facts that `facts_document` wrote.

    Raises:
        RefusedError: when the document is not exactly such a form.
    """
    return whole(document, "", _read_facts)


def facts_hash(facts: FactSet) -> str:
    """Return the SHA-256, in hex, over the canonical bytes of the facts' document; it binds every opinion."""
    return hashlib.sha256(encode(facts_document(facts))).hexdigest()


def fact_document(fact: Fact) -> dict[str, Any]:
    """Return the JSON form of one fact."""
    document: dict[str, Any] = {
        "name": fact.name,
        "observed_at": instant_text(fact.observed_at),
        "status": fact.status.value,
        "source": fact.source,
    }
    if fact.unit is not None:
        document["unit"] = fact.unit
    match fact.value:
        case bool():
            document |= {"kind": FactKind.FLAG.value, "value": fact.value}
        case str():
            document |= {"kind": FactKind.CODE.value, "value": fact.value}
        case Decimal():
            document |= {"kind": FactKind.NUMBER.value, "value": decimal_text(fact.value)}
    return document


def read_fact(reader: Reader) -> Fact:
    """Return the fact that `fact_document` wrote."""
    kind = reader.one_of("kind", FactKind)
    value: FactValue
    match kind:
        case FactKind.FLAG:
            value = reader.flag("value")
        case FactKind.CODE:
            value = reader.text("value")
        case FactKind.NUMBER:
            value = reader.number("value")
    return Fact(
        name=reader.text("name"),
        value=value,
        unit=reader.optional_text("unit"),
        observed_at=reader.instant("observed_at"),
        status=reader.one_of("status", FactStatus),
        source=reader.text("source"),
    )


def _read_facts(reader: Reader) -> FactSet:
    version = reader.count("version", least=1)
    facts = reader.each("facts", read_fact)
    try:
        return FactSet(version, facts)
    except ValueError as error:
        raise reader.refuse("facts", "not-sorted", "expected facts sorted by name and unique") from error
