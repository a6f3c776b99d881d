"""Seats that name what does not exist, or whose member would misread the protocol's facts."""

from dataclasses import replace
from decimal import Decimal

import pytest

from arbiter.errors import ConfigurationError
from arbiter.model import MemberStatus
from arbiter.panels.member import NoAnswerError
from arbiter.panels.seating import facts_read, require_servers, seat_members
from arbiter.panels.vllm.pool import close_servers, open_servers
from arbiter.question import FactKind, FactSpec, Option, Protocol
from tests.fleet.files import a_fleet
from tests.panels.asking import NEWS2, RealClock, asked, protocol
from tests.panels.model_servers import model, refusing_url


def with_seat(**changed: str) -> Protocol:
    first, *rest = protocol().seats
    return replace(protocol(), seats=(replace(first, **changed), *rest))  # type: ignore[arg-type]


def with_spec(name: str, **changed: object) -> Protocol:
    question = protocol().question
    specs = tuple(replace(spec, **changed) if spec.name == name else spec for spec in question.facts)  # type: ignore[arg-type]
    return replace(protocol(), question=replace(question, facts=specs))


def test_every_seat_of_the_shipped_protocol_gets_its_member() -> None:
    members = seat_members(protocol())
    assert [(str(name), member.identity.name) for name, member in members.items()] == [
        ("news2", "news2"),
        ("mews", "mews"),
        ("cart", "cart"),
        ("qsofa", "qsofa"),
        ("sirs", "sirs"),
    ]
    assert len({member.identity.digest for member in members.values()}) == 5


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="backend 'score', or 'vllm' with a model, 'oracle' came"):
        seat_members(with_seat(backend="oracle"))


def test_a_backend_for_models_without_a_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="or 'vllm' with a model, 'vllm' came"):
        seat_members(with_seat(backend="vllm"))


def with_model(**changed: object) -> Protocol:
    first, *rest = protocol().seats
    seat = replace(first, backend="vllm", implementation="good", model=model("good", **changed))
    return replace(protocol(), seats=(seat, *rest))


def test_a_prompt_that_nobody_wrote_is_refused() -> None:
    with pytest.raises(
        ConfigurationError,
        match="seat news2: expected one of the prompts brief-v1, question-v1, 'question-v0' came",
    ):
        seat_members(with_model(prompt="question-v0"))


async def test_a_model_on_a_server_that_nobody_knows_is_seated_and_always_down() -> None:
    member = seat_members(with_model())[NEWS2]
    assert (member.identity.kind, member.identity.name) == ("vllm", "good")
    with pytest.raises(NoAnswerError, match="not one of this deployment's") as caught:
        await member.answer(asked())
    assert caught.value.status is MemberStatus.DOWN


async def test_a_protocol_in_force_needs_every_server_it_names() -> None:
    servers = open_servers(a_fleet({"gpu-b": refusing_url()}), None, RealClock())
    try:
        require_servers(with_model(server="gpu-b"), servers)
        require_servers(protocol(), {})
        with pytest.raises(
            ConfigurationError,
            match=r"protocol deterioration, seat news2: .*'gpu-a' is not known; the fleet file \(ARBITER_FLEET\) names gpu-b: "
            r"add gpu-a with its replicas",
        ):
            require_servers(with_model(), servers)
        with pytest.raises(ConfigurationError, match="names none"):
            require_servers(with_model(), {})
    finally:
        await close_servers(servers)


def test_an_unknown_score_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'news3' came"):
        seat_members(with_seat(implementation="news3"))


def test_a_score_that_answers_another_question_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="does not offer them all"):
        seat_members(with_seat(implementation="qsofa"))


def test_a_question_without_an_option_of_the_score_is_refused() -> None:
    options = (Option("urgent-review", "Urgent"), Option("discharge", "Discharge"))
    changed = replace(protocol(), question=replace(protocol().question, options=options))
    with pytest.raises(ConfigurationError, match="does not offer them all"):
        seat_members(changed)


@pytest.mark.parametrize("name", ["temperature", "spo2_scale", "paco2"])
def test_a_question_without_a_fact_that_a_score_reads_is_refused(name: str) -> None:
    question = protocol().question
    specs = tuple(spec for spec in question.facts if spec.name != name)
    with pytest.raises(ConfigurationError, match=f"reads the fact {name}"):
        seat_members(replace(protocol(), question=replace(question, facts=specs)))


def test_a_temperature_in_fahrenheit_is_refused_and_not_scored_as_celsius() -> None:
    with pytest.raises(ConfigurationError, match="a number in Cel"):
        seat_members(with_spec("temperature", unit="[degF]"))


def test_a_flag_where_a_number_belongs_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot read the fact heart_rate"):
        seat_members(with_spec("heart_rate", kind=FactKind.FLAG, unit=None))


def test_a_code_that_a_score_does_not_know_is_refused_before_any_case_comes() -> None:
    codes = (("alert", "Alert"), ("sedated", "Sedated"))
    with pytest.raises(ConfigurationError, match="cannot read the fact consciousness"):
        seat_members(with_spec("consciousness", codes=codes))


def test_a_fact_that_a_score_only_wants_is_checked_as_well() -> None:
    with pytest.raises(ConfigurationError, match="paco2"):
        seat_members(with_spec("paco2", unit="kPa"))


def test_a_fact_no_score_reads_may_be_anything() -> None:
    spec = FactSpec("mood", "Mood", FactKind.NUMBER, "1", (), Decimal(0), Decimal(9), 0, (), None)
    question = protocol().question
    seat_members(replace(protocol(), question=replace(question, facts=(*question.facts, spec))))


# --- what members may look at -------------------------------------------------------------------------------------


def test_what_is_read_is_what_some_score_has_a_row_for_or_needs() -> None:
    named = {"respiratory_rate", "spo2", "heart_rate", "temperature", "white_cell_count", "age"}
    assert named <= facts_read(protocol()) <= {spec.name for spec in protocol().question.facts}


def test_what_an_exclusion_alone_asks_for_is_not_read() -> None:
    assert not {"pregnant", "treatment_limitation"} & facts_read(protocol())


def test_fewer_seats_read_less() -> None:
    alone = replace(protocol(), seats=tuple(seat for seat in protocol().seats if seat.member == "qsofa"))
    assert facts_read(alone) == {"respiratory_rate", "consciousness", "systolic_bp"}


def test_a_model_is_shown_every_fact() -> None:
    first, *rest = protocol().seats
    shown = replace(protocol(), seats=(replace(first, backend="vllm", model=model("m1")), *rest))
    assert facts_read(shown) == {spec.name for spec in protocol().question.facts}
