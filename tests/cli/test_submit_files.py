"""What `arbiter submit` refuses before anything is sent, and that no message repeats a patient's words or a token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from arbiter.cli.failing import Status
from tests.cli.conftest import TOKEN, Arbiter
from tests.system.service import case_body

SECRET = "Mr-Secretperson"


@pytest.fixture(autouse=True)
def nobody_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that refuses: whoever sends something in spite of its faults ends with another status."""
    monkeypatch.setenv("ARBITER_URL", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected JSON; line 1 column 1"),
        (b'{"subject": "Mr-Secretperson"', "line 1 column 30"),
        (b'{"subject": "Mr-Secretperson",\n "facts": {"x": NaN}}', "expected finite numbers"),
        (b'{"subject": "Mr-Secretperson", "subject": "Mr-Secretperson"}', "one came twice"),
        (b'["Mr-Secretperson"]', "expected a JSON object"),
        (b'"Mr-Secretperson"', "expected a JSON object"),
        (b'{"subject": "Mr-Secretperson \xff"}', "expected UTF-8, byte 29"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"resourceType": "Patient", "id": "Mr-Secretperson"}', "another FHIR resource came"),
        (b'{"resourceType": "Bundle", "id": "Mr-Secretperson"}', "--protocol, --site, --risk-class"),
        (b'{"x": "' + b"y" * (4 * 1024 * 1024) + b'"}', "at most 4194304 bytes"),
    ],
    ids=["empty", "cut", "nan", "twice", "list", "text", "latin-1", "deep", "patient", "bundle", "long"],
)
def test_a_file_that_is_no_case_is_refused_by_its_place(
    arbiter: Arbiter, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "case.json"
    file.write_bytes(content)
    ended = arbiter("submit", str(file))
    assert ended.status == Status.USAGE
    assert said in ended.err
    assert "case.json" in ended.err
    assert SECRET not in ended.err
    assert ended.out == ""


def test_a_file_that_is_not_there_is_named(arbiter: Arbiter, tmp_path: Path) -> None:
    ended = arbiter("submit", str(tmp_path / "nothing.json"))
    assert ended.status == Status.FAILED
    assert "nothing.json: No such file or directory" in ended.err


@pytest.mark.parametrize(
    "arguments", [(), ("case.json", "--example", "deterioration/child")], ids=["none", "both"]
)
def test_exactly_one_case_is_named(arbiter: Arbiter, arguments: tuple[str, ...]) -> None:
    ended = arbiter("submit", *arguments)
    assert ended.status == Status.USAGE
    assert "exactly one of them" in ended.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("deterioration/nobody", "deterioration has no example nobody"),
        ("deterioration", "deterioration has no example without a name"),
        ("deterioratoin/child", "expected an example as PROTOCOL/EXAMPLE, of"),
        ("", "expected an example as PROTOCOL/EXAMPLE, of"),
    ],
)
def test_an_unknown_example_names_what_there_is(arbiter: Arbiter, name: str, said: str) -> None:
    ended = arbiter("submit", "--example", name)
    assert ended.status == Status.USAGE
    assert said in ended.err


def test_an_override_does_not_change_a_number_unnoticed(arbiter: Arbiter, tmp_path: Path) -> None:
    body = json.dumps(case_body()).replace("36.8", "36.800000000000000000001")
    file = tmp_path / "case.json"
    file.write_text(body)
    ended = arbiter("submit", str(file), "--site", "north")
    assert ended.status == Status.USAGE
    assert "more digits than an override can keep" in ended.err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://arbiter.hospital.example", "plain HTTP to arbiter.hospital.example"),
        ("http://10.0.0.7:8400", "plain HTTP to 10.0.0.7"),
        ("http://localhost.evil.example", "plain HTTP to localhost.evil.example"),
        ("https://user:s3cret@hospital.example", "one with a user came"),
        ("ftp://127.0.0.1", "expected the address as https://"),
        ("127.0.0.1:8400", "expected the address as https://"),
        ("https://", "expected the address as https://"),
        ("https://hospital.example/?x=1", "expected the address as https://"),
        ("https://hospital.example:port", "expected the address as https://"),
        ("https://[::1", "expected the address as https://"),
    ],
)
def test_an_address_on_which_a_token_would_be_readable_or_that_is_none_is_refused(
    arbiter: Arbiter, url: str, said: str
) -> None:
    ended = arbiter("watch", "--once", "--url", url)
    assert ended.status == Status.USAGE
    assert said in ended.err
    assert "s3cret" not in ended.err


@pytest.mark.parametrize(
    "content",
    [
        "",
        "hunter2-hunter2",
        TOKEN[:-1],
        TOKEN + "x",
        "{}",
        '{"token": 7}',
        '{"tok',
        "\x00" * 100_000,
        "é" * 70,
    ],
    ids=["empty", "password", "short", "long", "no-member", "number", "cut", "zeros", "letters"],
)
def test_a_file_without_a_token_is_named_and_not_shown(
    arbiter: Arbiter, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "other-token"
    file.write_text(content)
    file.chmod(0o600)
    ended = arbiter("watch", "--once", "--token-file", str(file))
    assert ended.status == Status.FAILED
    assert "other-token" in ended.err
    assert len(content) < 5 or content[:12] not in ended.err


def test_no_token_at_all_says_where_one_is_expected(
    arbiter: Arbiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARBITER_TOKEN_FILE")
    ended = arbiter("watch", "--once")
    assert ended.status == Status.USAGE
    assert "ARBITER_TOKEN_FILE" in ended.err


def test_a_token_in_the_environment_is_refused_and_not_shown(
    arbiter: Arbiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARBITER_TOKEN", TOKEN)
    ended = arbiter("watch", "--once")
    assert ended.status == Status.FAILED
    assert "unknown setting ARBITER_TOKEN: did you mean ARBITER_TOKEN_FILE?" in ended.err
    assert TOKEN not in ended.err


def test_a_token_that_others_may_read_is_warned_about(arbiter: Arbiter, tmp_path: Path) -> None:
    file = tmp_path / "open-token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    ended = arbiter("watch", "--once", "--token-file", str(file))
    assert "others may read" in ended.err
    assert TOKEN not in ended.err


def test_nobody_at_the_address_ends_with_4_and_says_what_to_look_at(arbiter: Arbiter, tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    body: dict[str, Any] = case_body(subject=SECRET)
    file.write_text(json.dumps(body))
    ended = arbiter("submit", str(file))
    assert ended.status == Status.UNAVAILABLE
    assert "nobody answers at http://127.0.0.1:9" in ended.err
    assert SECRET not in ended.err + ended.out
    assert TOKEN not in ended.err + ended.out
