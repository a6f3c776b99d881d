"""One server of the fleet turned into what its page says: what its replicas share, then each of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from arbiter.fleet.finding import share
from arbiter.fleet.overview import Breaker, Replica, Server
from arbiter.fleet.sketches import time_words
from arbiter.fleet.state import CALLS_A_HEDGE, UNKNOWN_VERSION, Latency, Position
from clinician_ui.presenters.fleet_plots import (
    Axis,
    LatencyPlot,
    Meter,
    latency_plot,
    meter,
    shared_axis,
    spaced,
)
from clinician_ui.presenters.times import Here, Moment, moment
from clinician_ui.texts import _, ngettext, noted

_POSITIONS: Final = {
    Position.CLOSED: noted("Closed"),
    Position.HALF_OPEN: noted("Half open"),
    Position.OPEN: noted("Open"),
}
_IN_USE_HIGH: Final = 0.9
_QUEUE_HIGH: Final = 0.5
_OUTCOMES_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class BreakerRow:
    """A breaker: its position as a word for its class and one for its reader, and since when and why it is so."""

    model: str
    position: str
    words: str
    since: Moment
    why: str


@dataclass(frozen=True, slots=True)
class WithheldRow:
    """The models that are not asked at a replica for one cause."""

    models: str
    cause: str


@dataclass(frozen=True, slots=True)
class ReplicaCard:
    """One replica: how busy, how fast, how its requests ended, its breakers, and what is withheld."""

    name: str
    urls: tuple[str, ...]
    engine: str
    in_flight: Meter
    plot: LatencyPlot | None
    measured: str
    p50: str
    p95: str
    p99: str
    outcomes: tuple[tuple[str, str], ...]
    breakers: tuple[BreakerRow, ...]
    withheld: tuple[WithheldRow, ...]
    state: str


@dataclass(frozen=True, slots=True)
class ServerSection:
    """One server: what all its replicas share."""

    name: str
    replicas: tuple[ReplicaCard, ...]
    queue: Meter
    hedges: Meter
    hedge_share: str
    hedge_cap: str
    counts: tuple[tuple[str, str], ...]


def server_section(server: Server, here: Here) -> ServerSection:
    """Return what the page says of a server."""
    axis = shared_axis([replica.latency for replica in server.replicas])
    return ServerSection(
        name=server.name,
        replicas=tuple(_replica_card(replica, axis, here) for replica in server.replicas),
        queue=meter(server.waiting, server.queue, high_from=_QUEUE_HIGH),
        hedges=meter(server.hedges, server.calls // CALLS_A_HEDGE, high_from=0.8),
        hedge_share=share(server.hedges, server.calls),
        hedge_cap=share(1, CALLS_A_HEDGE),
        counts=(
            (_("Calls"), number_words(server.calls)),
            (_("Asked elsewhere too"), number_words(server.reroutes)),
            (
                _("Second requests that won"),
                _("{part} of {whole}").format(
                    part=number_words(server.hedges_won), whole=number_words(server.hedges)
                ),
            ),
            (_("Turned away"), number_words(server.shed)),
            (_("Tokens read"), number_words(server.input_tokens)),
            (_("Tokens written"), number_words(server.output_tokens)),
        ),
    )


def _replica_card(replica: Replica, axis: Axis, here: Here) -> ReplicaCard:
    sketch = replica.latency
    return ReplicaCard(
        name=replica.name,
        urls=replica.urls,
        engine=", ".join(engine_words(engine) for engine in replica.engines),
        in_flight=meter(replica.in_flight, replica.concurrency, high_from=_IN_USE_HIGH),
        plot=latency_plot(sketch, axis),
        measured=_measured(sketch),
        p50=spaced(time_words(sketch.p50_us)),
        p95=spaced(time_words(sketch.p95_us)),
        p99=spaced(time_words(sketch.p99_us)),
        outcomes=_outcomes(replica.outcomes),
        breakers=tuple(_breaker_row(breaker, here) for breaker in replica.breakers),
        withheld=_withheld(replica),
        state=_state_of(replica),
    )


def _measured(sketch: Latency) -> str:
    """Return of how many replies the quantiles tell: the newest, where there were more than are remembered."""
    number = sum(counted for _, counted in sketch.buckets)
    if number < sketch.count:
        words = ngettext("the newest {number} reply", "the newest {number} replies", number)
    else:
        words = ngettext("{number} reply", "{number} replies", number)
    return words.format(number=number_words(number))


def _withheld(replica: Replica) -> tuple[WithheldRow, ...]:
    by_cause: dict[str, list[str]] = {}
    for each in replica.withheld:
        by_cause.setdefault(each.cause, []).append(each.model)
    return tuple(WithheldRow(", ".join(dict.fromkeys(models)), cause) for cause, models in by_cause.items())


def _state_of(replica: Replica) -> str:
    """Return the word for a replica's colour; one that nobody has asked has none."""
    if replica.withheld:
        return "troubled"
    if not replica.breakers:
        return "unasked"
    closed = all(breaker.position is Position.CLOSED for breaker in replica.breakers)
    return "sound" if closed else "troubled"


def _outcomes(outcomes: Sequence[tuple[str, int]]) -> tuple[tuple[str, str], ...]:
    """Return how requests ended, the commonest first; the rare ones together."""
    shown = [
        (outcome.replace("-", " "), number_words(number)) for outcome, number in outcomes[:_OUTCOMES_SHOWN]
    ]
    if rest := sum(number for _, number in outcomes[_OUTCOMES_SHOWN:]):
        shown.append((_("otherwise"), number_words(rest)))
    return tuple(shown)


def _breaker_row(breaker: Breaker, here: Here) -> BreakerRow:
    words = _(_POSITIONS[breaker.position])
    affected = breaker.open + breaker.half_open
    if affected and breaker.closed:
        words = _("{state} in {part} of {whole} processes").format(
            state=words, part=affected, whole=breaker.processes
        )
    why = "" if breaker.position is Position.CLOSED else breaker.cause.replace("-", " ")
    return BreakerRow(breaker.model, breaker.position.value, words, moment(breaker.since, here), why)


def number_words(number: int) -> str:
    """Return a count with commas between its thousands."""
    return f"{number:,}"


def engine_words(engine: str) -> str:
    """Return what serves, such as vLLM 0.11.0."""
    name, _space, version = engine.partition(" ")
    name = "vLLM" if name == "vllm" else name
    if version in {"", UNKNOWN_VERSION}:
        return _("{engine}, version not known").format(engine=name)
    return f"{name} {version}"
