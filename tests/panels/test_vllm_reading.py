"""What a model is bound to and what is believed of its reply: the schema, a second validator, and attacks on the reader."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from arbiter.model import FactSet
from arbiter.panels.grounding import fault_of
from arbiter.panels.vllm.answer_schema import answer_schema
from arbiter.panels.vllm.reading import CONTENT_LIMIT, choices_of, read_answer, read_reply
from arbiter.panels.vllm.strict import UnreadableError
from arbiter.question import ABSTAIN
from tests.panels.asking import TAKEN_AT, asked, fact_set

PUT = replace(asked(), seed=7, deadline=TAKEN_AT)


# --- the schema and its two readers ------------------------------------------------------------------------------

SCHEMA = answer_schema(PUT)
NAIVE = Draft202012Validator(SCHEMA)


def sound(**changes: Any) -> dict[str, Any]:
    return {
        "evidence": [{"fact": "heart_rate", "value": "70", "finding": "normal"}],
        "missing": [],
        "rationale": "signs are normal",
        "option": "continue-monitoring",
        "confidence": 80,
        "consult": [],
    } | changes


def text_of(**changes: Any) -> str:
    return json.dumps(sound(**changes))


def accepted(text: str) -> bool:
    try:
        read_answer(text, PUT)
    except UnreadableError:
        return False
    return True


def test_the_schema_is_a_schema_and_nothing_in_it_is_open_or_unbounded() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    places = [SCHEMA]
    while places:
        here = places.pop()
        match here["type"]:
            case "object":
                assert here["additionalProperties"] is False
                assert here["required"] == list(here["properties"])
                places += here["properties"].values()
            case "array":
                assert here["maxItems"] <= 64
                places.append(here["items"])
            case "string":
                assert "enum" in here or here["maxLength"] <= 4_000
            case "integer":
                assert "enum" not in here
                assert (here["minimum"], here["maximum"]) == (0, 100)
            case _:
                pytest.fail(here["type"])


def test_the_schema_offers_the_options_and_abstention_and_depends_on_no_case() -> None:
    options = SCHEMA["properties"]["option"]["enum"]
    assert options == [*(option.id for option in PUT.options), ABSTAIN]
    assert answer_schema(replace(PUT, facts=FactSet(1, ()))) == SCHEMA


def test_the_longest_answer_of_the_schema_is_within_the_readers_limit() -> None:
    longest = sound(
        evidence=[{"fact": "supplemental_oxygen", "value": "\u0001" * 64, "finding": "\u0001" * 200}] * 16,
        missing=["treatment_limitation"] * 16,
        consult=["\u0001" * 80] * 3,
        rationale="\u0001" * 1_000,
    )
    assert NAIVE.is_valid(longest)
    assert accepted(json.dumps(longest))
    assert len(json.dumps(longest, indent=2)) < CONTENT_LIMIT


def texts(limit: int) -> st.SearchStrategy[str]:
    return st.one_of(
        st.text(max_size=12), st.sampled_from(["", "x" * limit, "x" * (limit + 1), "\u00e9" * limit])
    )


FACTS = [spec.name for spec in PUT.specs]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*FACTS, "blood_group", "", "HEART_RATE"])
CITED = st.fixed_dictionaries(
    {"fact": NAMES, "value": texts(64), "finding": texts(200)}, optional={"points": JUNK}
)
ANSWERS = st.fixed_dictionaries(
    {
        "evidence": st.lists(CITED, max_size=3) | st.lists(CITED, min_size=16, max_size=17) | JUNK,
        "missing": st.lists(NAMES, max_size=3)
        | st.lists(st.just("lactate"), min_size=16, max_size=17)
        | JUNK,
        "rationale": texts(1_000) | JUNK,
        "option": st.sampled_from(["urgent-review", "continue-monitoring", ABSTAIN, "discharge", ""]) | JUNK,
        "confidence": st.sampled_from([0, 100, -1, 101, 50.0, 50.5, 1e2, True, "50"])
        | st.integers(-5, 105)
        | JUNK,
        "consult": st.lists(texts(80), max_size=4) | JUNK,
    },
)
SOUND_ANSWERS = st.builds(
    sound,
    evidence=st.lists(
        st.fixed_dictionaries({"fact": st.sampled_from(FACTS), "value": texts(64), "finding": texts(200)}),
        max_size=3,
    ),
    missing=st.lists(st.sampled_from(FACTS), max_size=3),
    rationale=st.text(max_size=50),
    option=st.sampled_from(SCHEMA["properties"]["option"]["enum"]),
    confidence=st.integers(0, 100),
    consult=st.lists(st.text(max_size=20), max_size=3),
)


@settings(max_examples=500, deadline=None)
@given(st.one_of(SOUND_ANSWERS, ANSWERS, JUNK), st.data())
def test_a_second_validator_accepts_the_very_same_answers(answer: Any, data: st.DataObject) -> None:
    if isinstance(answer, dict) and answer and data.draw(st.booleans()):
        # Take a member out, add one, or replace one: near misses tell more than noise.
        name = data.draw(st.sampled_from([*answer, "points"]))
        answer = {key: value for key, value in answer.items() if key != name}
        if data.draw(st.booleans()):
            answer |= {name: data.draw(JUNK)}
    assert accepted(json.dumps(answer)) is NAIVE.is_valid(answer)


def test_both_outcomes_are_met_by_the_property_above() -> None:
    assert accepted(text_of())
    assert not accepted(text_of(option="discharge"))


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "null", "[]", '"{}"', text_of() + " ", " " + text_of(), "\ufeff" + text_of(), text_of() + text_of(),
        text_of() + "}", text_of()[:-1], text_of().replace('"confidence": 80', '"confidence": 080'),
        text_of().replace('"confidence": 80', '"confidence": NaN'),
        text_of().replace('"confidence": 80', '"confidence": Infinity'),
        text_of().replace('"confidence": 80', '"confidence": 1e400'),
        text_of().replace('"confidence": 80', '"confidence": ' + "9" * 5_000),
        text_of().replace('"option": "', '"option": "abstain", "option": "'),
        text_of().replace('"fact": "', '"fact": "lactate", "fact": "'),
        text_of().replace('"consult": []', '"consult": [],'),
        text_of().replace("signs", "sig\nns"),
        text_of().replace('"', "'"),
        "{" + " " * CONTENT_LIMIT + "}",
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        "{" + "[" * 60_000 + "}",
    ],
    ids=range(24),
)  # fmt: skip
def test_what_is_not_exactly_one_answer_is_unreadable(text: str) -> None:
    assert not accepted(text)


def test_a_confidence_that_json_calls_whole_is_whole() -> None:
    assert accepted(text_of().replace('"confidence": 80', '"confidence": 8.0e1'))
    assert not accepted(text_of().replace('"confidence": 80', '"confidence": 80.5'))


def test_an_abstention_is_no_option_and_names_what_it_lacks() -> None:
    sample = read_answer(text_of(option=ABSTAIN, evidence=[], missing=["lactate"]), PUT)
    assert (sample.option, sample.evidence, sample.missing) == (None, (), ("lactate",))


def test_a_model_that_cites_what_was_too_old_to_be_shown_is_ungrounded() -> None:
    put = replace(PUT, facts=fact_set({"heart_rate": timedelta(hours=5)}))
    sample = read_answer(text_of(evidence=[{"fact": "heart_rate", "value": "70", "finding": "x"}]), put)
    assert fault_of(sample, put) == "ungrounded: cites a fact that is too old"
    assert fault_of(sample, PUT) is None


def body_of(*found: Any, **changes: Any) -> bytes:
    return json.dumps({"id": "chatcmpl-r", "model": "m", "choices": list(found)} | changes).encode()


def one_choice(index: Any = 0, **changes: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": text_of()}
    return {"index": index, "message": said, "finish_reason": "stop"} | changes


@pytest.mark.parametrize(
    "body",
    [
        body_of(one_choice(-1)), body_of(one_choice(2)), body_of(one_choice("0")), body_of(one_choice(True)),
        body_of(one_choice(None)), body_of(one_choice(0), one_choice(0)), body_of("text"), body_of(None),
        body_of(one_choice(), choices={}), body_of(one_choice(), choices=None), body_of(one_choice(), model=None),
        body_of(one_choice(), model="M"), body_of(one_choice(), id="chatcmpl-R"), body_of(one_choice(), id="r"),
        body_of(one_choice(), id=None), body_of(one_choice(), id=["chatcmpl-r"]), body_of(one_choice(finish_reason="length")),
        body_of(one_choice(finish_reason=None)), body_of(one_choice(message=None)), body_of(one_choice(message="x")),
        body_of(one_choice(message={"role": "user", "content": text_of()})),
        body_of(one_choice(message={"role": "assistant", "content": [text_of()]})), b"", b"{}", b"\xff", b"null",
    ],
    ids=range(26),
)  # fmt: skip
def test_a_reply_or_choice_that_breaks_the_rules_gives_no_sample(body: bytes) -> None:
    answer = read_reply(body, PUT, "m", 2, "r", read_answer)
    assert (answer.samples, answer.unreadable) == ((), 2)


def test_choices_count_in_the_order_of_their_places() -> None:
    body = body_of(
        one_choice(1, message={"role": "assistant", "content": text_of(rationale="second")}),
        one_choice(0, message={"role": "assistant", "content": text_of(rationale="first")}),
    )
    answer = read_reply(body, PUT, "m", 3, "r", read_answer)
    assert [sample.rationale for sample in answer.samples] == ["first", "second"]
    assert answer.unreadable == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_whatever_raise(body: bytes) -> None:
    assert read_reply(body, PUT, "m", 3, "r", read_answer).unreadable == 3


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**6), st.binary(min_size=0, max_size=4))
def test_no_damage_to_a_sound_reply_raises(at: int, put: bytes) -> None:
    body = body_of(one_choice())
    at %= len(body)
    answer = read_reply(body[:at] + put + body[at + 1 :], PUT, "m", 1, "r", read_answer)
    assert len(answer.samples) + answer.unreadable == 1


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 812, "completion_tokens": 95}, (812, 95)),
        ({"prompt_tokens": 812}, None),
        ({"prompt_tokens": True, "completion_tokens": 95}, None),
        ({"prompt_tokens": -1, "completion_tokens": 95}, None),
        ({"prompt_tokens": 10**9, "completion_tokens": 95}, None),
        ({"prompt_tokens": 8.5, "completion_tokens": 95}, None),
        (7, None),
        (None, None),
    ],
)
def test_tokens_are_told_only_as_plausible_counts(usage: Any, tokens: tuple[int, int] | None) -> None:
    assert choices_of(body_of(one_choice(), usage=usage), "m", 1, "r").tokens == tokens
