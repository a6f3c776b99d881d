"""Where notices may be sent, and what counts as taken. Redirects, proxies and replies' bodies lead nowhere."""

from __future__ import annotations

import asyncio

import pytest

from arbiter.channels import webhook
from arbiter.channels.attempt import Attempt, Failed, Gone, Sent
from arbiter.channels.webhook import check_url, open_http, post
from arbiter.clock import SystemClock
from arbiter.errors import RefusedError
from tests.receivers import Answer, Receiver, a_receiver, reset, silence, status


@pytest.mark.parametrize(
    "url",
    [
        "https://hospital.example/hook",
        "https://hospital.example:8443/hook?token=abc",
        "http://127.0.0.1:9000/hook",
        "http://localhost/hook",
        "http://[::1]:9000/",
    ],
)
def test_https_and_this_machine_are_taken(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hospital.example",
        "http://hospital.example/hook",
        "http://10.0.0.1/hook",
        "http://127.0.0.1.hospital.example/hook",
        "http://localhost.hospital.example/hook",
        "ftp://127.0.0.1/hook",
        "file:///etc/passwd",
        "https://user:s3cret@hospital.example/hook",
        "https://s3cret@hospital.example/hook",
        "https:///hook",
        "https://hospital.example:port/hook",
        "https://hospital.example/hook#s3cret",
        "https://hospital.example/a b",
        "https://hospital.example/\r\nHost: other",
        "https://höspital.example/hook",
        "https://hospital.example/" + "a" * 2000,
        "https://[::1",
    ],
)
def test_anything_else_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_url(url)
    said = f"{caught.value} {caught.value.problems}"
    assert "s3cret" not in said


async def posted(receiver: Receiver) -> Attempt:
    async with open_http(most_connections=1) as http:
        return await post(http, SystemClock(), receiver.url, bytes(32), "msg_1", b"{}")


@pytest.mark.parametrize(
    ("answer", "attempt"),
    [
        (status(200), Sent()),
        (status(202), Sent()),
        (status(204), Sent()),
        (status(299), Sent()),
        (status(300), Failed("HTTP 300")),
        (status(301, "Location: /elsewhere"), Failed("HTTP 301")),
        (status(307, "Location: /elsewhere"), Failed("HTTP 307")),
        (status(400), Failed("HTTP 400")),
        (status(401), Failed("HTTP 401")),
        (status(410), Gone("HTTP 410")),
        (status(429, "Retry-After: 30"), Failed("HTTP 429", 30)),
        (status(503, "Retry-After: 999999"), Failed("HTTP 503", 3600)),
        (status(503, "Retry-After: -1"), Failed("HTTP 503")),
        (status(503, "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT"), Failed("HTTP 503")),
        (reset, Failed("RemoteProtocolError")),
    ],
)
async def test_only_two_hundreds_are_taken(answer: Answer, attempt: Attempt) -> None:
    async with a_receiver(answer) as receiver:
        result = await posted(receiver)
        if isinstance(result, Failed) and result.fault in {"ReadError", "RemoteProtocolError"}:
            result = Failed("RemoteProtocolError")
        assert result == attempt
        assert len(receiver.arrived) == 1, "no redirect was followed, nothing sent twice"


async def test_who_does_not_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "ATTEMPT_SECONDS", 0.2)
    async with a_receiver(silence) as receiver, asyncio.timeout(5):
        assert await posted(receiver) == Failed("no answer in time")


async def test_who_answers_a_byte_at_a_time_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(_receiver: Receiver, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    monkeypatch.setattr(webhook, "ATTEMPT_SECONDS", 0.3)
    async with a_receiver(drip) as receiver, asyncio.timeout(5):
        assert await posted(receiver) == Failed("no answer in time")


async def test_an_endless_reply_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def flood(_receiver: Receiver, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()

    async with a_receiver(flood) as receiver, asyncio.timeout(5):
        assert await posted(receiver) == Sent()


async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with a_receiver() as receiver:
        assert await posted(receiver) == Sent()
