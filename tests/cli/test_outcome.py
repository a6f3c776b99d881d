"""`arbiter outcome`: what it sends, and how it ends where the server does not take it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arbiter.cli.failing import Status
from tests.cli.commands import invoked
from tests.cli.conftest import TOKEN
from tests.cli.stub import a_stub, moved, reply

CASE = "c_" + "a" * 24
SECRET = "Mrs Example"
REFUSAL = {
    "type": "urn:problem-type:arbiter:refused",
    "title": "The request does not fit",
    "status": 422,
    "detail": "the outcome does not fit the case",
    "errors": [
        {"pointer": "/option", "code": "unknown-option", "detail": "expected one of the question's options"}
    ],
}

pytestmark = pytest.mark.usefixtures("no_settings")


@pytest.fixture
def token(tmp_path: Path) -> str:
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    return str(tmp_path / "token")


def told(url: str, token: str, *more: str, at: str = "2026-11-23T07:30+01:00") -> tuple[int, str, str]:
    given = ("--option", "urgent-review", "--observed-at", at, "--source", "discharge-letter")
    return invoked("outcome", CASE, *given, *more, "--url", url, "--token-file", token)


def test_it_sends_the_outcome_in_the_body_alone(token: str) -> None:
    with a_stub(reply(200, moved())) as stub:
        status, out, _ = told(stub.url, token, "--note", SECRET, "--kind", "independent reader")
        (asked,) = stub.asked
    assert status == Status.DONE
    assert SECRET not in out + asked["path"] + json.dumps(asked["headers"])
    assert asked["path"] == f"/v1/cases/{CASE}/outcome"
    assert json.loads(asked["body"]) == {
        "option": "urgent-review",
        "kind": "independent reader",
        "observed_at": "2026-11-23T07:30:00+01:00",
        "source": "discharge-letter",
        "note": SECRET,
    }


def test_without_a_kind_it_is_an_outcome_and_so_long_ago_is_an_instant(token: str) -> None:
    with a_stub(reply(200, moved())) as stub:
        assert told(stub.url, token, at="2h")[0] == Status.DONE
        body = json.loads(stub.asked[0]["body"])
    assert body["kind"] == "outcome"
    assert "note" not in body
    age = datetime.now(UTC) - datetime.fromisoformat(body["observed_at"])
    assert timedelta(hours=2) <= age < timedelta(hours=2, minutes=5)


def test_what_the_server_refuses_is_told_by_its_place(token: str) -> None:
    with a_stub(reply(422, REFUSAL, Content_Type="application/problem+json")) as stub:
        status, _, err = told(stub.url, token)
    assert status == Status.REFUSED
    assert "the outcome does not fit the case" in err


@pytest.mark.parametrize("kind", ["decision", "signature", "blind opinion"])
def test_nothing_else_is_an_outcome(kind: str, token: str) -> None:
    assert told("http://127.0.0.1:9", token, "--kind", kind)[0] == Status.USAGE


@pytest.mark.parametrize("at", ["", "yesterday", "2026-13-01"])
def test_an_instant_that_is_none_is_refused_before_anything_is_sent(at: str, token: str) -> None:
    status, _, err = told("http://127.0.0.1:9", token, at=at)
    assert status == Status.USAGE
    assert "--observed-at" in err


def test_a_server_that_fails_says_to_try_again(token: str) -> None:
    with a_stub(reply(503, {"title": "no room"})) as stub:
        assert told(stub.url, token)[0] == Status.UNAVAILABLE
