"""Real witness processes under forked logs, kills and floods: never two cosignatures for trees that contradict each other."""

from __future__ import annotations

import itertools
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from arbiter.audit.note import VerifierKey, open_note
from arbiter.witness.witness import Witness
from tests.audit import naive
from tests.system.service import ROOT, environment
from tests.witness.processes import WitnessProcess, a_witness
from tests.witness.trees import LOG_KEY, MAIN, ORIGIN, Tree

NAME = "witness.example/w1"
BRANCHES = [Tree(f"branch {number}", fork=3) for number in range(4)]

Promise = tuple[int, Tree]


def promised(key: VerifierKey, body: bytes, reply: httpx.Response) -> bool:
    """Whether the reply holds a cosignature that any client would believe."""
    if reply.status_code != httpx.codes.OK:
        assert reply.status_code in {409, 422}, (reply.status_code, reply.text)
        return False
    opened = open_note(body.partition(b"\n\n")[2] + reply.content, [LOG_KEY, key])
    return any(signature.key == key for signature in opened.verified)


def check_one_history(promises: list[Promise]) -> None:
    """Every cosigned tree is a prefix of each larger one, by the naive code's roots."""
    ordered = sorted(promises, key=lambda promise: promise[0])
    for (size, tree), (_, larger) in itertools.pairwise(ordered):
        assert naive.mth(tree.leaves(size)) == naive.mth(larger.leaves(size)), f"forked at {size}"


def climb(witnesses: list[WitnessProcess], key: VerifierKey, tree: Tree, seed: int) -> list[Promise]:
    """Offer a history's sizes, learning from each 409, as a log that forked does; return what was cosigned."""
    chance, old, kept = random.Random(seed), 0, []
    for _ in range(25):
        size = old + chance.choice([0, 1, 1, 2, 5])
        body = tree.request(old, size)
        try:
            reply = chance.choice(witnesses).add(body)
        except httpx.TransportError:
            time.sleep(0.02)
            continue
        if promised(key, body, reply):
            kept.append((size, tree))
            old = size
        elif reply.headers["content-type"] == "text/x.tlog.size":
            old = int(reply.text)
    return kept


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[list[WitnessProcess], VerifierKey]]:
    """Two processes of one witness on one folder."""
    with a_witness(tmp_path, NAME, LOG_KEY) as (first, key):
        second = WitnessProcess(tmp_path)
        second.start()
        try:
            yield [first, second], key
        finally:
            second.kill()


def test_of_forked_histories_offered_at_once_to_two_processes_one_is_cosigned(
    pair: tuple[list[WitnessProcess], VerifierKey],
) -> None:
    witnesses, key = pair
    with ThreadPoolExecutor(12) as pool:
        runs = [
            pool.submit(climb, witnesses, key, tree, seed) for seed, tree in enumerate([MAIN, *BRANCHES] * 2)
        ]
        promises = [promise for run in runs for promise in run.result()]
    assert promises
    check_one_history(promises)


def test_many_trees_of_one_size_at_once_get_one_cosigned(
    pair: tuple[list[WitnessProcess], VerifierKey],
) -> None:
    witnesses, key = pair
    together = threading.Barrier(16)
    branches = [Tree(f"branch {number}", fork=0) for number in range(16)]

    def offer(number: int) -> bool:
        body = branches[number].request(0, 6)
        together.wait()
        return promised(key, body, witnesses[number % 2].add(body))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(offer, range(16))) == 1
    store = Witness.open(witnesses[0].folder).store
    assert store.logs()[0].head.size == 6


def test_kills_at_any_moment_never_make_it_forget_what_it_cosigned(tmp_path: Path) -> None:
    with a_witness(tmp_path, NAME, LOG_KEY) as (process, key):
        promises: list[Promise] = []
        done = threading.Event()

        def keep_offering(seed: int, tree: Tree) -> None:
            while not done.is_set():
                promises.extend(climb([process], key, tree, seed))

        with ThreadPoolExecutor(6) as pool:
            runs = [pool.submit(keep_offering, seed, tree) for seed, tree in enumerate([MAIN, *BRANCHES])]
            chance = random.Random(7)
            try:
                for _ in range(5):
                    time.sleep(chance.uniform(0.1, 0.5))
                    process.kill()
                    process.start()
            finally:
                done.set()
            for run in runs:
                run.result()
        assert promises
        check_one_history(promises)


DIES_BEFORE_ANSWERING = """
import os, signal, sys
from pathlib import Path
from arbiter.witness.store import WitnessStore
from arbiter.witness.witness import Witness

decide = WitnessStore.decide

def and_die(*arguments):
    decide(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

WitnessStore.decide = and_die
Witness.open(Path(sys.argv[1])).add_checkpoint(sys.stdin.buffer.read())
"""


def test_what_was_persisted_before_a_kill_is_held_although_nobody_was_answered(tmp_path: Path) -> None:
    WitnessProcess(tmp_path).make(NAME, LOG_KEY)
    died = subprocess.run(
        [sys.executable, "-c", DIES_BEFORE_ANSWERING, str(tmp_path)],
        input=MAIN.request(0, 6),
        cwd=ROOT,
        env=environment(tmp_path),
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    witness = Witness.open(tmp_path)
    assert witness.store.logs()[0].head.size == 6
    # The other tree comes too late, and the log that was killed off its answer asks again and gets it.
    assert witness.add_checkpoint(BRANCHES[0].request(0, 6)).status == 409
    assert witness.add_checkpoint(BRANCHES[0].request(6, 6)).status == 409
    assert witness.add_checkpoint(MAIN.request(6, 6)).status == 200


def test_a_body_without_end_is_refused_without_being_read(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        sent = 0
        while sent < 2**30:
            yield b"old 0\n" * 10_000
            sent += 60_000

    with a_witness(tmp_path, NAME, LOG_KEY) as (process, _):
        announced = {"Content-Length": str(2**30)}
        with socket.create_connection(("127.0.0.1", process.port), timeout=10) as raw:
            lines = "".join(f"{name}: {value}\r\n" for name, value in announced.items())
            raw.sendall(f"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n{lines}\r\n".encode())
            assert raw.recv(4096).startswith(b"HTTP/1.1 413 ")
        began = time.monotonic()
        try:
            reply = httpx.post(
                f"{process.url}/add-checkpoint", content=endless(), trust_env=False, timeout=10
            )
            assert reply.status_code == 413
        except httpx.TransportError:
            pass  # it hung up on the rest, which is as well
        assert time.monotonic() - began < 8
        assert process.add(MAIN.request(0, 3)).status_code == 200


def test_a_body_that_drips_holds_nobody_else_up(tmp_path: Path) -> None:
    with a_witness(tmp_path, NAME, LOG_KEY) as (process, _):
        dripping = [socket.create_connection(("127.0.0.1", process.port), timeout=30) for _ in range(20)]
        try:
            for raw in dripping:
                raw.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 500\r\n\r\nold")
            began = time.monotonic()
            assert process.add(MAIN.request(0, 3)).status_code == 200
            assert time.monotonic() - began < 5
            assert dripping[0].recv(4096).startswith(b"HTTP/1.1 408 ")
        finally:
            for raw in dripping:
                raw.close()


def test_the_doors_others_are_closed_and_its_key_is_public(tmp_path: Path) -> None:
    with a_witness(tmp_path, NAME, LOG_KEY) as (process, key):
        with httpx.Client(base_url=process.url, trust_env=False) as http:
            assert http.get("/verifier-key").text == f"{key.encode()}\n"
            assert http.get("/add-checkpoint").status_code == 405
            assert http.put("/add-checkpoint", content=MAIN.request(0, 3)).status_code == 405
            assert http.get("/").status_code == 404
            assert http.get("/witness.key").status_code == 404
        conflict = process.add(MAIN.request(2, 3))
        assert (conflict.status_code, conflict.headers["content-type"], conflict.text) == (
            409,
            "text/x.tlog.size",
            "0\n",
        )


def test_the_commands_make_trust_and_show_a_witness(tmp_path: Path) -> None:
    process = WitnessProcess(tmp_path)
    assert "run `arbiter witness init`" in process.run("serve").stderr
    key = process.make(NAME, LOG_KEY)
    assert process.run("init", NAME).returncode == 1
    assert "came 1 of other types" in process.run("trust", key.encode()).stderr
    assert process.run("trust", LOG_KEY.encode()[:-4]).returncode == 1
    witness = Witness.open(tmp_path)
    assert witness.add_checkpoint(MAIN.request(0, 6)).status == 200
    assert witness.add_checkpoint(BRANCHES[0].request(6, 6)).status == 409
    shown = json.loads(process.run("show", "--json").stdout)
    assert shown["verifier_key"] == key.encode()
    assert [(log["origin"], log["size"], log["contradictions"]) for log in shown["logs"]] == [(ORIGIN, 6, 1)]
    assert process.run("evidence", ORIGIN, str(tmp_path / "kept")).returncode == 0
    kept = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}
    assert kept["0001-contradiction.request"] == BRANCHES[0].request(6, 6)
    assert open_note(kept["0001-contradiction.cosigned"], [LOG_KEY, key]).text == MAIN.body(6)
