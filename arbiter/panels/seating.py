"""Puts members into a protocol's seats, and refuses a seat whose member could misread the protocol's facts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from arbiter.errors import ConfigurationError
from arbiter.model import MemberId
from arbiter.panels.member import Member
from arbiter.panels.score_member import ScoreMember
from arbiter.panels.scores import (
    ariscat,
    atria_stroke,
    cart,
    cha2ds2_va,
    cha2ds2_vasc,
    gupta_mica,
    has_bled,
    mews,
    news2,
    orbit,
    qsofa,
    rcri,
    sirs,
    stop_bang,
)
from arbiter.panels.scores.table import AnyRow, CodeRow, FlagRow, Row, Score, SlopeRow
from arbiter.panels.vllm.member import model_member
from arbiter.panels.vllm.pool import NO_SERVERS, Pool
from arbiter.panels.vllm.prompt import PROMPTS, Prompt
from arbiter.question import VLLM, FactKind, FactSpec, ModelSpec, Protocol, Seat

_DETERIORATION: Final = (news2.SCORE, mews.SCORE, cart.SCORE, qsofa.SCORE, sirs.SCORE)
_ANTICOAGULATION: Final = (
    cha2ds2_vasc.SCORE,
    cha2ds2_va.SCORE,
    atria_stroke.SCORE,
    has_bled.SCORE,
    orbit.SCORE,
)
_SURGERY_READINESS: Final = (rcri.SCORE, gupta_mica.SCORE, ariscat.SCORE, stop_bang.SCORE)
SCORES: Final[Mapping[str, Score]] = MappingProxyType(
    {score.name: score for score in (*_DETERIORATION, *_ANTICOAGULATION, *_SURGERY_READINESS)}
)


def seat_members(protocol: Protocol, servers: Mapping[str, Pool] = NO_SERVERS) -> dict[MemberId, Member]:
    """Return a member for every seat of the protocol; a model whose server is not in `servers` is always down.

    Raises:
        ConfigurationError: when a seat names an unknown backend or implementation, or a member that reads a fact the
            question lacks or has in another kind, unit or set of codes, or that may name an option nobody offers.
    """
    return {seat.member: _member(seat, protocol, servers) for seat in protocol.seats}


def require_servers(protocol: Protocol, servers: Mapping[str, Pool]) -> None:
    """Refuse a protocol that asks a model on a server which this deployment does not know.

    For a protocol in force: an older one is read and replayed without its servers.

    Raises:
        ConfigurationError: naming the seat, the server and the setting.
    """
    for seat in protocol.seats:
        if seat.model is not None and seat.model.server not in servers:
            known = ", ".join(sorted(servers)) or "none"
            raise ConfigurationError(
                f"protocol {protocol.id}, seat {seat.member}: the model server {seat.model.server!r} is not known; "
                f"the fleet file (ARBITER_FLEET) names {known}: add {seat.model.server} with its replicas to it"
            )


def facts_read(protocol: Protocol) -> frozenset[str]:
    """Return the names of the question's facts that any seat's member may look at; a model is shown them all."""
    every = frozenset(spec.name for spec in protocol.question.facts)
    scores = [SCORES.get(seat.implementation) if seat.model is None else None for seat in protocol.seats]
    if not all(scores):
        return every
    read = {
        name
        for score in scores
        if score is not None
        for name in (*(row.fact for row in score.rows), *score.needs, *score.wants)
    }
    return every & read


def _member(seat: Seat, protocol: Protocol, servers: Mapping[str, Pool]) -> Member:
    if seat.model is not None:
        return model_member(seat.model, _prompt(seat, seat.model), servers)
    match seat.backend:
        case "score":
            score = SCORES.get(seat.implementation)
            if score is None:
                raise ConfigurationError(
                    f"seat {seat.member}: expected one of the scores {', '.join(sorted(SCORES))}, "
                    f"{seat.implementation!r} came"
                )
            _check(score, seat, protocol)
            return ScoreMember(score)
        case _:
            raise ConfigurationError(
                f"seat {seat.member}: expected the backend 'score', or {VLLM!r} with a model, {seat.backend!r} came"
            )


def _prompt(seat: Seat, model: ModelSpec) -> Prompt:
    if model.prompt not in PROMPTS:
        raise ConfigurationError(
            f"seat {seat.member}: expected one of the prompts {', '.join(sorted(PROMPTS))}, {model.prompt!r} came"
        )
    return PROMPTS[model.prompt]


def _check(score: Score, seat: Seat, protocol: Protocol) -> None:
    offered = {option.id for option in protocol.options_for(seat.asks)}
    if not offered.issuperset(score.options):
        raise ConfigurationError(
            f"seat {seat.member}: {score.name} answers {', '.join(score.options)}, {seat.asks} does not offer them all"
        )
    for row in score.rows:
        spec = protocol.question.spec(row.fact)
        if spec is None:
            # Also one it can do without: a question that cannot take SpO2 scale 2 would misread those who need it.
            raise ConfigurationError(
                f"seat {seat.member}: {score.name} reads the fact {row.fact}, the question lacks it"
            )
        if not _reads(row, spec):
            raise ConfigurationError(
                f"seat {seat.member}: {score.name} cannot read the fact {row.fact} as the question has it: "
                f"expected {_wanted(row)}"
            )


def _reads(row: AnyRow, spec: FactSpec) -> bool:
    match row:
        case Row() | SlopeRow():
            return spec.kind is FactKind.NUMBER and spec.unit == row.unit
        case CodeRow():
            known = {code for code, _ in row.codes}
            return spec.kind is FactKind.CODE and known.issuperset(code for code, _ in spec.codes)
        case FlagRow():
            return spec.kind is FactKind.FLAG


def _wanted(row: AnyRow) -> str:
    match row:
        case Row() | SlopeRow():
            return f"a number in {row.unit}"
        case CodeRow():
            return f"codes among {', '.join(code for code, _ in row.codes)}"
        case FlagRow():
            return "a flag"
