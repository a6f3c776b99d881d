"""Go's reference code accepts what a running service publishes, and the receipts it hands out, and nothing changed."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.merkle import leaf_hash, prove_consistency
from arbiter.audit.note import parse_note
from arbiter.audit.receipt import Receipt
from arbiter.audit.tiles import TileNodes, tiles_of
from tests.audit.go_checker import ConsistencyClaim, GoChecker, InclusionClaim, write_log
from tests.system.service import KINDS, Service, case_body, until

CASES = 24


@dataclass(frozen=True)
class Published:
    """What anyone can fetch, and receipts that requesters hold."""

    key: str
    note: bytes
    tiles: dict[str, bytes]
    receipts: tuple[Receipt, ...]

    @property
    def checkpoint(self) -> Checkpoint:
        return head(self.note)

    def inclusion(self) -> list[InclusionClaim]:
        """The receipts' own proofs, each under the checkpoint it carries."""
        return [
            InclusionClaim(r.proof.index, under.size, under.root, leaf_hash(r.entry), r.proof.hashes)
            for r in self.receipts
            for under in [head(r.proof.checkpoint)]
        ]

    def consistency(self) -> list[ConsistencyClaim]:
        """That each receipt's checkpoint is a beginning of the newest, proved from the public tiles alone."""
        newest = self.checkpoint
        node = TileNodes(newest.size, lambda tile: self.tiles[tile.path])
        claims = {}
        for receipt in self.receipts:
            old = head(receipt.proof.checkpoint)
            proof = prove_consistency(old.size, newest.size, node)
            claims[old.size] = ConsistencyClaim(old.size, old.root, newest.size, newest.root, proof)
        return list(claims.values())

    def write(self, folder: Path) -> None:
        write_log(folder, self.key, self.note, self.tiles, self.inclusion(), self.consistency())


def head(note: bytes) -> Checkpoint:
    return Checkpoint.parse(parse_note(note).text)


@pytest.fixture(scope="module")
def published(installation: Service) -> Published:
    if not installation.alive:
        installation.start()
    return asyncio.run(fetch(installation))


async def fetch(service: Service) -> Published:
    async with service.door() as door:
        receipts = await asyncio.gather(*(receipt_of_a_case(door, number) for number in range(CASES - 1)))
        # One more when these have theirs: whatever was sealed at once, the log has grown past their checkpoints.
        receipts.append(await receipt_of_a_case(door, CASES - 1))
    # What is public takes no token.
    async with httpx.AsyncClient(base_url=f"{service.url}/v1/audit", trust_env=False) as anyone:
        keys = (await anyone.get("/keys")).raise_for_status().text
        # Go's reference code knows Ed25519 alone, and the second signature is to it a line of an unknown key's.
        key = keys.splitlines(keepends=True)[0]
        assert len(keys.splitlines()) == 2
        note = (await anyone.get("/checkpoint")).raise_for_status().content
        tiles = {}
        for tile in tiles_of(head(note).size):
            tiles[tile.path] = (await anyone.get(f"/{tile.path}")).raise_for_status().content
    return Published(key, note, tiles, tuple(receipts))


async def receipt_of_a_case(door: httpx.AsyncClient, number: int) -> Receipt:
    headers = {"Idempotency-Key": f"go-{number}", "Prefer": "wait=20"}
    posted = await door.post("/v1/cases", json=case_body(f"go-{number}", KINDS[number % 4]), headers=headers)
    assert posted.status_code == 201, posted.text

    async def sealed() -> bytes:
        reply = await door.get(f"/v1/cases/{posted.json()['id']}/receipt")
        return b"" if reply.status_code == 409 else reply.raise_for_status().content

    return Receipt.parse(await until(sealed))


def test_go_accepts_the_checkpoint_the_tiles_and_the_receipts_of_a_running_service(
    published: Published, go_checker: GoChecker, tmp_path: Path
) -> None:
    published.write(tmp_path)
    summary = go_checker.accepts(tmp_path)
    size = published.checkpoint.size
    assert f"log.hospital.example/arbiter at size {size}, {size} leaves" in summary
    assert f"{CASES} inclusion" in summary
    assert min(head(receipt.proof.checkpoint).size for receipt in published.receipts) < size


def test_go_refuses_a_changed_tile(published: Published, go_checker: GoChecker, tmp_path: Path) -> None:
    for number, path in enumerate(published.tiles):
        folder = tmp_path / str(number)
        published.write(folder)
        content = bytearray(published.tiles[path])
        content[-1] ^= 1
        (folder / path).write_bytes(content)
        assert "tiles" in go_checker.refuses(folder)
        shutil.rmtree(folder)


def test_go_refuses_a_changed_checkpoint(published: Published, go_checker: GoChecker, tmp_path: Path) -> None:
    published.write(tmp_path)
    size = str(published.checkpoint.size).encode()
    (tmp_path / "checkpoint").write_bytes(published.note.replace(b"\n" + size + b"\n", b"\n1\n"))
    assert "checkpoint" in go_checker.refuses(tmp_path)


def test_go_refuses_a_receipt_of_an_entry_that_is_not_in_the_log(
    published: Published, go_checker: GoChecker, tmp_path: Path
) -> None:
    claims = published.inclusion()
    forged = leaf_hash(published.receipts[0].entry.replace(b"case.", b"Case."))
    claims[0] = InclusionClaim(claims[0].index, claims[0].size, claims[0].root, forged, claims[0].proof)
    write_log(tmp_path, published.key, published.note, published.tiles, claims)
    go_checker.refuses(tmp_path)


async def test_nothing_but_hashes_is_public(service: Service) -> None:
    async with httpx.AsyncClient(base_url=service.url, trust_env=False) as anyone:
        assert (await anyone.get("/v1/audit/tile/entries/000")).status_code == 401
        assert (await anyone.get("/v1/cases")).status_code == 401
