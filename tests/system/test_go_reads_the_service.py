"""Go's own tile client reads a running service over HTTP: every record, every earlier size, every entry; and no forgery."""

from __future__ import annotations

import asyncio
import http.server
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from arbiter.audit.note import SignatureType, VerifierKey
from arbiter.audit.tiles import Tile, tile_width, tiles_of
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.model import ActorId
from arbiter.workflow.log.chronicle import note_in_house
from tests.audit.go_checker import build_go
from tests.patience import PATIENCE_SECONDS
from tests.system.service import Service, case_body, until

SOURCE = Path(__file__).parents[1] / "audit" / "interop" / "client" / "main.go"
AT_LEAST = 257

Go = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def go_client(tmp_path_factory: pytest.TempPathFactory) -> Go:
    binary = build_go(SOURCE, tmp_path_factory.mktemp("go-client") / "client")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [binary, *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )

    return run


@dataclass(frozen=True)
class Log:
    """A running service's log: where it is, its key, an auditor's token, and every reply by path with its type."""

    prefix: str
    key: str
    token: Path
    size: int
    replies: dict[str, tuple[str, bytes]]


@pytest.fixture(scope="module")
def log(installation: Service, tmp_path_factory: pytest.TempPathFactory) -> Log:
    if not installation.alive:
        installation.start()
    return asyncio.run(furnish(installation, tmp_path_factory.mktemp("auditor") / "token"))


async def furnish(service: Service, token: Path) -> Log:
    async with service.house() as house:
        sites = frozenset({site for site, _ in await house.identities.sites()})
        _, secret = await register_client(
            house.identities, house.clock, house.chance, "auditor", frozenset({Role.AUDITOR}), sites
        )
        token.write_text(secret)
        async with service.door() as door:
            headers = {"Idempotency-Key": "go-reads", "Prefer": "wait=20"}
            await door.post("/v1/cases", json=case_body("go-reads"), headers=headers)
        for _ in range(AT_LEAST):
            await note_in_house(house, house.store, "house.tried", ActorId("operator:test"), {})
    prefix = f"{service.url}/v1/audit"
    bearer = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=f"{prefix}/", headers=bearer, trust_env=False) as client:

        async def sealed() -> bool:
            ready = (await client.get(f"{service.url}/readyz")).text
            return " 0 entries pending" in ready or '"0 entries pending' in ready

        await until(sealed)
        replies: dict[str, tuple[str, bytes]] = {}
        note = (await client.get("checkpoint")).raise_for_status()
        size = int(note.text.split("\n")[1])
        bundles = [Tile(None, i, tile_width(None, i, size)) for i in range(-(-size // 256))]
        for path in ("checkpoint", *(tile.path for tile in (*tiles_of(size), *bundles))):
            reply = (await client.get(path)).raise_for_status()
            replies[path] = (reply.headers["content-type"], reply.content)
        # Go's package knows plain Ed25519 alone.
        key = next(
            line
            for line in (await client.get("keys")).text.splitlines()
            if VerifierKey.parse(line).type is SignatureType.ED25519
        )
    return Log(prefix, key, token, size, replies)


def test_go_reads_every_record_every_size_and_every_entry(log: Log, go_client: Go) -> None:
    done = go_client(log.prefix, log.key, str(log.token))
    assert done.returncode == 0, done.stderr
    assert log.size >= AT_LEAST
    assert f"accepted: {log.size} records, {log.size} sizes, {log.size} entries" in done.stdout


def test_go_needs_no_token_for_what_is_public_and_gets_no_entry_without_one(
    log: Log, go_client: Go, tmp_path: Path
) -> None:
    done = go_client(log.prefix, log.key)
    assert done.returncode == 0, done.stderr
    assert " 0 entries" in done.stdout
    nobody = tmp_path / "token"
    nobody.write_text("arb_c" + "a" * 16 + "_" + "s" * 43)
    refused = go_client(log.prefix, log.key, str(nobody))
    assert refused.returncode == 1
    assert "401" in refused.stderr


@contextmanager
def mirror(replies: dict[str, tuple[str, bytes]]) -> Iterator[str]:
    """Somebody else who serves the log, perhaps another one than was fetched."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = replies.get(self.path.removeprefix("/"))
            self.send_response(200 if found else 404)
            kind, content = found or ("text/plain", b"")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_go_accepts_a_faithful_mirror_and_refuses_one_that_changes_a_byte(log: Log, go_client: Go) -> None:
    replies = dict(log.replies)
    with mirror(replies) as prefix:
        assert go_client(prefix, log.key, str(log.token)).returncode == 0
        for path, (kind, content) in log.replies.items():
            # A signature line of another type than Go's package knows is no reason for it to refuse: of a note it
            # reads the text and its own key's line, which come first.
            known = (
                content.index(b"\n", content.index(b"\n\n") + 2) + 1 if path == "checkpoint" else len(content)
            )
            for place in (0, known // 2, known - 1):
                changed = bytearray(content)
                changed[place] ^= 1
                replies[path] = (kind, bytes(changed))
                done = go_client(prefix, log.key, str(log.token))
                assert done.returncode == 1, (path, place)
                assert done.stderr.startswith("refused: ")
            replies[path] = (kind, content)
