"""Makes a protocol's calibration from labelled cases that its panel has heard: fit, temper, certify, on cases of their own each.

The parts are those of every evaluation (`arbiter.evaluation.splitting`), and what is certified is the whole decision, policy and
quorum included (`arbiter.calibrating.making`). The same cases and opinions give the same bytes on every machine.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, TypeAlias

from arbiter import __version__
from arbiter.adjudication.bench import Bench
from arbiter.adjudication.certainty import least_probability
from arbiter.adjudication.certifying import Circumstances, adjudicate
from arbiter.calibrating.looks import marks, share
from arbiter.calibrating.making import Candidate, certified, provisional
from arbiter.calibration import Calibration, Labels, is_synthetic
from arbiter.documents.opinions import identity_hash
from arbiter.errors import RefusedError
from arbiter.evaluation.asking import TAKEN_AT, taken_in
from arbiter.evaluation.ballots import ballots_of
from arbiter.evaluation.cases import Case, Cases
from arbiter.evaluation.fitting import fit_ballots, fit_settings
from arbiter.evaluation.hearing import Came, Hearing, opinions_hash
from arbiter.evaluation.running import Heard
from arbiter.evaluation.splitting import Part, part_of
from arbiter.model import CaseId, MemberId, MemberStatus, RiskClass, VerdictKind
from arbiter.question import QUESTION, Guarantee, Protocol, Strategy
from arbiter.workflow.shelf import Shelved

MOST_KINDS: Final = 16
_KIND: Final = re.compile(r"[a-z][a-z -]{0,39}", re.ASCII)

Pairs: TypeAlias = Sequence[tuple[Case, Hearing]]


def calibrate(shelved: Shelved, cases: Cases, heard: Heard, look: int | None = None) -> Calibration:
    """Return the calibration that these cases give.

    Args:
        shelved: the protocol and its panel.
        cases: the labelled cases.
        heard: what the panel said of them.
        look: which look at the cases to certify on this is, from 1, of as many as may come; None for the only one.

    Raises:
        RefusedError: when the protocol does not decide by the posterior, a member has no identity of its own, there are too few
            cases to fit, or the protocol's delta has no share left for this look; each says what to do.
    """
    protocol = shelved.protocol
    delta = _delta(protocol, look)
    asked = [pair for pair in heard.pairs if pair[1].came is Came.ASKED]
    parts = {part: [pair for pair in asked if part_of(pair[0].id) is part] for part in Part}
    settings = fit_settings(protocol)
    fitting, tempering, held_out = (
        ballots_of(protocol, QUESTION, parts[part], labelled=True)
        for part in (Part.FITTING, Part.TEMPERING, Part.HELD_OUT)
    )
    fitted = fit_ballots(fitting, tempering, held_out, settings)
    synthetic = any(is_synthetic(case.labelled.provenance) for case, _ in asked)
    labels = Labels(
        cases_hash=cases.sha256,
        opinions_hash=opinions_hash(hearing for _, hearing in heard.pairs),
        provenance=provenance(case for case, _ in asked),
        fitting=len(parts[Part.FITTING]),
        tempering=len(parts[Part.TEMPERING]),
        guarantee=len(parts[Part.HELD_OUT]),
        synthetic=synthetic,
        marks=() if synthetic else _marks(shelved, parts[Part.HELD_OUT]),
    )
    weighed = provisional(protocol, _identities(protocol, asked), fitted, settings, labels, __version__)
    weighed = replace(weighed, delta=delta)
    seen, held = (_candidates(shelved, weighed, parts[part]) for part in (Part.FITTING, Part.HELD_OUT))
    return certified(weighed, seen, held)


def provenance(cases: Iterable[Case]) -> tuple[tuple[str, int], ...]:
    """Return how labels came about, the words before the first semicolon, each with its number of cases, sorted.

    Raises:
        RefusedError: when these are no short name of a kind, or there are many: a calibration is read by many people, and what
            is said of one patient is not for them.
    """
    found: Counter[str] = Counter()
    for case in cases:
        kind = case.labelled.provenance.split(";")[0].strip()
        if not _KIND.fullmatch(kind):
            raise RefusedError(
                f"case {case.id}: expected its provenance to begin with a kind of label, a few words in small letters such as "
                "'outcome' or 'independent reader', and what concerns this case after a semicolon"
            )
        found[kind] += 1
    if len(found) > MOST_KINDS:
        raise RefusedError(f"expected at most {MOST_KINDS} kinds of labels, {len(found)} came")
    return tuple(sorted(found.items()))


def _delta(protocol: Protocol, look: int | None) -> Decimal:
    """Return the chance with which the certificate of this look may be wrong."""
    try:
        return share(require_posterior(protocol).delta, look)
    except ValueError as error:
        raise RefusedError(str(error)) from error


def _marks(shelved: Shelved, pairs: Pairs) -> tuple[str, ...]:
    """Return the marks of cases; the hash of the facts keeps one from being found by guessing ids."""
    return marks(f"{case.id}\n{taken_in(shelved, case).hash}".encode() for case, _ in pairs)


def require_posterior(protocol: Protocol) -> Guarantee:
    """Return what a protocol that reads a calibration states; raises RefusedError for one that reads none."""
    settings = protocol.adjudication
    if settings.strategy is not Strategy.POSTERIOR or settings.guarantee is None:
        raise RefusedError(
            f"protocol {protocol.id} decides by {settings.strategy.value}, which reads no calibration: "
            "expected the strategy posterior with a guarantee that names the options to certify"
        )
    return settings.guarantee


def _identities(protocol: Protocol, asked: Pairs) -> dict[MemberId, str]:
    """Return the one identity that answered in each seat: what two gave is nobody's record."""
    found: dict[MemberId, set[str]] = {seat.member: set() for seat in protocol.seats}
    for _, hearing in asked:
        for opinion in hearing.opinions:
            if opinion.member in found and opinion.status in {MemberStatus.VALID, MemberStatus.ABSTAINED}:
                found[opinion.member].add(identity_hash(opinion.identity))
    for member, identities in found.items():
        if len(identities) != 1:
            raise RefusedError(
                f"member {member}: expected the answers of one identity, those of {len(identities)} came: "
                + ("see that it answers" if not identities else "ask everybody again, with --fresh")
            )
    return {member: next(iter(identities)) for member, identities in found.items()}


def _candidates(shelved: Shelved, weighed: Calibration, pairs: Pairs) -> list[Candidate]:
    bench = Bench(shelved.protocol, "", RiskClass.ROUTINE, calibration=weighed)
    found = []
    for case, hearing in pairs:
        taken = taken_in(shelved, case)
        around = Circumstances(
            CaseId(case.id), case.labelled.risk_class, False, True, TAKEN_AT, calibration=weighed
        )
        verdict = adjudicate(around, shelved, taken, hearing.opinions).verdict
        if verdict.kind is VerdictKind.DECIDE and verdict.option is not None:
            about = replace(bench, facts_hash=taken.hash)
            probability = least_probability(about, hearing.opinions, verdict.option)
            if probability is None:
                raise RefusedError(f"case {case.id}: expected one that can be decided again")
            found.append(Candidate(verdict.option, probability, verdict.option == case.labelled.label))
    return found
