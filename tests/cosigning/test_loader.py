"""The file of witnesses: whole or refused, every fault by its place, and nobody counted twice."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from arbiter.audit.note import Ed25519Cosigner, Ed25519NoteSigner
from arbiter.cosigning.circle import NOBODY, check_apart
from arbiter.cosigning.loader import SIZE_LIMIT, load_circle, read_circle
from arbiter.errors import ConfigurationError, InvalidWitnessesError
from arbiter.model import RiskClass
from tests.witness.trees import LOG_KEY


def key(name: str = "w.example/1", seed: bytes = b"1" * 32) -> str:
    return Ed25519Cosigner(name, seed, 0).verifier_key


FILE = f"""witnesses:
  - name: university
    key: {key()}
    url: https://witness.university.example/
  - name: regulator
    key: {key("w.example/2", b"2" * 32)}
    url: http://127.0.0.1:8410/under
quorum:
  routine: 2
  urgent: 1
  emergency: 0
"""


def spoiled(old: str, new: str) -> bytes:
    assert FILE.count(old) >= 1, old
    return FILE.replace(old, new, 1).encode()


def problems(source: bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidWitnessesError) as caught:
        load_circle("witnesses.yaml", source)
    return [(problem.pointer, problem.code) for problem in caught.value.problems]


def test_a_whole_file_is_read() -> None:
    circle = load_circle("witnesses.yaml", FILE.encode())
    assert [(witness.name, witness.url) for witness in circle.witnesses] == [
        ("university", "https://witness.university.example"),
        ("regulator", "http://127.0.0.1:8410/under"),
    ]
    assert [circle.needed(risk_class) for risk_class in RiskClass] == [2, 1, 0]
    assert circle.most_needed == 2
    assert [witness.encode() for witness in circle.keys] == [key(), key("w.example/2", b"2" * 32)]


def test_without_a_file_nobody_is_asked_and_nobody_needed() -> None:
    assert NOBODY.most_needed == 0
    assert not any(NOBODY.needed(risk_class) for risk_class in RiskClass)


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ("name: university", "name: University", "witnesses.yaml:2:11"),
        ("name: regulator", "name: university", "witnesses.yaml:5:11"),
        ("name: university\n    ", "", "witnesses.yaml:2:5"),
        (key(), key()[:-4], "witnesses.yaml:3:10"),
        (key(), "w.example/1", "witnesses.yaml:3:10"),
        (key(), Ed25519NoteSigner("w.example/1", b"1" * 32).verifier_key, "witnesses.yaml:3:10"),
        # The same key under another name: a cosignature does not name its signer.
        (key("w.example/2", b"2" * 32), key("w.example/2", b"1" * 32), "witnesses.yaml:6:10"),
        ("https://witness", "http://witness", "witnesses.yaml:4:10"),
        ("https://witness", "ftp://witness", "witnesses.yaml:4:10"),
        ("https://witness", "https://user:secret@witness", "witnesses.yaml:4:10"),
        ("university.example/\n", "university.example/?a=b\n", "witnesses.yaml:4:10"),
        ("university.example/\n", "university.example/#a\n", "witnesses.yaml:4:10"),
        ("university.example/\n", "university.example:99999/\n", "witnesses.yaml:4:10"),
        ("http://127.0.0.1:8410/under", "https://witness.university.example", "witnesses.yaml:7:10"),
        ("routine: 2", "routine: 3", "witnesses.yaml:9:12"),
        ("routine: 2", "routine: -1", "witnesses.yaml:9:12"),
        ("routine: 2", "routine: two", "witnesses.yaml:9:12"),
        ("routine: 2", "routine: 1.5", "witnesses.yaml:9:12"),
        ("routine: 2", "routine: true", "witnesses.yaml:9:12"),
        ("  routine: 2\n", "", "witnesses.yaml:9:3"),
        ("emergency: 0", "emergency: 0\n  other: 1", "witnesses.yaml:12:3"),
        ("quorum:", "quora:", "witnesses.yaml:8:1"),
    ],
)
def test_a_fault_is_told_by_its_place(old: str, new: str, pointer: str) -> None:
    assert pointer in [place for place, _ in problems(spoiled(old, new))]


@pytest.mark.parametrize("source", [b"", b"[]", b"witnesses: []\n", b"\xff", b"a: &x 1\n", FILE.encode() * 2])
def test_what_is_no_such_file_is_refused(source: bytes) -> None:
    assert problems(source)


def test_no_message_repeats_a_urls_secret() -> None:
    with pytest.raises(InvalidWitnessesError) as caught:
        load_circle("witnesses.yaml", spoiled("https://witness", "https://user:secret@witness"))
    assert "secret" not in "".join(problem.detail for problem in caught.value.problems)


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_circle(tmp_path / "witnesses.yaml")
    (tmp_path / "witnesses.yaml").write_bytes(b"#" * (SIZE_LIMIT + 1))
    with pytest.raises(ConfigurationError, match="expected at most"):
        read_circle(tmp_path / "witnesses.yaml")


def test_a_log_does_not_witness_itself() -> None:
    own = Ed25519Cosigner("w.example/1", sha256(b"a log's key").digest(), 0).verifier_key
    circle = load_circle("witnesses.yaml", spoiled(key(), own))
    with pytest.raises(ConfigurationError, match="the key of university is the log's own"):
        check_apart(circle, (LOG_KEY,))
