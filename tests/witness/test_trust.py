"""Whom a witness trusts changes: the next key of a log, and a key it trusts no more. What it cosigned is never forgotten."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from arbiter.audit.note import Ed25519NoteSigner, VerifierKey, open_note, sign_note
from arbiter.errors import ConfigurationError
from arbiter.witness.keys import make_key, read_key
from arbiter.witness.store import NAME, WitnessStore
from arbiter.witness.witness import Witness
from tests.audit import naive
from tests.witness.processes import WitnessProcess, a_witness
from tests.witness.trees import LOG_KEY, MAIN, ORIGIN, SIGNER, Tree, request

NOW = 1_774_000_000
NEXT = Ed25519NoteSigner(ORIGIN, sha256(b"the log's next key").digest())
NEXT_KEY = VerifierKey.parse(NEXT.verifier_key)
FORK = Tree("fork", fork=5)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    """A witness of one log that has cosigned nine entries of it."""
    key = make_key(tmp_path, "witness.example/w1", sha256(b"a witness").digest())
    store = WitnessStore(tmp_path)
    store.make(key.public)
    store.trust(ORIGIN, LOG_KEY)
    made = Witness(read_key(tmp_path), store, lambda: NOW)
    assert made.add_checkpoint(MAIN.request(0, 9)).status == 200
    return made


def offered(tree: Tree, old: int, size: int, *signers: Ed25519NoteSigner) -> bytes:
    return tree.request(old, size, note=sign_note(tree.body(size), signers))


def status(witness: Witness, body: bytes) -> int:
    """Submit, and see that nothing moved where it was refused."""
    before = witness.store.logs()[0].head
    answer = witness.add_checkpoint(body)
    if answer.status != 200:
        assert "—".encode() not in answer.body
        assert witness.store.logs()[0].head == before
    return answer.status


# --- the log's next key ------------------------------------------------------------------------------------------------


def test_under_the_next_key_a_log_goes_on_from_what_was_cosigned_last(witness: Witness) -> None:
    witness.store.trust(ORIGIN, NEXT_KEY)
    (known,) = witness.store.logs()
    assert (known.head.size, set(known.keys)) == (9, {LOG_KEY, NEXT_KEY})
    # Nobody is served from the beginning again.
    answer = witness.add_checkpoint(offered(MAIN, 0, 12, NEXT))
    assert (answer.status, answer.body) == (409, b"9\n")
    assert status(witness, offered(MAIN, 9, 12, SIGNER, NEXT)) == 200
    assert status(witness, offered(MAIN, 12, 13, NEXT)) == 200


@pytest.mark.parametrize("signers", [(SIGNER,), (NEXT,), (SIGNER, NEXT)], ids=["old", "new", "both"])
@pytest.mark.parametrize(
    ("tree", "old", "size", "expected"),
    [
        (MAIN, 0, 4, 409),
        (MAIN, 4, 8, 409),
        (MAIN, 9, 8, 400),
        (FORK, 0, 9, 409),
        (FORK, 9, 9, 409),
        (FORK, 9, 12, 422),
        (FORK, 5, 12, 409),
    ],
)
def test_under_no_key_a_smaller_or_forked_tree_is_cosigned(
    witness: Witness,
    signers: Sequence[Ed25519NoteSigner],
    tree: Tree,
    old: int,
    size: int,
    expected: int,
) -> None:
    witness.store.trust(ORIGIN, NEXT_KEY)
    assert status(witness, offered(tree, old, size, *signers)) == expected


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_trusted_and_asked_in_whatever_order_one_history_is_cosigned(
    witness: Witness, seed: int
) -> None:
    """Keys are trusted, distrusted and trusted again between requests from two histories under either key."""
    chance, promised = random.Random(seed), [(9, MAIN)]
    for _ in range(150):
        act = chance.random()
        key = chance.choice([LOG_KEY, NEXT_KEY])
        if act < 0.1:
            witness.store.trust(ORIGIN, key, again=True)
        elif act < 0.2:
            with contextlib.suppress(ConfigurationError):
                witness.store.distrust(ORIGIN, chance.choice([None, key.key_id.hex()]), NOW)
        else:
            tree, old = chance.choice([MAIN, FORK]), chance.choice([promised[-1][0], chance.randrange(30)])
            size = max(0, old + chance.choice([-1, 0, 1, 2]))
            signer = chance.choice([SIGNER, NEXT])
            trusted = witness.store.trusted(ORIGIN) or ()
            proof = tree.proof(old, size)
            body = request(old, proof, sign_note(tree.body(size), [signer]))
            answer = witness.add_checkpoint(body)
            if answer.status == 200:
                assert VerifierKey.parse(signer.verifier_key) in trusted
                promised.append((size, tree))
    assert len(promised) > 5
    assert [size for size, _ in promised] == sorted(size for size, _ in promised)
    for (size, tree), (_, larger) in itertools.pairwise(promised):
        assert naive.mth(tree.leaves(size)) == naive.mth(larger.leaves(size))


# --- a key that is trusted no more ---------------------------------------------------------------------------------------


def test_what_a_distrusted_key_alone_has_signed_is_refused_from_then_on(
    witness: Witness, tmp_path: Path
) -> None:
    witness.store.trust(ORIGIN, NEXT_KEY)
    assert witness.store.distrust(ORIGIN, LOG_KEY.key_id.hex(), NOW) == (LOG_KEY,)
    for again in (witness, Witness.open(tmp_path)):
        assert status(again, offered(MAIN, 9, 10, SIGNER)) == 403
    answer = witness.add_checkpoint(offered(MAIN, 9, 10, SIGNER, NEXT))
    assert answer.status == 200
    # The checkpoint that is shown carries the signatures of who is trusted, and no other.
    shown = witness.checkpoint(sha256(ORIGIN.encode()).hexdigest()).body
    assert {s.key for s in open_note(shown, [LOG_KEY, NEXT_KEY, witness.key.public]).verified} == {
        NEXT_KEY,
        witness.key.public,
    }


def test_a_log_that_is_trusted_no_more_is_known_and_refused(witness: Witness) -> None:
    assert witness.store.distrust(ORIGIN, None, NOW + 5) == (LOG_KEY,)
    assert status(witness, MAIN.request(9, 10)) == 403
    (known,) = witness.store.logs()
    assert (known.keys, known.distrusted, known.head.size) == ((), ((LOG_KEY, NOW + 5),), 9)
    elsewhere = sign_note("log.elsewhere.example\n1\n" + MAIN.body(1).partition("\n1\n")[2], [SIGNER])
    assert witness.add_checkpoint(request(0, [], elsewhere)).status == 404


@pytest.mark.parametrize("tree", [MAIN, FORK])
def test_trusted_again_it_goes_on_from_what_was_cosigned_last(witness: Witness, tree: Tree) -> None:
    witness.store.distrust(ORIGIN, None, NOW)
    assert not witness.store.trust(ORIGIN, LOG_KEY)
    assert status(witness, MAIN.request(9, 10)) == 403
    assert witness.store.trust(ORIGIN, LOG_KEY, again=True)
    assert witness.store.logs()[0].distrusted == ()
    assert status(witness, tree.request(0, 8)) == 409
    assert status(witness, tree.request(9, 10)) == (200 if tree is MAIN else 422)


@pytest.mark.parametrize("key_id", ["00000000", "", NEXT_KEY.key_id.hex(), "%"])
def test_a_key_that_is_not_trusted_cannot_be_distrusted(witness: Witness, key_id: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no key {key_id} of {ORIGIN} is trusted here"):
        witness.store.distrust(ORIGIN, key_id, NOW)
    with pytest.raises(ConfigurationError, match=r"no key of log\.elsewhere\.example is trusted here"):
        witness.store.distrust("log.elsewhere.example", None, NOW)
    assert witness.store.trusted(ORIGIN) == (LOG_KEY,)
    assert witness.store.trusted("log.elsewhere.example") is None


def test_a_request_that_was_being_considered_when_the_key_was_distrusted_is_refused(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signature was verified while the key was trusted; another process ends that before anything is persisted."""
    real = WitnessStore.decide

    def late(store: WitnessStore, *arguments: object) -> object:
        WitnessStore(store.path.parent).distrust(ORIGIN, None, NOW)
        return real(store, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(WitnessStore, "decide", late)
    assert status(witness, MAIN.request(9, 10)) == 403


def test_a_distrust_that_cannot_be_persisted_changes_nothing(witness: Witness, tmp_path: Path) -> None:
    """The disk fails between the two statements: the key is trusted as before, and never neither one nor the other."""
    with closing(sqlite3.connect(tmp_path / NAME)) as file:
        file.execute(
            "CREATE TRIGGER fails BEFORE INSERT ON distrusted BEGIN SELECT RAISE(ROLLBACK, 'disk'); END"
        )
    with pytest.raises(sqlite3.Error):
        witness.store.distrust(ORIGIN, None, NOW)
    (known,) = witness.store.logs()
    assert (known.keys, known.distrusted) == ((LOG_KEY,), ())
    assert status(witness, MAIN.request(9, 10)) == 200


# --- a folder of the release before --------------------------------------------------------------------------------------


def of_first_version(folder: Path) -> None:
    with closing(sqlite3.connect(folder / NAME)) as file:
        file.executescript("DROP TABLE distrusted; PRAGMA user_version = 1;")


def test_a_folder_of_the_release_before_goes_on_with_what_it_cosigned(
    witness: Witness, tmp_path: Path
) -> None:
    of_first_version(tmp_path)
    again = Witness.open(tmp_path)
    assert again.store.logs()[0].head == Witness.open(tmp_path).store.logs()[0].head
    assert again.store.logs()[0].head.size == 9
    assert status(again, FORK.request(9, 10)) == 422
    again.store.distrust(ORIGIN, None, NOW)
    assert status(again, MAIN.request(9, 10)) == 403


@pytest.mark.parametrize("version", [0, 3, 99])
def test_a_folder_of_another_release_is_refused(witness: Witness, tmp_path: Path, version: int) -> None:
    with closing(sqlite3.connect(tmp_path / NAME)) as file:
        file.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(ConfigurationError, match=f"is of version {version}, this release reads 2"):
        Witness.open(tmp_path)


# --- processes -----------------------------------------------------------------------------------------------------------


def test_once_the_command_has_returned_no_process_cosigns_under_that_key(tmp_path: Path) -> None:
    """A log goes on asking two processes while a third takes its key away."""
    with a_witness(tmp_path, "witness.example/w1", LOG_KEY) as (first, _):
        second = WitnessProcess(tmp_path)
        second.start()
        over = threading.Event()
        before: list[int] = []
        after: list[int] = []

        def ask() -> None:
            size = 0
            for process in itertools.cycle((first, second)):
                ended = over.is_set()
                reply = process.add(offered(MAIN, size, size + 1, SIGNER))
                if reply.status_code == 200:
                    size += 1
                (after if ended else before).append(reply.status_code)
                if len(after) > 10:
                    return

        asking = threading.Thread(target=ask)
        try:
            asking.start()
            while len(before) < 5:
                over.wait(0.01)
            done = first.run("distrust", ORIGIN, "--key", LOG_KEY.key_id.hex())
            assert done.returncode == 0, done.stderr
            over.set()
            asking.join(60)
        finally:
            over.set()
            second.kill()
        assert set(before) <= {200, 403}
        assert before[:5] == [200] * 5
        assert set(after) == {403}


def test_the_commands_say_whom_a_witness_trusts(tmp_path: Path) -> None:
    process = WitnessProcess(tmp_path)
    process.make("witness.example/w1", LOG_KEY, NEXT_KEY)
    old, new = (f"{ORIGIN}+{key.key_id.hex()}" for key in (LOG_KEY, NEXT_KEY))
    done = process.run("distrust", ORIGIN, "--key", LOG_KEY.key_id.hex())
    assert (done.returncode, done.stdout) == (0, f"{old} is not trusted for {ORIGIN} any more\n")
    (log,) = json.loads(process.run("show", "--json").stdout)["logs"]
    assert log["keys"] == [new]
    assert [text.partition(" at ")[0] for text in log["distrusted"]] == [old]
    # Both keys, as a log publishes them: the one that was distrusted is not trusted again along with the other.
    told = process.run("trust", f"{LOG_KEY.encode()}\n{NEXT_KEY.encode()}")
    assert "some may have ended" not in told.stderr
    assert told.returncode == 0
    assert f"distrusted before, and so they stay: {old}" in told.stderr
    refused = process.run("trust", LOG_KEY.encode())
    assert (refused.returncode, "no key is trusted that was not" in refused.stderr) == (1, True)
    for wrong in (("distrust", ORIGIN, "--key", LOG_KEY.key_id.hex()), ("distrust", "log.elsewhere.example")):
        done = process.run(*wrong)
        assert (done.returncode, "is trusted here" in done.stderr) == (1, True)
    assert process.run("distrust", ORIGIN).returncode == 0
    (log,) = json.loads(process.run("show", "--json").stdout)["logs"]
    assert (log["keys"], len(log["distrusted"])) == ([], 2)
    assert process.run("trust", LOG_KEY.encode(), "--again").returncode == 0
    both = process.run("trust", f"{LOG_KEY.encode()}\n{NEXT_KEY.encode()}", "--again")
    assert "2 keys of that log are trusted now, and some may have ended" in both.stderr
    assert old in process.run("show").stdout
