"""What a process told is believed whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.fleet.state import FleetState, Latency
from arbiter.fleet.telling import read_state
from tests.fleet.states import a_busy_fleet, a_replica, a_server, a_state, a_withheld, breaker


def test_what_a_process_tells_is_read_back_as_it_was() -> None:
    assert read_state(a_busy_fleet().to_json()) == a_busy_fleet()


def test_a_fleet_without_servers_can_be_told() -> None:
    assert read_state(a_state().to_json()).servers == ()


WITHHELD = {
    "model": "alpha",
    "adapter": None,
    "weights_sha256": "c" * 64,
    "cause": "withheld: not proven yet",
}
Edit = Callable[[dict[str, Any]], object]
EDITS: dict[str, Edit] = {
    "a missing key": lambda it: it.pop("began"),
    "a list for servers' numbers": lambda it: it["servers"][0].update(calls=[1]),
    "a word for a number": lambda it: it["servers"][0].update(hedges="many"),
    "a position that is none": lambda it: _breaker(it).update(position="ajar"),
    "a number below zero": lambda it: it["servers"][0].update(shed=-1),
    "a number beyond all counting": lambda it: it["servers"][0].update(input_tokens=10**40),
    "not a number": lambda it: _replica(it).update(in_flight=float("nan")),
    "half a request": lambda it: _replica(it).update(waiting=0.5),
    "an instant without a zone": lambda it: it.update(at="2026-03-02T10:00:00"),
    "an instant at the end of time": lambda it: _breaker(it).update(since="9999-12-31T23:59:59Z"),
    "an instant at its beginning": lambda it: it.update(began="0001-01-01T00:00:00Z"),
    "an empty process": lambda it: it.update(process=""),
    "a process that moves the cursor": lambda it: it.update(process="\x1b[2J"),
    "a process over two lines": lambda it: it.update(process="a\nb"),
    "a process beyond its length": lambda it: it.update(process="p" * 257),
    "a server with markup for a name": lambda it: it["servers"][0].update(name="<b>gpu</b>"),
    "a server without a name": lambda it: it["servers"][0].update(name=""),
    "two servers of one name": lambda it: it["servers"].append(it["servers"][0]),
    "two replicas of one name": lambda it: it["servers"][0]["replicas"].append(_replica(it)),
    "two breakers of one model": lambda it: _replica(it)["breakers"].append(_breaker(it)),
    "a replica with a slash in its name": lambda it: _replica(it).update(name="a/b"),
    "an address that runs a script": lambda it: _replica(it).update(url="javascript:alert(1)"),
    "an address with a space": lambda it: _replica(it).update(url="http://10.0.0.5/ x"),
    "a version over two lines": lambda it: _replica(it).update(engine="vllm\n0.11"),
    "a model with a bell": lambda it: _breaker(it).update(model="llama\x07"),
    "a model withheld with a bell": lambda it: _withhold(it, model="llama\x07"),
    "an adapter withheld with markup": lambda it: _withhold(it, adapter="<b>"),
    "a hash that is none": lambda it: _withhold(it, weights_sha256="c" * 63),
    "a cause over two lines": lambda it: _withhold(it, cause="with\nheld"),
    "one thing withheld twice": lambda it: _replica(it).update(withheld=[WITHHELD, WITHHELD]),
    "a cause in other letters": lambda it: _breaker(it).update(cause="Größe"),
    "an outcome in words of its own": lambda it: _replica(it).update(outcomes=[["All is well!", 3]]),
    "an outcome counted below zero": lambda it: _replica(it).update(outcomes=[["complete", -3]]),
    "buckets out of order": lambda it: _replica(it)["latency"].update(buckets=[[200, 1], [100, 1]]),
    "a bucket twice": lambda it: _replica(it)["latency"].update(buckets=[[200, 1], [200, 1]]),
    "a bucket counted below zero": lambda it: _replica(it)["latency"].update(buckets=[[200, -1]]),
    "a quantile below zero": lambda it: _replica(it)["latency"].update(p99_us=-5),
}


def _replica(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["servers"][0]["replicas"][0]
    return found


def _withhold(document: dict[str, Any], **changes: Any) -> None:
    _replica(document)["withheld"] = [WITHHELD | changes]


def _breaker(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = _replica(document)["breakers"][0]
    return found


def test_what_is_withheld_is_read_back() -> None:
    document = json.loads(a_busy_fleet().to_json())
    _withhold(document)
    (kept,) = read_state(json.dumps(document).encode()).servers[0].replicas[0].withheld
    assert (kept.model, kept.cause) == ("alpha", "withheld: not proven yet")


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_state_with_anything_out_of_bounds_is_refused_whole(edit: Edit) -> None:
    document = json.loads(a_busy_fleet().to_json())
    edit(document)
    with pytest.raises(ValueError, match=r"."):
        read_state(json.dumps(document).encode())


@pytest.mark.parametrize(
    "state",
    [
        a_state(*(a_server(f"s-{at}") for at in range(65))),
        a_state(a_server("s", *(a_replica(f"r-{at}") for at in range(33)))),
        a_state(a_server("s", a_replica("r", *(breaker(f"m-{at}") for at in range(257))))),
        a_state(a_server("s", a_replica("r", outcomes=tuple((f"o-{at}", 1) for at in range(65))))),
        a_state(
            a_server("s", a_replica("r", latency=Latency(1, 1, 1, 1, tuple((at, 1) for at in range(513)))))
        ),
        a_state(a_server("s", a_replica("r", withheld=tuple(a_withheld(f"m-{at}") for at in range(257))))),
    ],
    ids=["servers", "replicas", "models", "outcomes", "buckets", "withheld"],
)
def test_more_than_a_page_can_hold_is_refused(state: FleetState) -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        read_state(state.to_json())


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_bytes_that_are_no_state_raise_nothing_but_value_errors(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_state(content)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["process", "began", "at", "servers", "name"]), inner)
        ),
    )
)
def test_json_that_is_no_state_raises_nothing_but_value_errors(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_state(json.dumps(value).encode())
