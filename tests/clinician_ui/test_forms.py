"""Forms: what a person gets wrong comes back in words, what no page of ours sends is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request
from starlette.types import Message

from arbiter.errors import RefusedError
from clinician_ui.fields import LARGEST_BODY_BYTES, Fields, only_value, read_fields
from clinician_ui.forms import (
    LONGEST_TEXT,
    Checked,
    check_log_in,
    check_opinion,
    check_reason,
    check_signature,
    draft_of,
)

URLENCODED = "application/x-www-form-urlencoded"


def request(body: bytes, content_type: str = URLENCODED, pieces: int = 1) -> Request:
    size = max(1, len(body) // pieces)
    chunks = [body[at : at + size] for at in range(0, len(body), size)] or [b""]

    async def receive() -> Message:
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    headers = [(b"content-type", content_type.encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


def opinion(**changes: object) -> Fields:
    fields: dict[str, object] = {"option": "a", "confidence": "80", "rests_on": ("x", "y"), "note": "why"}
    return as_fields(fields | changes)


def signature(**changes: object) -> Fields:
    whole = {"option": "a", "reason": "because", "shown": "0" * 64, "login": "anna", "password": "secret"}
    return as_fields(whole | changes)


def as_fields(values: dict[str, object]) -> Fields:
    return {
        name: value if isinstance(value, tuple) else (str(value),)
        for name, value in values.items()
        if value is not None
    }


def mistakes(checked: Checked[Any]) -> dict[str, str]:
    assert (checked.values is None) == bool(checked.mistakes)
    return {mistake.field: mistake.message for mistake in checked.mistakes}


# --- bodies ------------------------------------------------------------------------------------------------------


async def test_a_form_in_pieces_is_one_form() -> None:
    body = urlencode([("note", "a & b = ü"), ("rests_on", "x"), ("rests_on", "y"), ("blank", "")]).encode()
    fields = await read_fields(request(body, f"{URLENCODED}; charset=UTF-8", pieces=7))
    assert fields == {"note": ("a & b = ü",), "rests_on": ("x", "y"), "blank": ("",)}


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/form-data; boundary=x", "text/plain", "*/*"]
)
async def test_other_content_types_are_refused(content_type: str) -> None:
    with pytest.raises(RefusedError, match="urlencoded"):
        await read_fields(request(b"a=b", content_type))


@pytest.mark.parametrize(
    "body",
    [
        b"a=%ff",
        b"a=%ed%a0%80",
        b"a=\xc3\xbc",
        b"a=" + b"x" * LARGEST_BODY_BYTES,
        b"&".join(b"f%d=1" % number for number in range(251)),
    ],
    ids=["not UTF-8", "a lone surrogate", "raw bytes", "too long", "too many fields"],
)
async def test_unreadable_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(RefusedError, match="expected"):
        await read_fields(request(body, pieces=5))


async def test_a_connection_cut_in_the_middle_is_refused() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    cut = Request(
        {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", URLENCODED.encode())]},
        receive,
    )
    with pytest.raises(RefusedError, match="whole form"):
        await read_fields(cut)


def test_a_field_sent_twice_is_refused() -> None:
    with pytest.raises(RefusedError, match="once"):
        only_value({"option": ("a", "b")}, "option")


# --- opinions ----------------------------------------------------------------------------------------------------


def test_a_complete_opinion_is_taken() -> None:
    form = check_opinion(opinion(note="  one\r\ntwo\r ")).values
    assert form is not None
    assert (form.option, form.confidence, form.rests_on, form.note) == ("a", 80, ("x", "y"), "one\ntwo")


@pytest.mark.parametrize(("typed", "percent"), [("0", 0), ("100", 100), (" 70 % ", 70), ("007", 7)])
def test_whole_percentages_are_taken(typed: str, percent: int) -> None:
    form = check_opinion(opinion(confidence=typed)).values
    assert form is not None
    assert form.confidence == percent


@pytest.mark.parametrize(
    "typed", ["101", "-1", "70.5", "1e2", "seventy", "\u0667\u0660", "7 0", "%", "0x10", "999999999999"]
)
def test_other_confidences_come_back(typed: str) -> None:
    assert "whole number from 0 to 100" in mistakes(check_opinion(opinion(confidence=typed)))["confidence"]


@pytest.mark.parametrize("typed", ["", "   ", None])
def test_a_missing_confidence_comes_back(typed: str | None) -> None:
    assert mistakes(check_opinion(opinion(confidence=typed))) == {
        "confidence": "Enter how sure you are, from 0 to 100"
    }


def test_everything_missing_comes_back_at_once_in_the_order_of_the_page() -> None:
    checked = check_opinion({"csrf_token": ("t",)})
    assert [mistake.field for mistake in checked.mistakes] == ["option", "confidence", "rests_on"]


def test_an_opinion_that_rests_on_nothing_comes_back() -> None:
    assert set(mistakes(check_opinion(opinion(rests_on=None, note=" \r\n ")))) == {"rests_on"}


UNSEEN = [" \u200b\u00a0 ", "\u202e\u202c", "\ufeff", "\u2060\u200d", "\u3000\n\t"]


@pytest.mark.parametrize("text", UNSEEN)
def test_a_note_in_which_there_is_nothing_to_see_is_none(text: str) -> None:
    assert set(mistakes(check_opinion(opinion(rests_on=None, note=text)))) == {"rests_on"}


@pytest.mark.parametrize("text", UNSEEN)
def test_a_reason_in_which_there_is_nothing_to_see_is_none(text: str) -> None:
    assert "reason" in mistakes(check_reason({"csrf_token": ("t",), "reason": (text,)}))


@pytest.mark.parametrize("text", ["?", "\u200bno", "\u05d0\u200f", "\U0001f9ea"])
def test_whatever_can_be_seen_is_a_note(text: str) -> None:
    checked = check_opinion(opinion(rests_on=None, note=text))
    assert checked.values is not None
    assert checked.values.note == text


def test_a_note_is_ground_enough() -> None:
    assert check_opinion(opinion(rests_on=None)).values is not None


@pytest.mark.parametrize("text", ["a\x00b", "\x1b[31m", "a\u2028b", "a\x85b", "a\x7f"])
def test_control_characters_come_back(text: str) -> None:
    assert "Remove characters" in mistakes(check_opinion(opinion(note=text)))["note"]


def test_a_note_has_a_limit() -> None:
    assert check_opinion(opinion(note="x" * LONGEST_TEXT)).values is not None
    assert "2,000 characters" in mistakes(check_opinion(opinion(note="x" * (LONGEST_TEXT + 1))))["note"]


@pytest.mark.parametrize("check", [check_opinion, check_signature, check_log_in])
def test_an_unknown_field_is_refused(check: Callable[[Fields], Checked[Any]]) -> None:
    with pytest.raises(RefusedError, match="decided_by"):
        check({"decided_by": ("panel",)})


@pytest.mark.parametrize("name", ["option", "confidence", "note"])
def test_an_opinion_with_a_field_twice_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="once"):
        check_opinion(opinion(**{name: ("1", "2")}))


# --- signatures and log-ins --------------------------------------------------------------------------------------


def test_a_signature_without_a_reason_is_for_the_workflow_to_judge() -> None:
    form = check_signature(signature(reason="")).values
    assert form is not None
    assert form.reason == ""


def test_a_signature_without_decision_and_password_comes_back() -> None:
    assert mistakes(check_signature(signature(option=None, login=" ", password=""))) == {
        "option": "Select your decision",
        "login": "Enter your login to sign",
        "password": "Enter your password to sign",
    }


def test_a_signature_with_a_passkey_asks_for_no_password() -> None:
    form = check_signature(signature(login=None, password=None, passkey="{}")).values
    assert form is not None
    assert form.passkey == "{}"


@pytest.mark.parametrize("shown", [None, "", " "])
def test_a_signature_that_does_not_say_what_was_shown_comes_back(shown: str | None) -> None:
    assert set(mistakes(check_signature(signature(shown=shown)))) == {"shown"}


def test_an_endless_password_comes_back() -> None:
    assert set(mistakes(check_signature(signature(password="x" * 1025)))) == {"password"}


def test_a_password_is_taken_as_typed() -> None:
    form = check_log_in(as_fields({"login": "anna", "password": "  spaced  "})).values
    assert form is not None
    assert form.password == "  spaced  "


def test_an_empty_log_in_comes_back() -> None:
    assert mistakes(check_log_in({"login": (" ",)})) == {
        "login": "Enter your login",
        "password": "Enter your password",
    }


def test_a_draft_never_holds_a_password() -> None:
    draft = draft_of(signature(password="hunter2-hunter2", reason="r" * 9000))
    assert "hunter2" not in repr(draft)
    assert len(draft.reason) == 2 * LONGEST_TEXT


def test_no_random_fields_do_worse_than_come_back_or_be_refused() -> None:
    source = random.Random(20261122)
    alphabet = 'ab0% \x00\n\r<&"é\u2028🙂'
    for _ in range(500):
        fields: Fields = {
            name: tuple(
                "".join(source.choices(alphabet, k=source.randrange(8))) for _ in range(source.randrange(3))
            )
            for name in source.sample(["option", "confidence", "rests_on", "note", "csrf_token", "x"], 3)
        }
        try:
            checked = check_opinion(fields)
        except RefusedError:
            continue
        assert (checked.values is None) == bool(checked.mistakes)
