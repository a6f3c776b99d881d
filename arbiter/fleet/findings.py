"""What is wrong with a fleet, in words, and what to do about it: the worst first. Pure.

A finding names servers, replicas, models and seats, never a case. When it began is told beside the words, since clock
times depend on where they are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, assert_never

from arbiter.fleet.finding import Finding, Level, listed
from arbiter.fleet.overview import Overview
from arbiter.fleet.seats import CanaryResult, SeatLine, Standing
from arbiter.fleet.server_findings import server_findings
from arbiter.fleet.unanswered import unanswered

CANARY_OLD: Final = timedelta(hours=50)
"""Two nights and a little: one that was missed is no matter yet."""


def findings(overview: Overview, *, expected: bool = False) -> tuple[Finding, ...]:
    """Return everything that is wrong, the worst first; `expected` where whoever looks has model servers in the settings."""
    found = [
        *_processes(overview, expected=expected),
        *(finding for seat in overview.seats for finding in _seat(seat, overview.at)),
        *_not_known(overview),
        *_never_had_a_canary(overview),
        *unanswered(overview),
        *(finding for server in overview.servers for finding in server_findings(server)),
    ]
    order = list(Level)
    return tuple(sorted(found, key=lambda finding: order.index(finding.level)))


# --- processes ---------------------------------------------------------------------------------------------------


def _processes(overview: Overview, *, expected: bool) -> Iterator[Finding]:
    # Only a process that has model servers tells: one that was heard of is as good a reason to expect them as a seat.
    if (expected or overview.seats or overview.processes) and not overview.servers:
        yield Finding(
            Level.ALARM,
            "No running process tells of the model servers: how the seats stand is not known",
            "Start Arbiter (arbiter serve, or arbiter worker), or look at why it does not reach the database.",
            max((each.at for each in overview.processes), default=None),
        )
    for each in overview.processes:
        if each.silent:
            yield Finding(
                Level.WARNING,
                f"The process {each.process} has fallen silent",
                "It was killed, or does not reach the database. If it was ended on purpose there is nothing to do: "
                "within the hour it is forgotten.",
                each.at,
            )
        elif each.state is None:
            yield Finding(
                Level.WARNING,
                f"What the process {each.process} tells cannot be read",
                "It runs another version of Arbiter: bring all processes to one version.",
            )


# --- seats -------------------------------------------------------------------------------------------------------


def _seat(seat: SeatLine, now: datetime) -> Iterator[Finding]:
    named = f"{seat.title} ({seat.protocol})"
    match seat.standing:
        case Standing.SILENT:
            yield Finding(
                Level.ALARM,
                f"{named} does not answer: no replica of {seat.server} gives answers for {seat.model}",
                f"{_consequence(seat)} See below which breakers are open and what is withheld, and bring a replica back: "
                f"arbiter panel check {seat.protocol} asks the seat for a real answer.",
            )
        case Standing.PARTLY:
            yield Finding(
                Level.WARNING,
                f"{named} does not answer some processes, and answers others",
                f"The way from some hosts to {seat.server} is cut, or some processes cannot prove what it serves: compare the "
                "processes, their folders of weights, and the network between.",
            )
        case Standing.ANSWERS | Standing.STRAINED | Standing.UNASKED | Standing.UNKNOWN:
            pass
        case _:
            assert_never(seat.standing)
    yield from _canary(seat, named, now)


def _not_known(overview: Overview) -> Iterator[Finding]:
    """Tell of seats whose server nobody tells of, although processes are heard."""
    for seat in overview.seats:
        if seat.standing is Standing.UNKNOWN and overview.servers:
            yield Finding(
                Level.WARNING,
                f"How {seat.title} ({seat.protocol}) stands is not known: no process that is heard has the server {seat.server}",
                "They were started with other fleet files or protocols than this one: restart them all with the same.",
            )


def _consequence(seat: SeatLine) -> str:
    if seat.veto:
        return "It may veto, so every case of the protocol now goes to clinicians."
    if seat.required:
        return "It is required, so every case of the protocol now goes to clinicians."
    return "Cases are judged without it, and more of them go to clinicians."


def _canary(seat: SeatLine, named: str, now: datetime) -> Iterator[Finding]:
    canary = seat.canary
    if canary is None:
        return
    match canary.result:
        case CanaryResult.MOVED:
            chance = "" if canary.p_value is None else f" (p = {canary.p_value})"
            yield Finding(
                Level.ALARM,
                f"{named} answers the canary cases otherwise than it did{chance}",
                "Its protocol decides nothing without a clinician meanwhile. Something about the model has changed without being "
                f"said: compare weights, version and settings with the protocol (arbiter panel check {seat.protocol}). Whoever "
                "approves policy then begins anew: arbiter panel canary --baseline.",
                canary.at,
            )
        case CanaryResult.NOT_ASKED:
            yield Finding(
                Level.WARNING,
                f"The last canary of {named} could not be asked",
                "A silent change would go unseen: bring the seat back, then run arbiter panel canary.",
                canary.at,
            )
        case CanaryResult.STEADY | CanaryResult.BASELINE:
            if canary.heard_at is None or now - canary.heard_at > CANARY_OLD:
                yield Finding(
                    Level.WARNING,
                    f"{named} has had no canary for more than two nights",
                    "A silent change would go unseen: run arbiter panel canary, and see why the night's run does not.",
                    canary.at,
                )
        case _:
            assert_never(canary.result)


def _never_had_a_canary(overview: Overview) -> Iterator[Finding]:
    without = [f"{seat.title} ({seat.protocol})" for seat in overview.seats if seat.canary is None]
    if without:
        yield Finding(
            Level.NOTE,
            f"No canary has been asked yet of {listed(without)}",
            "Until a baseline is taken a silent change of a model goes unseen: run arbiter panel canary.",
        )
