"""What a witness answers counts only where it verifies: every lie is a failure, and costs no more than its limit."""

from __future__ import annotations

import base64
import time
import tracemalloc
from hashlib import sha256

import pytest

from arbiter.audit.note import Ed25519Cosigner, Ed25519NoteSigner, VerifierKey, sign_note
from arbiter.cosigning import asking
from arbiter.cosigning.asking import (
    Contradicted,
    Cosigned,
    Failed,
    HasSize,
    Offer,
    Offered,
    offer,
    open_http,
    request_body,
)
from arbiter.cosigning.circle import Witness
from tests.cosigning import liars
from tests.cosigning.liars import Asked, Script, a_liar, cosigner, cosigns, http, line, sizes
from tests.witness.trees import LOG_KEY, MAIN, Tree, request

SIZE = 9


def present() -> int:
    return int(time.time())


async def asked(script: Script, key: VerifierKey = liars.KEY, *, now: int | None = None) -> Offered:
    with a_liar(script) as liar:
        at = present()
        offered = Offer(MAIN.note(SIZE), at, at if now is None else now, (LOG_KEY,))
        async with open_http() as client:
            said = await offer(client, Witness("liar", key, liar.url), 4, MAIN.proof(4, SIZE), offered)
        assert len(liar.asked) == 1, "asked once, and no redirect followed"
        assert liar.asked[0].body == MAIN.request(4, SIZE)
    return said


async def test_a_cosignature_that_verifies_is_taken() -> None:
    said = await asked(cosigns)
    assert isinstance(said, Cosigned)
    assert said.line.startswith(f"\u2014 {liars.NAME} ")
    assert abs(said.seconds - present()) <= 60


async def test_lines_of_other_keys_beside_it_are_left_out() -> None:
    other = cosigner(seed=b"o" * 32, name="other.example/w")

    def both(asked: Asked) -> bytes:
        return http(200, line(asked, other) + line(asked, cosigner()))

    said = await asked(both)
    assert isinstance(said, Cosigned)
    assert said.line.startswith(f"\u2014 {liars.NAME} ")


async def test_a_size_is_learnt() -> None:
    assert await asked(lambda _: sizes(7)) == HasSize(7)
    typed = "Content-Type: text/x.tlog.size; charset=utf-8"
    assert await asked(lambda _: http(409, b"7\n", typed)) == HasSize(7)


@pytest.mark.parametrize("body", [b"", b"7", b"07\n", b"-7\n", b"7\n\n", b"9" * 19 + b"\n", b"x" * 60_000])
async def test_a_size_that_is_none_is_a_failure(body: bytes) -> None:
    said = await asked(lambda _: http(409, body, "Content-Type: text/x.tlog.size"))
    assert isinstance(said, Failed)


async def test_word_of_another_history_is_a_contradiction() -> None:
    assert isinstance(await asked(lambda _: http(409, b"other root\n")), Contradicted)
    assert isinstance(await asked(lambda _: http(422, b"no\n")), Contradicted)


def another_log(asked: Asked) -> bytes:
    origin = asked.text.split("\n")[0]
    return http(200, line(asked, cosigner(), asked.text.replace(origin, "other.example/log")))


def another_size(asked: Asked) -> bytes:
    return http(200, line(asked, cosigner(), asked.text.replace("\n9\n", "\n8\n")))


def smaller(_: Asked) -> bytes:
    return http(200, sign_note(MAIN.body(4), [cosigner()]).partition(b"\n\n")[2])


def another_root(asked: Asked) -> bytes:
    return http(200, line(asked, cosigner(), liars.root_of(asked.text, b"forged")))


def another_seed(asked: Asked) -> bytes:
    return http(200, line(asked, cosigner(seed=b"x" * 32)))


def another_name(asked: Asked) -> bytes:
    return http(200, line(asked, cosigner(name="liar.example/other")))


def no_cosignature_but_a_signature(asked: Asked) -> bytes:
    return http(200, line(asked, Ed25519NoteSigner(liars.NAME, liars.SEED)))  # type: ignore[arg-type] # on purpose


def flipped(asked: Asked) -> bytes:
    good = bytearray(line(asked, cosigner()))
    good[-10] = ord("A") if good[-10] != ord("A") else ord("B")
    return http(200, bytes(good))


def dated(seconds: int) -> Script:
    return lambda asked: http(200, line(asked, cosigner(present() + seconds)))


def dated_otherwise(asked: Asked) -> bytes:
    """The time on the line is not the one that was signed."""
    mark, name, payload = line(asked, cosigner(present())).decode().split(" ")
    raw = bytearray(base64.b64decode(payload))
    raw[11] ^= 1
    return http(200, f"{mark} {name} {base64.b64encode(raw).decode()}\n".encode())


LIES: dict[str, Script] = {
    "nothing": lambda _: http(200, b""),
    "words": lambda _: http(200, b"all is well\n"),
    "a note of its own": lambda asked: http(200, asked.text.encode() + b"\n" + line(asked, cosigner())),
    "binary": lambda _: http(200, bytes(range(256)) * 4),
    "no newline": lambda asked: http(200, line(asked, cosigner())[:-1]),
    "another log's checkpoint": another_log,
    "another size's checkpoint": another_size,
    "a smaller tree's checkpoint": smaller,
    "another root": another_root,
    "another key": another_seed,
    "another name": another_name,
    "a plain signature": no_cosignature_but_a_signature,
    "a flipped bit": flipped,
    "another time than was signed": dated_otherwise,
    "a time to come": dated(61 + 60),
    "a time before the checkpoint": dated(-61 - 60),
    "no time": lambda asked: http(200, line(asked, cosigner(0))),
    "unknown log": lambda _: http(404, b""),
    "untrusted key": lambda _: http(403, b""),
    "a redirect": lambda _: http(302, b"", "Location: http://127.0.0.1:1/"),
    "a redirect that keeps the method": lambda _: http(308, b"", "Location: /add-checkpoint"),
    "a fault": lambda _: http(500, b"\xff" * 1000),
    "nothing to say": lambda _: http(204, b""),
    "no HTTP": lambda _: b"hello\r\n\r\n",
    "hanging up": lambda _: b"",
    "breaking off": lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n\xe2\x80\x94 li",
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_a_failure(lie: str) -> None:
    assert isinstance(await asked(LIES[lie]), Failed)


async def test_a_witness_under_another_key_than_the_file_has_does_not_count() -> None:
    other = VerifierKey.parse(Ed25519Cosigner(liars.NAME, b"y" * 32, 0).verifier_key)
    assert isinstance(await asked(cosigns, other), Failed)


async def test_a_gigabyte_is_not_read() -> None:
    tracemalloc.start()
    try:
        # Not by running out of time, whatever the machine: at the first byte beyond the limit.
        assert await asked(liars.flood) == Failed("a reply beyond its limit")
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()


async def test_a_drip_and_a_silence_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "OFFER_SECONDS", 1.0)

    def silent(_: Asked) -> bytes:
        time.sleep(3)
        return b""

    for script in (liars.drip, silent):
        began = time.monotonic()
        with a_liar(script) as liar:
            offered = Offer(MAIN.note(SIZE), present(), present(), (LOG_KEY,))
            async with open_http() as client:
                said = await offer(client, Witness("liar", liars.KEY, liar.url), 4, [], offered)
        assert said == Failed("no answer in time")
        assert time.monotonic() - began < 3.5


async def test_nobody_there_is_a_failure() -> None:
    with a_liar(cosigns) as liar:
        url = liar.url
    async with open_http() as client:
        offered = Offer(MAIN.note(SIZE), present(), present(), (LOG_KEY,))
        assert isinstance(await offer(client, Witness("liar", liars.KEY, url), 4, [], offered), Failed)


def test_the_body_is_spelt_as_the_specification_has_it() -> None:
    for old, size in ((0, 5), (3, 7), (8, 21)):
        proof = Tree().proof(old, size)
        assert request_body(old, proof, MAIN.note(size)) == request(old, proof, MAIN.note(size))
    assert request_body(0, [], b"note").startswith(b"old 0\n\nnote")
    assert sha256(b"").digest() not in MAIN.proof(3, 7)
