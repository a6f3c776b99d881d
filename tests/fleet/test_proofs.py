"""Nothing is asked for that is not proven: never checked, silent, wrong, failed since, or proven too long ago."""

from __future__ import annotations

import time

import pytest

from arbiter.fleet.checking import Expected, Proof
from arbiter.fleet.fleet import Replica, Server
from arbiter.fleet.judging import Check, Line, State
from arbiter.fleet.probing import OUT_OF_TIME
from arbiter.fleet.proofs import HOLDS_SECONDS, KNOWN_LIMIT, NOT_LATELY, NOT_SINCE, NOT_YET, Proofs
from arbiter.question import ModelSpec
from tests.fleet.files import a_fleet
from tests.fleet.specs import a_spec

SERVER: Server = a_fleet({"gpu-a": ["http://127.0.0.1:1", "http://127.0.0.1:2"]}).servers["gpu-a"]
FIRST, SECOND = SERVER.replicas
SPEC = a_spec()


def proof(
    state: State = State.PROVEN, replica: Replica = FIRST, spec: ModelSpec = SPEC, what: Check = Check.ANSWER
) -> Proof:
    return Proof(Expected("p", "m", spec, SERVER), replica, (Line(what, state, "this", "that", "do"),))


def late() -> Proof:
    """All is as it was, but the completion did not come in time."""
    lines = (
        Line(Check.ANSWER, State.SILENT, "this", OUT_OF_TIME, "do"),
        Line(Check.NAME, State.PROVEN, "this", "this"),
    )
    return Proof(Expected("p", "m", SPEC, SERVER), FIRST, lines)


def settled(*found: Proof) -> Proofs:
    proofs = Proofs(needed=True)
    proofs.settle(found, time.monotonic())
    return proofs


def test_nothing_is_barred_where_no_proof_is_needed() -> None:
    proofs = Proofs(needed=False)
    assert proofs.barred(SERVER, SPEC) == {}
    proofs.settle([proof(State.WRONG)], time.monotonic())
    assert proofs.barred(SERVER, SPEC) == {}


def test_before_the_first_check_every_replica_is_barred() -> None:
    assert Proofs(needed=True).barred(SERVER, SPEC) == {"gpu-a-1": NOT_YET, "gpu-a-2": NOT_YET}


def test_what_is_proven_is_not_barred_and_the_other_replica_is() -> None:
    assert settled(proof()).barred(SERVER, SPEC) == {"gpu-a-2": NOT_YET}
    assert settled(proof(), proof(replica=SECOND)).barred(SERVER, SPEC) == {}


@pytest.mark.parametrize("what", list(Check))
def test_what_is_wrong_is_barred_with_a_cause_of_its_own(what: Check) -> None:
    causes = {settled(proof(State.WRONG, what=each)).barred(SERVER, SPEC)["gpu-a-1"] for each in Check}
    assert len(causes) == len(Check)
    proofs = settled(proof(State.WRONG, what=what))
    assert proofs.refuted("gpu-a", "gpu-a-1", SPEC) == proofs.barred(SERVER, SPEC)["gpu-a-1"]


def test_what_is_silent_is_barred_and_not_refuted() -> None:
    proofs = settled(proof(State.SILENT))
    assert "no answer" in proofs.barred(SERVER, SPEC)["gpu-a-1"]
    assert proofs.refuted("gpu-a", "gpu-a-1", SPEC) is None


def test_a_later_check_puts_it_right() -> None:
    proofs = settled(proof(State.WRONG), proof(replica=SECOND))
    proofs.settle([proof()], time.monotonic())
    assert proofs.barred(SERVER, SPEC) == {}
    assert proofs.refuted("gpu-a", "gpu-a-1", SPEC) is None


def test_a_breaker_that_opens_takes_the_proof_away_and_asks_for_another() -> None:
    proofs = settled(proof(), proof(replica=SECOND))
    proofs.doubt("gpu-a", "gpu-a-1", SPEC.name)
    assert proofs.barred(SERVER, SPEC) == {"gpu-a-1": NOT_SINCE}
    assert proofs.wanted.is_set()


def test_a_check_that_began_before_the_failure_proves_nothing() -> None:
    proofs = settled(proof(), proof(replica=SECOND))
    began = time.monotonic()
    proofs.doubt("gpu-a", "gpu-a-1", SPEC.name)
    proofs.settle([proof()], began - 1)
    assert proofs.barred(SERVER, SPEC) == {"gpu-a-1": NOT_SINCE}
    proofs.settle([proof()], time.monotonic())
    assert proofs.barred(SERVER, SPEC) == {}


@pytest.mark.parametrize("model", [SPEC.name, None])
def test_a_first_check_that_began_before_the_failure_proves_nothing_either(model: str | None) -> None:
    proofs = Proofs(needed=True)
    began = time.monotonic()
    proofs.doubt("gpu-a", "gpu-a-1", model)
    assert proofs.settle([proof(), proof(replica=SECOND)], began) == (proof(replica=SECOND),)
    assert proofs.barred(SERVER, SPEC) == {"gpu-a-1": NOT_YET}
    proofs.settle([proof()], time.monotonic())
    assert proofs.barred(SERVER, SPEC) == {}


def test_a_first_check_that_began_before_the_failure_still_finds_what_is_wrong() -> None:
    proofs = Proofs(needed=True)
    began = time.monotonic()
    proofs.doubt("gpu-a", "gpu-a-1")
    proofs.settle([proof(State.WRONG)], began)
    assert proofs.refuted("gpu-a", "gpu-a-1", SPEC) is not None


def test_where_nothing_was_checked_yet_not_everything_is_proven() -> None:
    """The first round may have been given up: the next must follow in seconds."""
    assert not Proofs(needed=True).all_proven
    assert settled(proof()).all_proven
    assert not settled(proof(), proof(State.SILENT, SECOND)).all_proven


def test_what_was_proven_too_long_ago_is_not_proven() -> None:
    proofs = Proofs(needed=True)
    proofs.settle([proof(), proof(replica=SECOND)], time.monotonic() - HOLDS_SECONDS - 1)
    assert not proofs.all_proven


def test_what_is_late_with_its_answer_keeps_its_proof_which_ages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind 32 cases at one sequence at a time a check waits longer than it may, and nothing is wrong."""
    proofs, now = settled(proof(), proof(replica=SECOND)), time.monotonic()
    assert proofs.settle([late()], now) == ()
    assert proofs.barred(SERVER, SPEC) == {}
    proofs.settle([late(), proof(replica=SECOND)], now + HOLDS_SECONDS)
    monkeypatch.setattr(time, "monotonic", lambda: now + HOLDS_SECONDS + 1)
    assert proofs.barred(SERVER, SPEC) == {"gpu-a-1": NOT_LATELY}, "lateness is no proof anew"
    assert proofs.settle([late()], now + HOLDS_SECONDS + 1) == (late(),)
    assert "no answer" in proofs.barred(SERVER, SPEC)["gpu-a-1"]


def test_what_is_late_and_has_failed_since_its_proof_stays_withheld() -> None:
    proofs = settled(proof(), proof(replica=SECOND))
    began = time.monotonic()
    proofs.doubt("gpu-a", "gpu-a-1")
    for at in (began, time.monotonic()):
        proofs.settle([late()], at)
        assert set(proofs.barred(SERVER, SPEC)) == {"gpu-a-1"}


@pytest.mark.parametrize("before", [None, State.SILENT, State.WRONG])
def test_what_is_late_and_was_not_proven_stays_withheld(before: State | None) -> None:
    proofs = settled(proof(replica=SECOND), *(() if before is None else (proof(before),)))
    proofs.settle([late()], time.monotonic())
    assert set(proofs.barred(SERVER, SPEC)) == {"gpu-a-1"}


def test_a_failure_does_not_hide_that_a_replica_was_wrong() -> None:
    proofs = settled(proof(State.WRONG, what=Check.WEIGHTS))
    before = proofs.barred(SERVER, SPEC)["gpu-a-1"]
    proofs.doubt("gpu-a", "gpu-a-1", SPEC.name)
    assert proofs.barred(SERVER, SPEC)["gpu-a-1"] == before


def test_a_failure_of_another_model_says_nothing() -> None:
    proofs = settled(proof())
    for place in (
        ("gpu-b", "gpu-a-1", SPEC.name),
        ("gpu-a", "gpu-a-2", SPEC.name),
        ("gpu-a", "gpu-a-1", "other"),
    ):
        proofs.doubt(*place)
    assert "gpu-a-1" not in proofs.barred(SERVER, SPEC)


def test_a_proof_does_not_hold_for_ever_when_nobody_makes_another() -> None:
    proofs = Proofs(needed=True)
    proofs.settle([proof(), proof(replica=SECOND)], time.monotonic() - HOLDS_SECONDS - 1)
    assert proofs.barred(SERVER, SPEC) == {"gpu-a-1": NOT_LATELY, "gpu-a-2": NOT_LATELY}


@pytest.mark.parametrize(
    "other",
    [
        a_spec("circulation"),
        a_spec(weights_sha256="cd" * 32),
        a_spec(weights_sha256=None),
        a_spec(adapter=None),
    ],
)
def test_another_name_adapter_or_hash_is_another_thing_to_prove(other: ModelSpec) -> None:
    """A case under an older protocol is not answered by the newer one's model."""
    proofs = settled(proof(), proof(replica=SECOND))
    assert set(proofs.barred(SERVER, other).values()) == {NOT_YET}
    assert [expected.model for expected in proofs.asked()] == [other]
    assert proofs.wanted.is_set()


def test_another_sampling_of_the_same_weights_is_the_same_thing() -> None:
    assert settled(proof(), proof(replica=SECOND)).barred(SERVER, a_spec(samples=1)) == {}


def test_what_is_remembered_of_old_protocols_is_bounded() -> None:
    proofs = Proofs(needed=True)
    for number in range(KNOWN_LIMIT + 10):
        proofs.barred(SERVER, a_spec(f"model-{number}"))
    assert len(proofs.asked()) == KNOWN_LIMIT


def test_what_changed_is_told_once() -> None:
    proofs = Proofs(needed=True)
    wrong = proof(State.WRONG)
    assert proofs.settle([wrong], time.monotonic()) == (wrong,)
    assert proofs.settle([wrong], time.monotonic()) == ()
    assert proofs.settle([proof()], time.monotonic()) == (proof(),)


def test_that_a_proof_was_lost_is_told_once_and_that_it_is_back_too() -> None:
    proofs = settled(proof(), proof(replica=SECOND))
    assert proofs.doubt("gpu-a", "gpu-a-1") == (SPEC.name,)
    assert proofs.doubt("gpu-a", "gpu-a-1", SPEC.name) == ()
    assert proofs.settle([proof()], time.monotonic()) == (proof(),)
    assert proofs.settle([proof()], time.monotonic()) == ()
    assert proofs.doubt("gpu-a", "gpu-a-1") == (SPEC.name,)


@pytest.mark.parametrize("state", [State.SILENT, State.WRONG])
def test_a_failure_of_what_is_withheld_anyway_is_told_by_nobody(state: State) -> None:
    proofs = settled(proof(state))
    assert proofs.doubt("gpu-a", "gpu-a-1") == ()
    assert proofs.settle([proof(state)], time.monotonic()) == ()


def test_what_is_wrong_otherwise_than_before_is_told() -> None:
    proofs = settled(proof(State.WRONG))
    other = proof(State.WRONG, what=Check.WEIGHTS)
    assert proofs.settle([other], time.monotonic()) == (other,)


def test_looking_at_what_is_withheld_asks_for_no_check() -> None:
    proofs = Proofs(needed=True)
    assert proofs.withheld(SERVER, SPEC) == {"gpu-a-1": NOT_YET, "gpu-a-2": NOT_YET}
    assert proofs.asked() == ()
    assert not proofs.wanted.is_set()
    assert proofs.barred(SERVER, SPEC) == proofs.withheld(SERVER, SPEC)
    assert len(proofs.asked()) == 1
