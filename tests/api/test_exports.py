"""Exports over REST: asked for, made beside the door, fetched in ranges, gone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import resource
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from arbiter.api.app import create_app
from arbiter.audit.export.manifest import Selection
from arbiter.identity.clients import disable_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.store.database import Database
from arbiter.store.exports import JobState, claim_job, load_job
from arbiter.verifying.report import verify
from arbiter.workflow.erasure.erasing import erase_again
from arbiter.workflow.exports import jobs
from arbiter.workflow.exports.files import FOLDER, EncryptedFile, file_name, read_range
from arbiter.workflow.exports.making import make_export
from arbiter.workflow.house import House
from tests.exports import Furnished, an_auditor, furnish
from tests.houses import ShiftableClock, a_client, a_house

Reply = httpx.Response


class Desk:
    """A furnished house, its door, and an auditor with the right to documents."""

    def __init__(
        self, house: House, http: httpx.AsyncClient, cases: Furnished, auditor: Principal, token: str
    ) -> None:
        self.house = house
        self.http = http
        self.cases = cases
        self.auditor = auditor
        self.token = token

    async def ask(self, body: dict[str, Any], token: str | None = None) -> Reply:
        return await self.http.post("/v1/audit/exports", json=body, headers=self._who(token))

    async def get(self, path: str, token: str | None = None, **headers: str) -> Reply:
        return await self.http.get(path, headers=self._who(token) | headers)

    async def delete(self, path: str, token: str | None = None) -> Reply:
        return await self.http.delete(path, headers=self._who(token))

    def _who(self, token: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {token or self.token}"}

    async def made(self, body: dict[str, Any]) -> str:
        """Ask for an export, make it, and return where it is."""
        place = (await self.ask(body)).headers["Location"]
        assert await jobs.make_next(self.house)
        return place

    @property
    def folder(self) -> Path:
        return self.house.settings.data / FOLDER

    def clock(self) -> ShiftableClock:
        assert isinstance(self.house.clock, ShiftableClock)
        return self.house.clock


@pytest_asyncio.fixture
async def desk(tmp_path: Path, database: Database) -> AsyncIterator[Desk]:
    async with a_house(tmp_path / "data", database, ShiftableClock(), running=False) as house:
        cases = await furnish(house)
        auditor, token = await an_auditor(house, Role.DISCLOSURE)
        transport = httpx.ASGITransport(app=create_app(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
            yield Desk(house, http, cases, auditor, token)


async def test_an_export_is_asked_for_watched_fetched_and_deleted(desk: Desk, tmp_path: Path) -> None:
    asked = await desk.ask({"cases": [desk.cases.signed], "payloads": True, "paper": True})
    assert asked.status_code == 202
    place = asked.headers["Location"]
    assert asked.headers["Retry-After"] == "2"
    waiting = await desk.get(place)
    assert (waiting.status_code, waiting.json()["state"], waiting.json()["file"]) == (202, "waiting", None)
    early = await desk.get(f"{place}/file")
    assert (early.status_code, early.headers["content-type"]) == (409, "application/problem+json")

    assert await jobs.make_next(desk.house)
    done = await desk.get(place)
    assert done.status_code == 200
    told = done.json()
    assert told["state"] == "done"
    assert told["entries_done"] == told["entries_total"] > 0
    file = await desk.get(told["file"])
    assert file.status_code == 200
    digest = hashlib.sha256(file.content).digest()
    assert told["sha256"] == digest.hex()
    assert file.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    assert file.headers["Cache-Control"] == "no-store"
    assert file.headers["Content-Type"] == "application/zip"
    path = tmp_path / "export.zip"
    path.write_bytes(file.content)
    assert desk.cases.signed in verify(path, desk.house.verifiers).evidence.disclosed

    assert (await desk.delete(place)).status_code == 204
    for gone in (place, f"{place}/file"):
        assert (await desk.get(gone)).status_code == 404
    assert (await desk.delete(place)).status_code == 404
    assert list(desk.folder.iterdir()) == []


async def test_ranges_of_the_file_make_the_file(desk: Desk) -> None:
    place = await desk.made({})
    url = f"{place}/file"
    whole = (await desk.get(url)).content
    etag = f'"{hashlib.sha256(whole).hexdigest()}"'
    for asked, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=7-40", 7, 41),
        (f"bytes={len(whole) - 3}-", len(whole) - 3, len(whole)),
        ("bytes=-5", len(whole) - 5, len(whole)),
        (f"bytes=100-{len(whole) * 2}", 100, len(whole)),
    ):
        part = await desk.get(url, Range=asked)
        assert part.status_code == 206, asked
        assert part.content == whole[start:end], asked
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(whole)}"
        assert part.headers["Content-Length"] == str(end - start)
    beyond = await desk.get(url, Range=f"bytes={len(whole)}-")
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(whole)}")
    assert (await desk.get(url, Range="bytes=-0")).status_code == 416
    for ignored in ("bytes=5-2", "bytes=0-1,4-5", "lines=0-1", "bytes=-", "bytes=x-2"):
        assert (await desk.get(url, Range=ignored)).content == whole, ignored
    assert (await desk.get(url, Range="bytes=0-0", **{"If-Range": '"another"'})).content == whole
    assert (await desk.get(url, Range="bytes=0-0", **{"If-Range": etag})).status_code == 206
    assert (await desk.get(url, **{"If-None-Match": etag})).status_code == 304


async def test_the_file_is_noise_on_the_disk_and_nobody_elses(desk: Desk) -> None:
    place = await desk.made({"payloads": True})
    (file,) = desk.folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.folder.stat().st_mode) == 0o700
    content = file.read_bytes()
    for plain in (b"PK\x03\x04", b"manifest.json", b"arbiter/export-container"):
        assert plain not in content
    job = place.rpartition("/")[2]
    found = await load_job(desk.house.store, job)
    assert found is not None
    assert found.sealed_key is not None
    await desk.delete(place)
    found = await load_job(desk.house.store, job)
    assert found is not None
    assert (found.state, found.sealed_key, found.kek_id) == (JobState.GONE, None, None)


async def test_who_may_not_gets_neither_export_nor_a_sign_of_one(desk: Desk) -> None:
    place = await desk.made({"payloads": True})
    _, ward = await a_client(desk.house, "another ward")
    other, other_token = await an_auditor(desk.house, name="another")
    assert (await desk.ask({}, ward)).status_code == 403
    assert (await desk.get(place, ward)).status_code == 403
    assert (await desk.ask({"payloads": True}, other_token)).status_code == 403
    assert (await desk.ask({"cases": ["c_nobody"]}, other_token)).status_code == 404
    assert (await desk.ask({"sites": ["south"]}, other_token)).status_code == 404
    for url in (place, f"{place}/file"):
        assert (await desk.get(url, other_token)).status_code == 404
    assert (await desk.delete(place, other_token)).status_code == 404
    assert (await desk.get(place, "arb_nobody")).status_code == 401
    assert (await desk.get(f"{place}/file")).status_code == 200
    assert other.id != desk.auditor.id


@pytest.mark.parametrize(
    "body",
    [
        {"case": ["c_1"]},
        {"cases": "c_1"},
        {"cases": ["../etc"]},
        {"payloads": "yes"},
        {"since": "yesterday"},
        {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"actor": "arbiter", "paper": True},
        {"cases": [f"c_{number}" for number in range(1001)]},
    ],
    ids=str,
)
async def test_what_does_not_fit_is_refused_and_leaves_no_job(desk: Desk, body: dict[str, Any]) -> None:
    assert (await desk.ask(body)).status_code == 422
    assert not await jobs.make_next(desk.house)


async def test_so_many_at_once_and_no_more(desk: Desk) -> None:
    places = [(await desk.ask({})).headers["Location"] for _ in range(jobs.MOST_OF_CLIENT)]
    full = await desk.ask({})
    assert (full.status_code, full.headers["Retry-After"]) == (503, "60")
    assert await jobs.make_next(desk.house)
    assert (await desk.ask({})).status_code == 503
    await desk.delete(places[0])
    assert (await desk.ask({})).status_code == 202


async def test_many_who_ask_at_once_do_not_pass_the_limit(desk: Desk) -> None:
    replies = await asyncio.gather(*(desk.ask({}) for _ in range(8)))
    assert sorted(reply.status_code for reply in replies) == [202] * jobs.MOST_OF_CLIENT + [503] * 5


async def test_a_job_whose_process_died_is_made_by_the_next_and_in_the_end_failed(desk: Desk) -> None:
    place = (await desk.ask({})).headers["Location"]
    house, clock = desk.house, desk.clock()

    async def die() -> None:
        """Take the job as a process does, write half a file, and do no more."""
        now = clock.now()
        job = await claim_job(house.store, "dead", now, now + jobs.HOLD_FOR)
        assert job is not None
        desk.folder.mkdir(exist_ok=True)
        (desk.folder / f"{job.id}.part").write_bytes(b"half")

    await die()
    assert not await jobs.make_next(house), "it is still held"
    clock.advance(jobs.HOLD_FOR + timedelta(seconds=1))
    assert await jobs.make_next(house)
    assert (await desk.get(place)).json()["state"] == "done"
    await desk.delete(place)

    place = (await desk.ask({})).headers["Location"]
    for _ in range(jobs.MOST_ATTEMPTS):
        await die()
        clock.advance(jobs.HOLD_FOR + timedelta(seconds=1))
    assert await jobs.make_next(house)
    told = (await desk.get(place)).json()
    assert (told["state"], told["file"]) == ("failed", None)
    assert "ended before it was whole" in told["fault"]
    assert (await desk.get(f"{place}/file")).status_code == 409
    assert list(desk.folder.iterdir()) == []


async def test_a_process_that_lost_its_job_leaves_the_file_of_the_next_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = (await desk.ask({})).headers["Location"]
    monkeypatch.setattr(jobs, "HOLD_SECONDS", 0.3)
    begun: asyncio.Queue[None] = asyncio.Queue()
    go_on, making = asyncio.Event(), make_export

    async def slowly(*arguments: Any) -> Any:
        begun.put_nowait(None)
        await go_on.wait()
        return await making(*arguments)

    monkeypatch.setattr(jobs, "make_export", slowly)
    stalled = asyncio.create_task(jobs.make_next(desk.house))
    await begun.get()
    desk.clock().advance(jobs.HOLD_FOR + timedelta(seconds=1))
    following = asyncio.create_task(jobs.make_next(desk.house))
    await begun.get()
    assert await stalled
    go_on.set()
    assert await following
    told = (await desk.get(place)).json()
    file = (await desk.get(f"{place}/file")).content
    assert (told["state"], hashlib.sha256(file).hexdigest()) == ("done", told["sha256"])


async def test_a_disk_that_is_full_fails_the_job_and_leaves_nothing(desk: Desk) -> None:
    place = (await desk.ask({})).headers["Location"]
    # Beyond this size the kernel refuses to write, as on a full disk.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        assert await jobs.make_next(desk.house)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    told = (await desk.get(place)).json()
    assert (told["state"], told["fault"]) == ("failed", "its file could not be written: File too large")
    assert list(desk.folder.iterdir()) == []
    assert not await jobs.make_next(desk.house)


async def test_what_a_client_may_not_take_any_more_is_not_fetched(desk: Desk) -> None:
    house = desk.house
    whole, one = await desk.made({}), await desk.made({"cases": [desk.cases.signed]})
    assert (await desk.get(f"{whole}/file")).status_code == 200
    await house.identities.add_site("another", "Another")
    assert (await desk.get(f"{whole}/file")).status_code == 404
    assert (await desk.get(f"{one}/file")).status_code == 200


async def test_an_export_deleted_while_it_is_made_leaves_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = (await desk.ask({})).headers["Location"]
    monkeypatch.setattr(jobs, "HOLD_SECONDS", 0.01)
    begun, go_on = asyncio.Event(), asyncio.Event()
    making = make_export

    async def slowly(*arguments: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await making(*arguments)

    monkeypatch.setattr(jobs, "make_export", slowly)
    work = asyncio.create_task(jobs.make_next(desk.house))
    await begun.wait()
    assert (await desk.delete(place)).status_code == 204
    assert await work
    assert list(desk.folder.iterdir()) == []
    assert (await desk.get(place)).status_code == 404


async def test_a_client_that_was_disabled_since_gets_no_export(desk: Desk) -> None:
    place = (await desk.ask({})).headers["Location"]
    job = place.rpartition("/")[2]
    await disable_client(desk.house.identities, desk.house.clock, desk.auditor.id)
    desk.clock().advance(timedelta(seconds=10))
    assert await jobs.make_next(desk.house)
    found = await load_job(desk.house.store, job)
    assert found is not None
    assert found.state is JobState.FAILED
    assert not desk.folder.exists() or list(desk.folder.iterdir()) == []


async def test_after_a_day_file_and_key_are_gone_and_strays_with_them(desk: Desk) -> None:
    place = await desk.made({})
    (desk.folder / "e_of_nobody").write_bytes(b"left behind")
    await jobs.sweep_exports(desk.house)
    assert [path.name for path in desk.folder.iterdir()] == [file_name(place.rpartition("/")[2], 1)]
    told = (await desk.get(place)).json()
    assert told["expires_at"] is not None
    desk.clock().advance(jobs.KEPT_FOR + timedelta(minutes=1))
    await jobs.sweep_exports(desk.house)
    assert list(desk.folder.iterdir()) == []
    assert (await desk.get(place)).status_code == 404


async def test_a_file_that_lies_on_another_host_is_not_found_here(desk: Desk) -> None:
    place = await desk.made({})
    for path in desk.folder.iterdir():
        path.unlink()
    assert (await desk.get(f"{place}/file")).status_code == 404


async def test_erasing_a_case_ends_the_exports_that_hold_its_documents(desk: Desk) -> None:
    held = await desk.made({"cases": [desk.cases.signed], "payloads": True})
    other = await desk.made({"cases": [desk.cases.decided], "payloads": True})
    without = await desk.made({"cases": [desk.cases.signed]})
    await erase_again(desk.house, desk.cases.signed)
    assert (await desk.get(f"{held}/file")).status_code == 404
    for kept in (other, without):
        assert (await desk.get(f"{kept}/file")).status_code == 200
    await jobs.sweep_exports(desk.house)
    assert {path.name for path in desk.folder.iterdir()} == {
        file_name(kept.rpartition("/")[2], 1) for kept in (other, without)
    }


def test_any_range_of_an_encrypted_file_is_that_of_the_plain_one(tmp_path: Path) -> None:
    plain = bytes(range(256)) * 40
    file = EncryptedFile(tmp_path / "files", "one", b"k" * 32)
    for start in range(0, len(plain), 777):
        file.write(plain[start : start + 777])
    assert not (tmp_path / "files" / "one").exists()
    file.keep()
    for start, end in ((0, len(plain)), (0, 1), (15, 17), (16, 32), (33, 9_999), (len(plain), len(plain))):
        assert b"".join(read_range(tmp_path / "files", "one", b"k" * 32, start, end)) == plain[start:end]
    assert b"".join(read_range(tmp_path / "files", "one", b"l" * 32, 0, 64)) != plain[:64]


async def test_a_running_house_makes_what_is_asked_for(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path / "data", database) as house:
        await furnish(house)
        auditor, _ = await an_auditor(house)
        asked = await jobs.ask_for_export(house, auditor, Selection())
        async with asyncio.timeout(60):
            while (await jobs.view_export(house, auditor, asked.id)).is_pending:  # noqa: ASYNC110 - the work is another task's
                await asyncio.sleep(0.1)
        assert (await jobs.view_export(house, auditor, asked.id)).state is JobState.DONE
