"""Any state that is believed: whatever is let through must be added up and shown without fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import strategies as st

from arbiter.fleet.state import FleetState, Latency, Position, ReplicaState, ServerState, Withheld
from arbiter.fleet.telling import read_state
from tests.fleet.states import NOW, a_replica, a_server, a_state, breaker

_counts = st.integers(min_value=0, max_value=2**53)
_instants = st.datetimes(datetime(2000, 1, 1), datetime(2200, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
_latencies = st.builds(
    Latency,
    _counts,
    _counts,
    _counts,
    _counts,
    st.dictionaries(_counts, _counts, max_size=6).map(lambda it: tuple(sorted(it.items()))),
)
_breakers = st.builds(
    lambda model, position, since, failures: replace(
        breaker(model, position), since=since, failures=failures
    ),
    st.sampled_from(["respiratory", "circulation", "A/b:c.d-e_f@g+h"]),
    st.sampled_from(Position),
    _instants,
    _counts,
)
_withheld = st.builds(
    Withheld,
    st.sampled_from(["respiratory", "circulation", "A/b:c.d-e_f@g+h"]),
    st.sampled_from([None, "respiratory"]),
    st.sampled_from([None, "a" * 64]),
    st.sampled_from(["withheld: not proven yet", "withheld: <b>"]),
)
_replicas: st.SearchStrategy[ReplicaState] = st.builds(
    lambda name, in_flight, waiting, latency, breakers, withheld: a_replica(
        name,
        *{each.model: each for each in breakers}.values(),
        in_flight=in_flight,
        waiting=waiting,
        latency=latency,
        withheld=tuple(withheld),
    ),
    st.sampled_from(["r-1", "r-2", "r-3"]),
    _counts,
    _counts,
    _latencies,
    st.lists(_breakers, max_size=3),
    st.lists(_withheld, max_size=2, unique=True),
)
_servers: st.SearchStrategy[ServerState] = st.builds(
    lambda name, numbers, replicas: a_server(
        name,
        *{each.name: each for each in replicas}.values(),
        concurrency=numbers[0],
        queue=numbers[1],
        calls=numbers[2],
        hedges=numbers[3],
        hedges_won=numbers[4],
    ),
    st.sampled_from(["specialists", "general"]),
    st.tuples(*[_counts] * 5),
    st.lists(_replicas, max_size=3),
)
any_state: st.SearchStrategy[FleetState] = st.builds(
    lambda process, began, servers: read_state(
        a_state(
            *{each.name: each for each in servers}.values(), process=process, began=began, at=NOW
        ).to_json()
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40),
    _instants,
    st.lists(_servers, max_size=2),
)
