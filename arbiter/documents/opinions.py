"""The JSON form of a member's opinion."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from arbiter.documents.canonical import encode
from arbiter.documents.reader import Reader, sorted_object, whole
from arbiter.documents.scalars import instant_text
from arbiter.model import Evidence, MemberId, MemberIdentity, MemberStatus, Opinion


def opinion_document(opinion: Opinion) -> dict[str, Any]:
    """Return the JSON form of one member's opinion."""
    return {
        "member": opinion.member,
        "asks": opinion.asks,
        "status": opinion.status.value,
        "facts_hash": opinion.facts_hash,
        "votes": sorted_object(opinion.votes, "/votes"),
        "samples": opinion.samples,
        "evidence": [_evidence_document(evidence) for evidence in opinion.evidence],
        "missing": list(opinion.missing),
        "rationale": opinion.rationale,
        "identity": _identity_document(opinion.identity),
        "asked_at": instant_text(opinion.asked_at),
        "answered_at": instant_text(opinion.answered_at),
    }


@lru_cache(maxsize=1024)
def identity_hash(identity: MemberIdentity) -> str:
    """Return the SHA-256 (hex) of the JSON form of what answered: another hash is another member."""
    return hashlib.sha256(encode(_identity_document(identity))).hexdigest()


def opinion_from(document: Mapping[str, Any]) -> Opinion:
    """Return the opinion that `opinion_document` wrote, its votes and details sorted by name.

    Raises:
        RefusedError: when the document is not exactly such a form, or counts more votes than samples.
    """
    return whole(document, "", _read_opinion)


def _identity_document(identity: MemberIdentity) -> dict[str, Any]:
    return {
        "kind": identity.kind,
        "name": identity.name,
        "version": identity.version,
        "digest": identity.digest,
        "details": sorted_object(identity.details, "/identity/details"),
    }


def _evidence_document(evidence: Evidence) -> dict[str, Any]:
    document: dict[str, Any] = {"fact": evidence.fact, "value": evidence.value, "finding": evidence.finding}
    if evidence.points is not None:
        document["points"] = evidence.points
    return document


def _read_evidence(reader: Reader) -> Evidence:
    return Evidence(
        fact=reader.text("fact"),
        value=reader.text("value"),
        finding=reader.text("finding"),
        points=reader.optional_integer("points"),
    )


def _read_identity(reader: Reader) -> MemberIdentity:
    return MemberIdentity(
        kind=reader.text("kind"),
        name=reader.text("name"),
        version=reader.text("version"),
        digest=reader.text("digest"),
        details=reader.pairs("details", str),
    )


def _read_opinion(reader: Reader) -> Opinion:
    opinion = Opinion(
        member=MemberId(reader.text("member")),
        asks=reader.text("asks"),
        status=reader.one_of("status", MemberStatus),
        facts_hash=reader.text("facts_hash"),
        votes=reader.pairs("votes", int),
        samples=reader.count("samples"),
        evidence=reader.each("evidence", _read_evidence),
        missing=reader.texts("missing"),
        rationale=reader.text("rationale"),
        identity=reader.one("identity", _read_identity),
        asked_at=reader.instant("asked_at"),
        answered_at=reader.instant("answered_at"),
    )
    if any(count < 1 for _, count in opinion.votes) or opinion.valid_samples > opinion.samples:
        raise reader.refuse("votes", "out-of-range", "expected counts from 1 that sum to at most the samples")
    return opinion
