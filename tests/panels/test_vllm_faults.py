"""A model server that fails in every way we know, over real sockets: each fault ends in its own member state, in time."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import ssl
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from arbiter.model import MemberId, MemberStatus, Opinion
from arbiter.panels.member import Asked
from arbiter.panels.panel import Returned, ask_panel
from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.member import model_member
from arbiter.panels.vllm.pool import Servers, close_servers, open_servers
from arbiter.panels.vllm.prompt import PROMPTS
from arbiter.question import ModelSpec
from tests.fleet.files import a_fleet
from tests.panels import misbehaving_server
from tests.panels.asking import NEWS2, RealClock, asked
from tests.panels.misbehaving_server import ACTS, BODIES, HUGE_BYTES, STATUSES, VERSION
from tests.panels.model_servers import model, refusing_url, soon

VALID, ABSTAINED, INVALID = MemberStatus.VALID, MemberStatus.ABSTAINED, MemberStatus.INVALID
TIMED_OUT, DOWN = MemberStatus.TIMED_OUT, MemberStatus.DOWN

# (what the server does, the state the member must end in, the samples it must count, how the exchange ended)
FAULTS: list[tuple[str, MemberStatus, int, Ending]] = [
    ("good", VALID, 3, Ending.COMPLETE),
    ("split", VALID, 3, Ending.COMPLETE),
    ("hostile", VALID, 3, Ending.COMPLETE),
    ("half-sound", VALID, 3, Ending.COMPLETE),
    ("float-confidence", VALID, 3, Ending.COMPLETE),
    ("abstains", ABSTAINED, 3, Ending.COMPLETE),
    *[(name, INVALID, 3, Ending.COMPLETE) for name in BODIES
      if name not in {"good", "split", "hostile", "half-sound", "float-confidence", "abstains", "spaces", "inner-spaces"}],
    ("spaces", INVALID, 3, Ending.TOO_LARGE),
    ("inner-spaces", INVALID, 3, Ending.TOO_LARGE),
    ("huge", INVALID, 3, Ending.TOO_LARGE),
    ("unfolding", INVALID, 3, Ending.TOO_LARGE),
    *[(name, DOWN, 0, Ending.COMPLETE) for name in STATUSES],
    ("redirect", DOWN, 0, Ending.COMPLETE),
    ("storm", DOWN, 0, Ending.COMPLETE),
    ("busy-once", VALID, 3, Ending.COMPLETE),
    ("busy-always", DOWN, 0, Ending.COMPLETE),
    ("busy-for-long", DOWN, 0, Ending.COMPLETE),
    ("busy-until-a-date", DOWN, 0, Ending.COMPLETE),
    ("slow", VALID, 3, Ending.COMPLETE),
    ("steady", VALID, 3, Ending.COMPLETE),
    ("talkative", VALID, 3, Ending.COMPLETE),
    ("refused", DOWN, 0, Ending.NOT_CONNECTED),
    ("reset", DOWN, 0, Ending.BROKEN),
    ("cut-short", DOWN, 0, Ending.BROKEN),
    ("hang-up", DOWN, 0, Ending.BROKEN),
    ("no-http", DOWN, 0, Ending.BROKEN),
    ("endless-head", DOWN, 0, Ending.BROKEN),
    ("bad-chunks", DOWN, 0, Ending.BROKEN),
    ("endless", VALID, 3, Ending.COMPLETE),
    ("crumbs", INVALID, 3, Ending.TOO_LARGE),
    ("dead-engine", TIMED_OUT, 0, Ending.OUT_OF_TIME),
    ("black-hole", TIMED_OUT, 0, Ending.OUT_OF_TIME),
    ("drip", TIMED_OUT, 0, Ending.OUT_OF_TIME),
    ("drip-head", TIMED_OUT, 0, Ending.OUT_OF_TIME),
]  # fmt: skip
SOON_SECONDS = 0.6


@pytest.fixture
async def servers(url: str) -> AsyncIterator[Servers]:
    opened = open_servers(a_fleet({"gpu-a": url, "gone": refusing_url()}), "the key", RealClock())
    yield opened
    await close_servers(opened)


async def one(servers: Servers, spec: ModelSpec, put: Asked) -> Returned:
    member = model_member(spec, PROMPTS["question-v1"], servers)
    (returned,) = [item async for item in ask_panel({NEWS2: member}, {NEWS2: put}, RealClock())]
    return returned


async def opinion_of(servers: Servers, name: str, **changes: Any) -> Opinion:
    return (await one(servers, model(name, **changes), asked(deadline=soon(5)))).opinion


def opened(returned: Returned) -> dict[str, Any]:
    assert returned.exchange is not None
    document: dict[str, Any] = json.loads(returned.exchange)
    return document


def seen(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/seen", trust_env=False).json()
    return found


@pytest.mark.parametrize(("fault", "status", "samples", "ending"), FAULTS, ids=[row[0] for row in FAULTS])
async def test_each_fault_ends_in_its_own_state_in_time_and_is_kept(
    servers: Servers, fault: str, status: MemberStatus, samples: int, ending: Ending
) -> None:
    spec = model(fault, server="gone" if fault == "refused" else "gpu-a")
    patience = SOON_SECONDS if status is TIMED_OUT else 20.0
    started = time.monotonic()
    returned = await one(servers, spec, asked(deadline=soon(patience)))
    passed = time.monotonic() - started
    opinion, exchange = returned.opinion, opened(returned)
    assert (opinion.status, opinion.samples) == (status, samples), opinion.rationale
    assert exchange["ending"] == ending
    assert passed < patience + 0.5
    assert json.loads(base64.b64decode(exchange["request"]))["model"] == fault
    if status is not VALID:
        assert opinion.votes == ()
    if status in {DOWN, TIMED_OUT, INVALID}:
        assert (opinion.evidence, opinion.missing) == ((), ())


def test_every_behaviour_of_the_server_stands_in_the_table() -> None:
    assert {row[0] for row in FAULTS} == {*BODIES, *STATUSES, *ACTS, "refused"}


# --- what an exchange leaves behind ------------------------------------------------------------------------------


async def test_a_huge_reply_is_cut_off_early_and_never_held(servers: Servers, url: str) -> None:
    before = seen(url)["counts"].get("huge-mebibytes", 0)
    tracemalloc.start()
    returned = await one(servers, model("huge"), asked(deadline=soon(20)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    exchange = opened(returned)
    assert peak < 8 * 2**20
    assert seen(url)["counts"]["huge-mebibytes"] - before < HUGE_BYTES // 2**20 // 4
    assert len(base64.b64decode(exchange["reply"])) == 64 * 1024
    assert exchange["reply_bytes"] < 2 * 2**20


async def test_nothing_is_asked_twice_whatever_fails(servers: Servers, url: str) -> None:
    failing = ["status-500", "status-503", "status-429", "reset", "hang-up", "cut-short", "redirect"]
    before = seen(url)["counts"]
    for name in failing:
        await one(servers, model(name), asked(deadline=soon(20)))
    after = seen(url)["counts"]
    assert {name: after[name] - before.get(name, 0) for name in failing} == dict.fromkeys(failing, 1)
    assert "/stolen" not in after


async def test_connections_are_used_again_and_no_cookie_comes_back(servers: Servers, url: str) -> None:
    await opinion_of(servers, "good")
    before = seen(url)["counts"]["connections"]
    for _ in range(5):
        assert (await opinion_of(servers, "good")).status is VALID
    told = seen(url)
    # One of them is the question what was seen.
    assert told["counts"]["connections"] - before <= 2
    headers = told["last"]["good"]
    assert "cookie" not in headers
    assert headers["authorization"] == "Bearer the key"
    assert headers["accept-encoding"] == "identity"


async def test_the_environment_names_no_proxy_and_no_credential(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, refusing_url())
    assert (await opinion_of(servers, "good")).status is VALID


async def test_the_version_is_asked_once_for_many_and_stands_in_the_identity(
    servers: Servers, url: str
) -> None:
    before = seen(url)["counts"].get("/version", 0)
    members = {
        MemberId(f"m{at}"): model_member(model("good"), PROMPTS["question-v1"], servers) for at in range(6)
    }
    put = asked(deadline=soon(20))
    returned = [item async for item in ask_panel(members, dict.fromkeys(members, put), RealClock())]
    assert {dict(item.opinion.identity.details)["engine"] for item in returned} == {f"vllm {VERSION}"}
    assert len({item.opinion.identity.digest for item in returned}) == 1
    assert seen(url)["counts"]["/version"] - before == 1


async def test_a_server_that_does_not_tell_its_version_is_another_member(
    servers: Servers,
) -> None:
    known, unknown = await opinion_of(servers, "good"), await opinion_of(servers, "good", server="gone")
    assert dict(unknown.identity.details)["engine"] == "vllm unknown"
    assert known.identity.digest != unknown.identity.digest


async def test_a_case_asked_past_its_deadline_reaches_no_server(servers: Servers, url: str) -> None:
    before = seen(url)["counts"].get("good", 0)
    returned = await one(servers, model("good"), asked(deadline=soon(-1)))
    assert (returned.opinion.status, returned.exchange) == (TIMED_OUT, None)
    assert seen(url)["counts"].get("good", 0) == before


async def test_a_server_that_no_setting_names_leaves_its_member_down(
    servers: Servers,
) -> None:
    returned = await one(servers, model("good", server="gpu-z"), asked(deadline=soon(20)))
    assert returned.opinion.status is DOWN
    assert "not one of this deployment's" in returned.opinion.rationale
    assert returned.exchange is None


async def test_votes_are_counted_by_sample_and_half_may_fail(servers: Servers) -> None:
    split = await opinion_of(servers, "split")
    assert (split.votes, split.samples) == ((("continue-monitoring", 1), ("urgent-review", 2)), 3)
    half = await opinion_of(servers, "half-sound", samples=4)
    assert (half.status, half.valid_samples, half.samples) == (VALID, 2, 4)
    fewer = await opinion_of(servers, "fewer", samples=2)
    assert (fewer.status, fewer.valid_samples, fewer.samples) == (VALID, 1, 2)


async def test_a_quarter_of_a_megabyte_of_spaces_is_invalid_even_where_the_reply_may_be_long(
    servers: Servers,
) -> None:
    returned = await one(servers, model("spaces", max_tokens=8192), asked(deadline=soon(20)))
    assert (opened(returned)["ending"], returned.opinion.status) == (Ending.COMPLETE, INVALID)


@pytest.mark.parametrize("name", [row[0] for row in FAULTS if row[1] is DOWN])
async def test_a_servers_words_are_told_to_nobody(servers: Servers, name: str) -> None:
    opinion = await opinion_of(servers, name, server="gone" if name == "refused" else "gpu-a")
    assert opinion.rationale.startswith("the model server ")
    assert "as asked" not in opinion.rationale


async def test_asks_that_were_given_up_leave_no_place_taken(url: str) -> None:
    """As many of them at once as there are places, and then again: whoever comes after is served."""
    servers = open_servers(a_fleet({"gpu-a": url}, concurrency=140), None, RealClock())
    for name in ("black-hole", "drip"):
        members = {
            MemberId(f"m{at}"): model_member(model(name), PROMPTS["question-v1"], servers)
            for at in range(140)
        }
        put = asked(deadline=soon(1.5))
        returned = [item async for item in ask_panel(members, dict.fromkeys(members, put), RealClock())]
        assert {item.opinion.status for item in returned} == {TIMED_OUT}
        assert all(item.exchange is not None for item in returned)
        assert (await opinion_of(servers, "good")).status is VALID
    await close_servers(servers)


# --- https -------------------------------------------------------------------------------------------------------


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for the loopback address that no trust store knows, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gpu-a.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(soon(-3600))
        .not_valid_after(soon(3600))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize(("trusted", "status"), [(True, VALID), (False, DOWN)])
async def test_over_https_only_a_server_whose_certificate_the_machine_trusts_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trusted: bool, status: MemberStatus
) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = await asyncio.start_server(misbehaving_server.serve_one, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    opened = open_servers(a_fleet({"gpu-a": f"https://127.0.0.1:{port}"}), "the key", RealClock())
    try:
        before = misbehaving_server.SEEN["good"]
        assert (await opinion_of(opened, "good")).status is status
        assert misbehaving_server.SEEN["good"] - before == int(trusted)
    finally:
        await close_servers(opened)
        server.close()
