"""What a witness answers, status by status, as C2SP tlog-witness has it; and that openssl believes what it signs."""

from __future__ import annotations

import base64
import os
import sqlite3
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.note import Ed25519NoteSigner, VerifierKey, open_note, parse_note, sign_note
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.witness.considering import NEVER, Cosign, Evidence, Head, Refuse, consider
from arbiter.witness.keys import make_key, read_key
from arbiter.witness.request import MAX_BYTES, parse_request
from arbiter.witness.store import WitnessStore
from arbiter.witness.witness import Witness
from tests.audit import logs, naive
from tests.audit.go_checker import GoChecker, require_tool, write_log
from tests.audit.test_interop import tile_files
from tests.witness.trees import LOG_KEY, MAIN, ORIGIN, SIGNER, STRANGER, Tree, request

NOW = 1_774_000_000
FORK = Tree("fork", fork=5)


class Time:
    now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time_() -> Time:
    return Time()


@pytest.fixture
def witness(tmp_path: Path, time_: Time) -> Witness:
    key = make_key(tmp_path, "witness.example/w1", sha256(b"a witness").digest())
    store = WitnessStore(tmp_path)
    store.make(key.public)
    store.trust(ORIGIN, LOG_KEY)
    return Witness(read_key(tmp_path), store, time_)


def cosigned(witness: Witness, body: bytes) -> int:
    """Submit, check the cosignature as any client would, and return its time."""
    answer = witness.add_checkpoint(body)
    assert answer.status == 200, answer.body
    note = body.partition(b"\n\n")[2] + answer.body
    opened = open_note(note, [LOG_KEY, witness.key.public])
    found = [s.timestamp_seconds for s in opened.verified if s.key == witness.key.public]
    (seconds,) = found
    assert seconds is not None
    return seconds


def refused(witness: Witness, body: bytes, status: int) -> str:
    """Submit, see it refused with nothing moved, and return what was said."""
    before = witness.store.logs()[0].head
    answer = witness.add_checkpoint(body)
    assert answer.status == status, answer
    assert "\u2014".encode() not in answer.body
    assert witness.store.logs()[0].head == before
    return answer.body.decode()


def test_a_log_that_grows_is_cosigned_each_time(witness: Witness, time_: Time) -> None:
    for old, size in ((0, 1), (1, 1), (1, 2), (2, 7), (7, 8), (8, 21)):
        time_.now += 1
        assert cosigned(witness, MAIN.request(old, size)) == time_.now
    assert witness.store.logs()[0].head.size == 21


def test_the_empty_tree_is_a_tree(witness: Witness) -> None:
    cosigned(witness, MAIN.request(0, 0))
    cosigned(witness, MAIN.request(0, 3))


def test_another_signature_on_the_checkpoint_is_ignored(witness: Witness) -> None:
    other = Ed25519NoteSigner("elsewhere.example", sha256(b"?").digest())
    cosigned(witness, MAIN.request(0, 4, note=sign_note(MAIN.body(4), [other, SIGNER])))


def test_extension_lines_are_cosigned_as_part_of_the_text(witness: Witness) -> None:
    cosigned(witness, MAIN.request(0, 4, note=MAIN.note(4, extension="an extension\n")))


def test_openssl_believes_the_cosignature_over_the_cosigned_message_and_no_other(
    witness: Witness, tmp_path: Path
) -> None:
    line = witness.add_checkpoint(MAIN.request(0, 9)).body.decode()
    payload = base64.b64decode(line.split(" ")[2])
    key_id, stamp, signature = payload[:4], payload[4:12], payload[12:]
    public = witness.key.public.public_key
    assert key_id == sha256(b"witness.example/w1\n\x04" + public).digest()[:4]
    assert int.from_bytes(stamp, "big") == NOW
    pem = Ed25519PublicKey.from_public_bytes(public).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "signature").write_bytes(signature)

    def verifies(message: str) -> bool:
        (tmp_path / "message").write_text(message)
        command = [require_tool("openssl"), "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem"]
        return not subprocess.run(
            [*command, "-in", "message", "-sigfile", "signature"],
            cwd=tmp_path,
            check=False,
            capture_output=True,
        ).returncode

    assert verifies(f"cosignature/v1\ntime {NOW}\n{MAIN.body(9)}")
    assert not verifies(f"cosignature/v1\ntime {NOW + 1}\n{MAIN.body(9)}")
    assert not verifies(f"cosignature/v1\ntime {NOW}\n{MAIN.body(8)}")
    assert not verifies(MAIN.body(9))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0",
        b"old 0\n\n",
        request("00", [], MAIN.note(3)),
        request("-1", [], MAIN.note(3)),
        request("+1", [], MAIN.note(3)),
        request("1 ", [], MAIN.note(3)),
        request("9" * 19, [], MAIN.note(3)),
        request("9" * 40, [], MAIN.note(3)),
        request(0, [], MAIN.note(3)).replace(b"old", b"Old"),
        request(0, [], MAIN.note(3)).replace(b"\n", b"\r\n"),
        request(0, [b"\x00" * 31], MAIN.note(3)),
        request(0, [b"\x00" * 33], MAIN.note(3)),
        request(0, [b"\x00" * 32] * 64, MAIN.note(3)),
        b"old 0\n!!!\n\n" + MAIN.note(3),
        b"old 0\n\xff\n\n" + MAIN.note(3),
        b"\n" + request(0, [], MAIN.note(3)),
        request(0, [], b"\n" + MAIN.note(3)),
        request(0, [], MAIN.note(3)[:-1]),
        request(0, [], sign_note(f"{ORIGIN}\n3\n", [SIGNER])),
        request(0, [], sign_note(f"{ORIGIN}\n03\n{'A' * 43}=\n", [SIGNER])),
        request(0, [], sign_note(f"{ORIGIN}\n0\n{'A' * 43}=\n", [SIGNER])),
        request(0, [], sign_note(f"{ORIGIN}\n3\n{'A' * 44}\n", [SIGNER])),
        request(0, [], MAIN.note(3)).ljust(MAX_BYTES + 1, b"\n"),
        request(4, [], MAIN.note(3)),
    ],
)
def test_what_is_malformed_is_a_400(witness: Witness, body: bytes) -> None:
    refused(witness, body, 400)


@given(st.binary(max_size=400))
def test_no_bytes_make_the_reader_fail_otherwise(body: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_request(body)


def test_an_unknown_origin_is_a_404(witness: Witness) -> None:
    other = Ed25519NoteSigner("other.example/log", sha256(b"other").digest())
    refused(witness, request(0, [], MAIN.note(3, other)), 404)


@pytest.mark.parametrize(
    "note",
    [
        sign_note(MAIN.body(3), [STRANGER]),
        sign_note(MAIN.body(3), [Ed25519NoteSigner("other.example/log", sha256(b"other").digest())]),
        # The log's own signature, of another size.
        MAIN.body(4).encode() + b"\n" + MAIN.note(3).partition(b"\n\n")[2],
        # A good one and a bad one by the same key.
        MAIN.note(3) + MAIN.note(4).partition(b"\n\n")[2],
    ],
)
def test_what_no_trusted_key_has_validly_signed_is_a_403(witness: Witness, note: bytes) -> None:
    refused(witness, request(0, [], note), 403)


def test_a_log_with_a_new_key_is_cosigned_once_that_key_is_trusted(witness: Witness) -> None:
    body = MAIN.request(0, 3, note=sign_note(MAIN.body(3), [STRANGER]))
    refused(witness, body, 403)
    witness.store.trust(ORIGIN, VerifierKey.parse(STRANGER.verifier_key))
    assert witness.add_checkpoint(body).status == 200
    cosigned(witness, MAIN.request(3, 4))


def test_another_old_size_is_told_the_size_and_teaches_it(witness: Witness) -> None:
    cosigned(witness, MAIN.request(0, 7))
    for old in (0, 3, 8):
        answer = witness.add_checkpoint(MAIN.request(old, 9))
        assert (answer.status, answer.body, answer.media_type) == (409, b"7\n", "text/x.tlog.size")
    cosigned(witness, MAIN.request(7, 9))


def test_a_smaller_tree_is_never_cosigned_again(witness: Witness) -> None:
    cosigned(witness, MAIN.request(0, 9))
    refused(witness, MAIN.request(0, 7), 409)
    refused(witness, MAIN.request(7, 7), 409)
    refused(witness, MAIN.request(9, 7), 400)


def test_another_tree_of_the_size_is_a_409_and_kept_as_evidence(witness: Witness) -> None:
    cosigned(witness, MAIN.request(0, 9))
    body = FORK.request(9, 9)
    refused(witness, body, 409)
    kept = witness.store.evidence(ORIGIN)
    assert [(kind, request_) for kind, request_, _ in kept] == [(Evidence.CONTRADICTION, body)]
    # Both halves are signed by the log: whoever has them needs nothing else.
    ours = open_note(kept[0][2], [LOG_KEY])
    theirs = open_note(body.partition(b"\n\n")[2], [LOG_KEY])
    assert ours.text.split("\n")[1] == theirs.text.split("\n")[1] == "9"
    assert ours.text != theirs.text


def test_a_contradiction_under_another_old_size_is_kept_too(witness: Witness) -> None:
    cosigned(witness, MAIN.request(0, 9))
    refused(witness, FORK.request(6, 9), 409)
    assert witness.store.logs()[0].contradictions == 1


@pytest.mark.parametrize("size", [10, 16, 33])
def test_a_fork_that_grew_is_a_422_and_never_cosigned(witness: Witness, size: int) -> None:
    cosigned(witness, MAIN.request(0, 9))
    refused(witness, FORK.request(9, size), 422)
    assert [kind for kind, _, _ in witness.store.evidence(ORIGIN)] == [Evidence.UNPROVEN]
    cosigned(witness, MAIN.request(9, size))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda proof: proof[:-1],
        lambda proof: proof[1:],
        lambda proof: [*proof, b"\x00" * 32],
        lambda proof: proof[::-1],
        lambda proof: [sha256(proof[0]).digest(), *proof[1:]],
        lambda _: [],
        lambda _: [b"\x00" * 32] * 63,
    ],
)
def test_a_bad_proof_is_a_422(witness: Witness, spoil: object) -> None:
    assert callable(spoil)
    cosigned(witness, MAIN.request(0, 7))
    refused(witness, request(7, spoil(MAIN.proof(7, 21)), MAIN.note(21)), 422)


def test_a_proof_where_none_is_needed_is_a_422(witness: Witness) -> None:
    refused(witness, request(0, [b"\x00" * 32], MAIN.note(3)), 422)
    cosigned(witness, MAIN.request(0, 3))
    refused(witness, request(3, [b"\x00" * 32], MAIN.note(3)), 422)


def test_a_clock_that_went_back_a_little_repeats_the_time_and_a_lot_cosigns_nothing(
    witness: Witness, time_: Time
) -> None:
    cosigned(witness, MAIN.request(0, 3))
    time_.now = NOW - 60
    assert cosigned(witness, MAIN.request(3, 4)) == NOW
    time_.now = NOW - 61
    refused(witness, MAIN.request(4, 5), 503)


def test_an_unproven_flood_keeps_no_contradiction_out(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbiter.witness.store.MOST_EVIDENCE", 3)
    cosigned(witness, MAIN.request(0, 9))
    for size in range(10, 20):
        refused(witness, request(9, [], MAIN.note(size)), 422)
        refused(witness, request(9, [], MAIN.note(size)), 422)
    refused(witness, FORK.request(9, 9), 409)
    kinds = [kind for kind, _, _ in witness.store.evidence(ORIGIN)]
    assert (kinds.count(Evidence.UNPROVEN), kinds.count(Evidence.CONTRADICTION)) == (3, 1)


def test_a_store_that_cannot_be_written_cosigns_nothing(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbiter.witness.store.WAIT_SECONDS", 0.1)
    with sqlite3.connect(witness.store.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert witness.add_checkpoint(MAIN.request(0, 3)).status == 503
        other.execute("ROLLBACK")
    other.close()
    cosigned(witness, MAIN.request(0, 3))


def test_a_witness_without_its_memory_or_with_anothers_does_not_start(
    witness: Witness, tmp_path: Path
) -> None:
    cosigned(witness, MAIN.request(0, 3))
    other = tmp_path / "other"
    other.mkdir()
    key = make_key(other, "witness.example/w2", b"2" * 32)
    with pytest.raises(ConfigurationError, match="must be retired"):
        Witness.open(other)
    WitnessStore(other).make(key.public)
    Witness.open(other)
    witness.store.path.replace(other / witness.store.path.name)
    with pytest.raises(ConfigurationError, match="another witness's key"):
        Witness.open(other)
    with pytest.raises(ConfigurationError, match="must be retired"):
        Witness.open(tmp_path)


def test_a_key_that_others_can_read_is_refused(witness: Witness, tmp_path: Path) -> None:
    (tmp_path / "witness.key").chmod(0o640)
    with pytest.raises(ConfigurationError, match="mode 0600"):
        Witness.open(tmp_path)


@pytest.mark.parametrize("spoil", [lambda t: t[:-2], lambda t: t.replace("w1", "w2"), lambda _: "x\n"])
def test_a_damaged_key_is_refused(witness: Witness, tmp_path: Path, spoil: object) -> None:
    assert callable(spoil)
    path = tmp_path / "witness.key"
    path.write_text(spoil(path.read_text()))
    with pytest.raises(ConfigurationError, match=r"malformed|damaged"):
        Witness.open(tmp_path)


def test_neither_key_nor_memory_is_overwritten(witness: Witness, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="never overwritten"):
        make_key(tmp_path, "witness.example/w1", os.urandom(32))
    with pytest.raises(ConfigurationError, match="never overwritten"):
        witness.store.make(witness.key.public)


def test_who_watches_gets_the_checkpoint_with_both_signatures(witness: Witness) -> None:
    place = sha256(ORIGIN.encode()).hexdigest()
    assert witness.checkpoint(place).status == 404
    cosigned(witness, MAIN.request(0, 5))
    note = witness.checkpoint(place).body
    assert len(open_note(note, [LOG_KEY, witness.key.public]).verified) == 2
    assert len(parse_note(note).signatures) == 2
    assert witness.checkpoint("0" * 64).status == 404


def test_go_accepts_a_log_whose_checkpoint_a_witness_has_cosigned(
    witness: Witness, go_checker: GoChecker, tmp_path: Path
) -> None:
    """Go's package knows no cosignatures; it must neither trip over one nor take one for the log's signature."""
    size = 257
    entries = logs.example_entries(size)
    leaves = [naive.leaf(entry) for entry in entries]
    note = logs.note_at(leaves, size)
    witness.store.trust(logs.ORIGIN, logs.KEYS[0])
    line = witness.add_checkpoint(request(0, [], note)).body
    assert line.startswith("\u2014 witness.example/w1 ".encode())
    folder = tmp_path / "log"
    folder.mkdir()
    write_log(folder, logs.SIGNER.verifier_key, note + line, tile_files(entries, leaves))
    assert f"at size {size}" in go_checker.accepts(folder)
    write_log(folder, logs.SIGNER.verifier_key, note.partition(b"\n\n")[0] + b"\n\n" + line, {})
    go_checker.refuses(folder)


Step = tuple[bool, int, int]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 12)), max_size=40))
def test_no_sequence_of_requests_gets_two_contradicting_trees_cosigned(steps: list[Step]) -> None:
    """Whatever is asked in whatever order: of all that is cosigned, each tree is a prefix of every larger one."""
    head, fork = NEVER, Tree("fork", fork=4)
    promised: dict[int, bytes] = {}
    for forked, old, size in steps:
        tree = fork if forked else MAIN
        asked = parse_request(tree.request(old, size))
        answer = consider(head, asked, NOW)
        if isinstance(answer, Refuse):
            continue
        assert isinstance(answer, Cosign)
        assert answer.head.size >= head.size
        assert promised.setdefault(size, asked.root) == asked.root
        head = answer.head
    histories = [{size: naive.mth(tree.leaves(size)) for size in promised} for tree in (MAIN, fork)]
    assert promised in histories


def test_a_head_is_compared_by_root_and_not_by_size_alone() -> None:
    asked = parse_request(FORK.request(9, 9))
    head = Head(9, naive.mth(MAIN.leaves(9)), NOW)
    assert isinstance(consider(head, asked, NOW), Refuse)
    assert isinstance(consider(replace(head, root=asked.root), asked, NOW), Cosign)
