"""What a panel's answers are weighed against, and the door at which answers that must not be weighed are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from arbiter.calibration import Calibration
from arbiter.documents.opinions import identity_hash
from arbiter.errors import UndecidableError
from arbiter.model import MemberId, MemberStatus, Opinion, RiskClass
from arbiter.question import QUESTION, Adjudication, Protocol, Seat, Strategy

_NONE: Final = Decimal(0)
_ALL: Final = Decimal(1)
_LEAST_WEIGHT: Final = Decimal("0.000001")
_GREATEST_WEIGHT: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Bench:
    """What deciding one case depends on besides its opinions and the hospital's policy.

    `facts_hash` is the hash of the facts every opinion must be about. `human_required` is set once a clinician has
    been involved or asked for; from then on no panel decides alone. `calibration` is the one in force, which only the
    strategy of the posterior reads; without one it decides nothing. `needs_error_rate` is set where nothing is decided alone
    unless the protocol states how often that may be wrong: in production. `stopped` is set while an alarm keeps the panel from
    deciding alone.

    Raises:
        UndecidableError: when a number of the protocol is not one that a decision can rest on.
    """

    protocol: Protocol
    facts_hash: str
    risk_class: RiskClass
    human_required: bool = False
    calibration: Calibration | None = None
    needs_error_rate: bool = False
    stopped: bool = False

    def __post_init__(self) -> None:
        if len(self.protocol.question.options) < 2:
            raise UndecidableError("expected a question with at least two options")
        for seat in self.protocol.seats:
            _require(f"seat {seat.member}: weight", seat.weight, _LEAST_WEIGHT, _GREATEST_WEIGHT)
        settings = self.settings
        if settings.threshold is not None:
            _require("threshold", settings.threshold, _NONE, _ALL)
        elif settings.strategy is not Strategy.POSTERIOR:
            raise UndecidableError(f"expected a threshold with the strategy {settings.strategy.value}")
        _require("greatest_between", settings.greatest_between, _NONE, _ALL)
        _require("greatest_within", settings.greatest_within, _NONE, _ALL)
        _require("family_correlation", settings.family_correlation, _NONE, _ALL)
        _require("least_effective", settings.least_effective, _NONE, Decimal(len(self.protocol.seats)))

    @property
    def settings(self) -> Adjudication:
        """The protocol's settings for weighing opinions."""
        return self.protocol.adjudication

    @property
    def only_advises(self) -> bool:
        """True for a panel that answers facets alone, under a protocol by which a clinician always decides.

        One that is to decide and has nobody to answer the question is none of these: it is short of members.
        """
        return not self.settings.automatic and all(seat.asks != QUESTION for seat in self.protocol.seats)

    @property
    def lacks_error_rate(self) -> bool:
        """True where an error rate must be stated and the protocol states none."""
        return self.needs_error_rate and self.settings.guarantee is None

    def option_ids(self, asks: str = QUESTION) -> tuple[str, ...]:
        """Return the ids of the options of the question, or of the facet named, in their order."""
        return tuple(option.id for option in self.protocol.options_for(asks))


def _require(name: str, value: Decimal, low: Decimal, high: Decimal) -> None:
    # NaN would compare false with everything, and so pass for within any bound.
    if not (value.is_finite() and low <= value <= high):
        raise UndecidableError(f"{name}: expected a number from {low} to {high}")


@dataclass(frozen=True, slots=True)
class Heard:
    """What one seat said, reduced to what deciding weighs; `status` is None where nothing came.

    `votes` are empty unless the answer was valid: the samples of a member that abstained or failed do not vote.
    `identity` is the SHA-256 (hex) of what answered, None where nothing did or an answer is supposed.
    """

    seat: Seat
    status: MemberStatus | None
    votes: tuple[tuple[str, int], ...]
    missing: tuple[str, ...]
    identity: str | None = None

    @property
    def votes_on_question(self) -> bool:
        """True for a seat that answers the question rather than a facet."""
        return self.seat.asks == QUESTION

    @property
    def is_valid(self) -> bool:
        """True when the member gave a valid answer."""
        return self.status is MemberStatus.VALID

    @property
    def is_missing(self) -> bool:
        """True when nobody knows what the member would have said; one that abstained has said so."""
        return self.status not in {MemberStatus.VALID, MemberStatus.ABSTAINED}

    @property
    def leaders(self) -> tuple[str, ...]:
        """The options with most samples: one, or several that share the lead; none without a valid answer."""
        most = max((count for _, count in self.votes), default=0)
        return tuple(option for option, count in self.votes if count == most)


def hear(bench: Bench, opinions: Sequence[Opinion]) -> tuple[Heard, ...]:
    """Return what each seat said, in the order of the seats, whatever the order of the opinions.

    Raises:
        UndecidableError: when an opinion is about other facts, comes from no seat or twice, answers something other
            than its seat was asked, or votes in a way that no valid answer can.
    """
    counts = Counter(opinion.member for opinion in opinions)
    seats = {seat.member: seat for seat in bench.protocol.seats}
    for opinion in opinions:
        _check(bench, opinion, seats.get(opinion.member), counts[opinion.member])
    by_member = {opinion.member: opinion for opinion in opinions}
    return tuple(_heard(seat, by_member.get(seat.member)) for seat in bench.protocol.seats)


def _check(bench: Bench, opinion: Opinion, seat: Seat | None, times: int) -> None:
    member: MemberId = opinion.member
    if seat is None:
        raise UndecidableError(f"opinion of {member}: expected a member of the panel")
    if times > 1:
        raise UndecidableError(f"opinion of {member}: expected one, got {times}")
    if opinion.facts_hash != bench.facts_hash:
        raise UndecidableError(
            f"opinion of {member}: expected one about the present facts, it is about others"
        )
    if opinion.asks != seat.asks:
        raise UndecidableError(
            f"opinion of {member}: expected an answer to {seat.asks}, got one to {opinion.asks}"
        )
    if opinion.status is not MemberStatus.VALID:
        return
    options = [option for option, _ in opinion.votes]
    if not set(options) <= set(bench.option_ids(seat.asks)) or len(set(options)) != len(options):
        raise UndecidableError(f"opinion of {member}: expected votes for options of {seat.asks}, each once")
    if any(count < 1 for _, count in opinion.votes) or not 0 < opinion.valid_samples <= opinion.samples:
        raise UndecidableError(f"opinion of {member}: expected from one vote to as many as samples")


def _heard(seat: Seat, opinion: Opinion | None) -> Heard:
    if opinion is None:
        return Heard(seat, None, (), ())
    votes = opinion.votes if opinion.status is MemberStatus.VALID else ()
    missing = tuple(sorted(set(opinion.missing)))
    return Heard(seat, opinion.status, tuple(sorted(votes)), missing, identity_hash(opinion.identity))


def facets_heard(bench: Bench, heard: Sequence[Heard]) -> dict[str, str]:
    """Return each facet's answer for policy: the gravest that any member with a valid answer gives.

    A facet lists its options gravest first, so among members that disagree the one listed first is the safe one. A
    facet without a valid answer is absent, and a rule that reads it must say what then holds.
    """
    answers: dict[str, str] = {}
    for facet in bench.protocol.facets:
        said = {option for voice in heard if voice.seat.asks == facet.id for option in voice.leaders}
        gravest = next((option.id for option in facet.options if option.id in said), None)
        if gravest is not None:
            answers[facet.id] = gravest
    return answers


def count_valid(heard: Iterable[Heard]) -> int:
    """Return how many members answered the question validly: the `members.valid` of a policy."""
    return sum(voice.is_valid and voice.votes_on_question for voice in heard)
