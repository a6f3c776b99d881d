"""Makes every certificate of an export again from the recorded votes, and compares the bytes.

The protocol is read from its JSON form; the YAML files beside it carry the hash that the entries name. What the rules
said is taken as recorded, for the answers given and for those that missing members could have given, unless the CEL
library is installed: then the rules are evaluated anew and the record is not used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from arbiter.adjudication.certifying import (
    Rulebook,
    calibration_read,
    certificate_again,
    words_of_recomputing,
)
from arbiter.audit.entry import Entry
from arbiter.audit.export.checking import Evidence
from arbiter.audit.export.layout import CALIBRATIONS_FOLDER, PROTOCOLS_FOLDER, REPLAY_FOLDER
from arbiter.audit.export.reading import Members, read_whole
from arbiter.audit.openings import Disclosed
from arbiter.calibration import Calibration
from arbiter.documents.calibrations import calibration_from
from arbiter.documents.canonical import decode
from arbiter.documents.outcomes import outcome_document, outcome_from
from arbiter.documents.protocols import ALWAYS_HASHED, HASHED_WHERE_PRESENT, content_hash, protocol_from
from arbiter.documents.reader import Reader, sorted_object, whole
from arbiter.documents.taken import TakenFacts
from arbiter.errors import ArbiterError, VerificationError
from arbiter.model import CaseId, PolicyOutcome, Reason, ReasonCode, RiskClass
from arbiter.question import Protocol

Asked = tuple[tuple[tuple[str, str], ...], int]
"""What a policy's word depends on beside the facts: answers to facets, and the number of valid voting members."""


@dataclass(frozen=True, slots=True)
class DecidedAgain:
    """What deciding again says of one certificate, in words."""

    case: str
    seq: int
    same: bool
    said: str


class RecordedRulebook:
    """A protocol with what its rules said when an export was made."""

    def __init__(
        self, protocol: Protocol, outcomes: Mapping[Asked, PolicyOutcome], excluded: tuple[Reason, ...]
    ) -> None:
        self.protocol = protocol
        self._outcomes = outcomes
        self._excluded = excluded

    def outcome(
        self, taken: TakenFacts, facets: Mapping[str, str], risk_class: RiskClass, valid: int
    ) -> PolicyOutcome:
        """Return the recorded word; raises `VerificationError` where none was recorded."""
        del taken, risk_class  # a record is of one certificate's own
        asked = (tuple(sorted(facets.items())), valid)
        if asked not in self._outcomes:
            raise VerificationError("the rules' word on these answers was not recorded")
        return self._outcomes[asked]

    def exclusion_reasons(self, taken: TakenFacts) -> tuple[Reason, ...]:
        """Return the recorded reasons."""
        del taken
        return self._excluded


class RecordingRulebook:
    """Passes on to another rulebook and keeps what it said."""

    def __init__(self, inner: Rulebook) -> None:
        self._inner = inner
        self._outcomes: dict[Asked, PolicyOutcome] = {}
        self._excluded: tuple[Reason, ...] = ()

    @property
    def protocol(self) -> Protocol:
        """The protocol."""
        return self._inner.protocol

    def outcome(
        self, taken: TakenFacts, facets: Mapping[str, str], risk_class: RiskClass, valid: int
    ) -> PolicyOutcome:
        """Return the policy's word, and remember it."""
        outcome = self._inner.outcome(taken, facets, risk_class, valid)
        self._outcomes[tuple(sorted(facets.items())), valid] = outcome
        return outcome

    def exclusion_reasons(self, taken: TakenFacts) -> tuple[Reason, ...]:
        """Return why nobody may be asked, and remember it."""
        self._excluded = self._inner.exclusion_reasons(taken)
        return self._excluded

    def document(self) -> dict[str, Any]:
        """Return what was said as the document that lies in `replay/`."""
        said = [
            {
                "facets": sorted_object(facets, "/facets"),
                "valid": valid,
                "outcome": outcome_document(outcome),
            }
            for (facets, valid), outcome in sorted(self._outcomes.items(), key=lambda item: item[0])
        ]
        excluded = [{"code": reason.code.value, "detail": reason.detail} for reason in self._excluded]
        return {"outcomes": said, "excluded": excluded}


def replay_name(case: str, seq: int) -> str:
    """Return the name of the member with the rules' word behind one certificate."""
    return f"{REPLAY_FOLDER}{case}/{seq}.json"


def protocol_name(protocol_hash: str) -> str:
    """Return the name of the member with a protocol's JSON form."""
    return f"{PROTOCOLS_FOLDER}{protocol_hash}.json"


def protocol_file_name(protocol_hash: str, file: str) -> str:
    """Return the name of the member with one of a bundle's files."""
    return f"{PROTOCOLS_FOLDER}{protocol_hash}/{file}"


def calibration_name(calibration_hash: str) -> str:
    """Return the name of the member with a calibration."""
    return f"{CALIBRATIONS_FOLDER}{calibration_hash}.json"


def can_evaluate() -> bool:
    """Tell whether the library that evaluates rules is installed here."""
    return find_spec("cel_expr_python") is not None


def decide_again(members: Members, evidence: Evidence) -> Iterator[DecidedAgain]:
    """Yield what deciding again says of every certificate shown of a complete chain."""
    names = frozenset(members.names())

    @cache
    def protocol(protocol_hash: str) -> Protocol:
        return _protocol(members, names, protocol_hash)

    @cache
    def calibration(calibration_hash: str) -> Calibration:
        return _calibration(members, calibration_hash)

    complete = {chain.case for chain in evidence.chains if chain.complete}
    for case, (entries, documents) in evidence.disclosed.items():
        if case not in complete:
            continue
        for document in documents:
            if document.name == "certificate":
                versions = dict(entries[document.seq].versions)
                try:
                    rulebook = _rulebook(members, protocol(versions["protocol"]), case, document.seq)
                    read = calibration_read(decode(document.content))
                    known = None if read is None else calibration(read)
                    yield _again(rulebook, case, entries, documents, document, known)
                except (ArbiterError, KeyError, TypeError, ValueError) as error:
                    said = str(error) if isinstance(error, ArbiterError) else "its inputs cannot be read"
                    yield DecidedAgain(case, document.seq, same=False, said=f"NOT RECOMPUTED: {said}")


def _again(
    rulebook: Rulebook,
    case: str,
    entries: Sequence[Entry],
    documents: Sequence[Disclosed],
    document: Disclosed,
    calibration: Calibration | None,
) -> DecidedAgain:
    versions = dict(entries[document.seq].versions)
    if versions.get("policy") != rulebook.protocol.policy_hash:
        raise VerificationError("the protocol's rules are not those that the entry names")
    ordered = sorted(documents, key=lambda kept: (kept.seq, kept.name))
    before = [kept for kept in ordered if kept.seq < document.seq]
    request = decode(next(kept for kept in before if kept.name == "request").content)
    recorded = decode(document.content)
    again = certificate_again(
        CaseId(case),
        RiskClass(request["risk_class"]),
        rulebook,
        before,
        recorded,
        training=versions.get("mode") == "training",
        calibration=calibration,
    )
    said = words_of_recomputing(recorded, document.content, again)
    return DecidedAgain(case, document.seq, again == document.content, said)


def _protocol(members: Members, names: frozenset[str], protocol_hash: str) -> Protocol:
    protocol = protocol_from(decode(read_whole(members, protocol_name(protocol_hash))))
    files = {
        file: read_whole(members, protocol_file_name(protocol_hash, file))
        for file in (*ALWAYS_HASHED, *HASHED_WHERE_PRESENT)
        if file in ALWAYS_HASHED or protocol_file_name(protocol_hash, file) in names
    }
    policy_hash = hashlib.sha256(files["policy.yaml"]).hexdigest()
    if content_hash(files) != protocol_hash or (protocol.content_hash, protocol.policy_hash) != (
        protocol_hash,
        policy_hash,
    ):
        raise VerificationError("the protocol is not the one whose hash the entry names")
    return protocol


def _calibration(members: Members, calibration_hash: str) -> Calibration:
    calibration = calibration_from(read_whole(members, calibration_name(calibration_hash)))
    if calibration.content_hash != calibration_hash:
        raise VerificationError("the calibration is not the one whose hash the certificate names")
    return calibration


def _rulebook(members: Members, protocol: Protocol, case: str, seq: int) -> Rulebook:
    if can_evaluate():
        from arbiter.policy import Ruling, compile_policy  # noqa: PLC0415 - the library may be absent

        return Ruling(protocol, compile_policy(protocol))
    outcomes, excluded = whole(
        decode(read_whole(members, replay_name(case, seq))),
        "",
        lambda reader: (dict(reader.each("outcomes", _outcome)), reader.each("excluded", _reason)),
    )
    return RecordedRulebook(protocol, outcomes, excluded)


def _outcome(reader: Reader) -> tuple[Asked, PolicyOutcome]:
    facets, valid = reader.pairs("facets", str), reader.count("valid")
    return (facets, valid), outcome_from(reader.object("outcome"))


def _reason(reader: Reader) -> Reason:
    return Reason(reader.one_of("code", ReasonCode), reader.text("detail"))
