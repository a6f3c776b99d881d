"""Makes a protocol's calibration from labelled cases that its panel has heard: fit, temper, certify, on cases of their own each.

The parts are those of every evaluation (`arbiter.evaluation.splitting`), and what is certified is the whole decision, policy and
quorum included (`arbiter.calibrating.making`). The same cases and opinions give the same bytes on every machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from arbiter import __version__
from arbiter.adjudication.certifying import Circumstances, adjudicate
from arbiter.calibrating.making import Candidate, certified, provisional
from arbiter.calibration import Calibration, Labels, is_synthetic
from arbiter.documents.opinions import identity_hash
from arbiter.errors import RefusedError
from arbiter.evaluation.asking import TAKEN_AT, taken_in
from arbiter.evaluation.ballots import ballots_of
from arbiter.evaluation.cases import Case, Cases
from arbiter.evaluation.fitting import fit_ballots, fit_settings
from arbiter.evaluation.hearing import Came, Hearing
from arbiter.evaluation.running import Heard
from arbiter.evaluation.splitting import Part, part_of
from arbiter.model import CaseId, MemberId, MemberStatus, VerdictKind
from arbiter.question import QUESTION, Protocol, Strategy
from arbiter.workflow.shelf import Shelved

Pairs: TypeAlias = Sequence[tuple[Case, Hearing]]


def calibrate(shelved: Shelved, cases: Cases, heard: Heard) -> Calibration:
    """Return the calibration that these cases give.

    Raises:
        RefusedError: when the protocol does not decide by the posterior, a member has no identity of its own, or there are too
            few cases to fit; each says what to do.
    """
    protocol = shelved.protocol
    _require_posterior(protocol)
    asked = [pair for pair in heard.pairs if pair[1].came is Came.ASKED]
    parts = {part: [pair for pair in asked if part_of(pair[0].id) is part] for part in Part}
    settings = fit_settings(protocol)
    fitting, tempering, held_out = (
        ballots_of(protocol, QUESTION, parts[part], labelled=True)
        for part in (Part.FITTING, Part.TEMPERING, Part.HELD_OUT)
    )
    fitted = fit_ballots(fitting, tempering, held_out, settings)
    labels = Labels(
        cases_hash=cases.sha256,
        opinions_hash=heard.sha256,
        provenance=provenance(case for case, _ in asked),
        fitting=len(parts[Part.FITTING]),
        tempering=len(parts[Part.TEMPERING]),
        guarantee=len(parts[Part.HELD_OUT]),
        synthetic=any(is_synthetic(case.labelled.provenance) for case, _ in asked),
    )
    weighed = provisional(protocol, _identities(protocol, asked), fitted, settings, labels, __version__)
    seen, held = (_candidates(shelved, weighed, parts[part]) for part in (Part.FITTING, Part.HELD_OUT))
    return certified(weighed, seen, held)


def provenance(cases: Iterable[Case]) -> tuple[tuple[str, int], ...]:
    """Return how labels came about, the words before the first semicolon, each with its number of cases, sorted."""
    found = Counter(case.labelled.provenance.split(";")[0].strip() for case in cases)
    return tuple(sorted(found.items()))


def _require_posterior(protocol: Protocol) -> None:
    settings = protocol.adjudication
    if settings.strategy is not Strategy.POSTERIOR or settings.guarantee is None:
        raise RefusedError(
            f"protocol {protocol.id} decides by {settings.strategy.value}, which reads no calibration: "
            "expected the strategy posterior with a guarantee that names the options to certify"
        )


def _identities(protocol: Protocol, asked: Pairs) -> dict[MemberId, str]:
    """Return the one identity that answered in each voting seat: what two gave is nobody's record."""
    found: dict[MemberId, set[str]] = {seat.member: set() for seat in protocol.seats if seat.asks == QUESTION}
    for _, hearing in asked:
        for opinion in hearing.opinions:
            if opinion.member in found and opinion.status is MemberStatus.VALID:
                found[opinion.member].add(identity_hash(opinion.identity))
    for member, identities in found.items():
        if len(identities) != 1:
            raise RefusedError(
                f"member {member}: expected the answers of one identity, those of {len(identities)} came: "
                + ("see that it answers" if not identities else "ask everybody again, with --fresh")
            )
    return {member: next(iter(identities)) for member, identities in found.items()}


def _candidates(shelved: Shelved, weighed: Calibration, pairs: Pairs) -> list[Candidate]:
    found = []
    for case, hearing in pairs:
        around = Circumstances(
            CaseId(case.id), case.labelled.risk_class, False, True, TAKEN_AT, calibration=weighed
        )
        verdict = adjudicate(around, shelved, taken_in(shelved, case), hearing.opinions).verdict
        if verdict.kind is VerdictKind.DECIDE and verdict.option is not None:
            probability = float(dict(verdict.numbers)[f"posterior.{verdict.option}"])
            found.append(Candidate(verdict.option, probability, verdict.option == case.labelled.label))
    return found
