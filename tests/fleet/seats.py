"""Protocols with models in their seats, for what watches a fleet."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from arbiter.model import MemberId
from arbiter.protocols.loader import read_shipped
from arbiter.question import Protocol, Seat
from tests.panels.model_servers import model


@cache
def _shipped() -> Protocol:
    return read_shipped("deterioration").protocol


def a_seat(name: str, server: str = "specialists", **changes: Any) -> Seat:
    """Return a seat in which a model of that name sits."""
    seat = _shipped().seats[0]
    made = replace(
        seat,
        member=MemberId(name),
        title=f"Model {name}",
        backend="vllm",
        implementation="",
        family=name,
        required=False,
        veto=(),
        model=model(name, server=server),
    )
    return replace(made, **changes)


def a_protocol(*seats: Seat) -> Protocol:
    """Return the shipped protocol with these seats beside its scores."""
    protocol = _shipped()
    return replace(protocol, seats=(*protocol.seats, *seats))
