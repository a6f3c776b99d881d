"""Which replica is asked after one reply was slow: what is known of it holds for all its models, and one request tries it again."""

from __future__ import annotations

from arbiter.model import RiskClass
from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.moves import Moves
from arbiter.panels.vllm.places import Places
from arbiter.panels.vllm.replica import OK, ServingReplica
from arbiter.panels.vllm.tries import Request, Tries, Try
from arbiter.panels.vllm.wire import Talk
from tests.fleet.files import a_fleet
from tests.panels.asking import RealClock
from tests.panels.model_servers import refusing_url

FIRST, SECOND = "gpu-a-1", "gpu-a-2"
ONE, OTHER = "ward", "ward-2"


def places_of_two() -> Places:
    """Two replicas on which each of two models takes ten seconds: beside that nobody sees how fast this machine is."""
    server = a_fleet({"gpu-a": [refusing_url(), refusing_url()]}, concurrency=8).servers["gpu-a"]
    replicas = [ServingReplica(replica, None) for replica in server.replicas]
    for replica in replicas:
        for model in (ONE, OTHER):
            replica.record(model).usual = 10.0
    return Places(server, replicas, RealClock(), Moves())


def reply(places: Places, model: str, shunned: str, seconds: float) -> None:
    """Let a reply of the replica that is not shunned have taken so long, and take it in."""
    place = places.take(model, (shunned,))
    assert place is not None
    talk = Talk(1)
    talk.status = OK
    talk.end(Ending.COMPLETE)
    talk.started = talk.ended - seconds
    tries = Tries(places, Request(model, b"", 1, RiskClass.ROUTINE, "1", frozenset))
    tries.settle(Try(place, talk))


def taken(places: Places, model: str, times: int, *, held: bool) -> list[str]:
    """Return where a place was given so many times; those that are not held are given back before the next is taken."""
    names = []
    for _ in range(times):
        place = places.take(model, ())
        assert place is not None
        names.append(place.replica.name)
        if not held:
            places.give_back(place)
    return names


async def test_replicas_that_are_alike_are_asked_in_turn() -> None:
    places = places_of_two()
    reply(places, ONE, shunned=SECOND, seconds=10.0)
    assert taken(places, OTHER, 4, held=False) == [SECOND, FIRST] * 2


async def test_a_replica_that_was_slow_with_one_model_is_left_at_that_reply_by_all_models() -> None:
    places = places_of_two()
    reply(places, ONE, shunned=SECOND, seconds=100.0)
    assert taken(places, OTHER, 4, held=False) == [SECOND] * 4
    # Also where the other one has the more to do.
    assert taken(places, OTHER, 4, held=True) == [SECOND] * 4


async def test_when_that_is_forgotten_one_request_of_any_model_tries_it() -> None:
    places = places_of_two()
    reply(places, ONE, shunned=SECOND, seconds=100.0)
    places.replicas[0].pace.told_at -= 60.0  # a minute ago, in which nothing was heard of it
    assert sorted(taken(places, OTHER, 6, held=True)) == [FIRST] + [SECOND] * 5
    # Nothing is forgiven while it is tried, by whichever model.
    assert taken(places, ONE, 1, held=True) == [SECOND]


async def test_a_replica_that_was_quick_when_it_was_tried_is_believed_by_all_models() -> None:
    places = places_of_two()
    reply(places, ONE, shunned=SECOND, seconds=100.0)
    places.replicas[0].pace.told_at -= 60.0
    reply(places, OTHER, shunned=SECOND, seconds=10.0)
    assert taken(places, ONE, 6, held=True).count(FIRST) == 3
