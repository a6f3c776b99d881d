"""SIGKILL of the serving process, and of its database, while fifty cases are in flight: each ends once, none is lost."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field

import httpx
import pytest

from arbiter.audit.entry import Entry
from arbiter.store.embedded import kill_postmaster
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.workflow.auditing import verify_log
from tests.patience import PATIENCE_SECONDS
from tests.system.service import KINDS, Service, case_body, until

CASES = 50
VERDICTS = {"case.decided", "case.escalated", "facts.wanted"}
ENDS = {"released", "escalated", "awaiting-facts"}
MEMBERS = 5
NOT_ANSWERED = 0
RETRIED = {503, 409}


@dataclass
class Batch:
    """Fifty requests, each with an idempotency key of its own, and what came back."""

    name: str
    bodies: dict[str, bytes] = field(default_factory=dict)
    cases: dict[str, str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for number in range(CASES):
            key = f"{self.name}-{number}"
            self.bodies[key] = json.dumps(case_body(key, KINDS[number % len(KINDS)])).encode()

    async def post_all(self, service: Service, *, until_answered: bool = False) -> None:
        """Post every case at once; a hospital system repeats what was not answered, or answered 409 or 503."""
        async with service.door() as door:
            posts = [self._post(door, key, number % 2 == 0) for number, key in enumerate(self.bodies)]
            while posts:
                await asyncio.gather(*posts)
                missing = [key for key in self.bodies if key not in self.cases]
                posts = [self._post(door, key, waits=True) for key in missing if until_answered]
                await asyncio.sleep(0.2 if posts else 0)

    async def _post(self, door: httpx.AsyncClient, key: str, waits: bool) -> None:
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        if waits:
            headers["Prefer"] = "wait=20"
        try:
            reply = await door.post("/v1/cases", content=self.bodies[key], headers=headers)
        except httpx.TransportError:
            self.statuses[NOT_ANSWERED] += 1
            return
        self.statuses[reply.status_code] += 1
        if reply.status_code in RETRIED:
            assert reply.headers["retry-after"]
            assert reply.headers["content-type"] == "application/problem+json"
            return
        assert reply.status_code in {201, 202}, reply.text
        case = reply.json()["id"]
        assert self.cases.setdefault(key, case) == case, "one idempotency key made two cases"


def taken_in(service: Service) -> int:
    with service.superuser() as connection:
        row = connection.execute("SELECT count(*) FROM case_file").fetchone()
    assert row is not None
    return int(row[0])


async def kill_in_flight(service: Service, batch: Batch, moment: int) -> None:
    """Post the batch and kill the server as soon as that many of its cases are in the database."""
    before = taken_in(service)
    posting = asyncio.create_task(batch.post_all(service))

    async def enough() -> bool:
        return taken_in(service) - before >= moment

    await until(enough, every=0.001)
    service.kill()
    await posting


async def all_have_ended(service: Service, cases: set[str]) -> None:
    async with service.door() as door:

        async def ended() -> bool:
            replies = await asyncio.gather(*(door.get(f"/v1/cases/{case}") for case in cases))
            return all(reply.is_success and reply.json()["phase"] in ENDS for reply in replies)

        await until(ended, seconds=40, every=0.2)


def check_each_ended_once(service: Service, cases: set[str]) -> None:
    """One verdict for the one version of the facts, one opinion a member, one release for a decision; no other case."""
    with service.superuser() as connection:
        rows = connection.execute("SELECT body FROM entry ORDER BY chain, seq").fetchall()
        phases = dict(connection.execute("SELECT id, phase FROM case_file").fetchall())
        heads = dict(connection.execute("SELECT id, seq FROM case_file").fetchall())
    told: dict[str, list[str]] = {}
    for (body,) in rows:
        entry = Entry.from_bytes(body)
        told.setdefault(entry.case, []).append(entry.type)
    assert cases <= told.keys() - {HOUSE_CHAIN} == phases.keys()
    for case in cases:
        types = told[case]
        assert len(types) == heads[case] + 1
        assert types[0] == "case.received"
        assert types.count("case.received") == 1, types
        assert sum(entry_type in VERDICTS for entry_type in types) == 1, types
        assert types.count("case.released") == types.count("case.decided"), types
        # A case without a verdict of the panel was excluded, or came too late in a crash for one.
        assert types.count("opinion.recorded") in ({MEMBERS} if "panel.asked" in types else {0}), types


async def the_safety_net_is_back(service: Service) -> bool:
    """Say whether a worker of the job queue has shown itself since the database was started."""
    with service.superuser() as connection:
        row = connection.execute(
            "SELECT max(last_heartbeat) > pg_postmaster_start_time() FROM procrastinate_workers"
        ).fetchone()
    return row is not None and bool(row[0])


async def check_log(service: Service) -> None:
    """Verify the whole log while the service goes on sealing it."""
    kept = service.kept.read_bytes()
    async with service.house() as house:
        report = await verify_log(house, kept)
    with service.superuser() as connection:
        firsts = connection.execute("SELECT body FROM entry WHERE seq = 0").fetchall()
    # Beside the cases' chains there is the installation's own, once another test here has made an account.
    own = sum(Entry.from_bytes(body).case == HOUSE_CHAIN for (body,) in firsts)
    assert report.chains - own == taken_in(service)


@pytest.mark.parametrize("moment", [1, 20, CASES])
def test_a_killed_server_loses_no_case_and_ends_none_twice(service: Service, moment: int) -> None:
    batch = Batch(f"moment-{moment}")
    before = taken_in(service)
    asyncio.run(kill_in_flight(service, batch, moment))
    assert batch.statuses[NOT_ANSWERED] > 0, "the moment was too late: every case was answered"
    service.start()
    asyncio.run(batch.post_all(service, until_answered=True))
    cases = set(batch.cases.values())
    assert len(cases) == CASES
    asyncio.run(all_have_ended(service, cases))
    assert taken_in(service) == before + CASES
    check_each_ended_once(service, cases)
    asyncio.run(check_log(service))


def test_a_killed_database_is_started_again_and_every_case_ends_once(service: Service) -> None:
    batch = Batch("database")
    before, killed = taken_in(service), service.database.postmaster_pid()
    readiness: set[int] = set()

    async def watch() -> None:
        async with service.door() as door:
            while True:
                readiness.add((await door.get("/readyz")).status_code)
                await asyncio.sleep(0.02)

    async def kill_in_flight_and_go_on() -> None:
        watching = asyncio.create_task(watch())
        posting = asyncio.create_task(batch.post_all(service, until_answered=True))

        async def enough() -> bool:
            return taken_in(service) - before >= CASES // 3

        await until(enough, every=0.001)
        kill_postmaster(service.database)
        await asyncio.wait_for(posting, 60)
        await all_have_ended(service, set(batch.cases.values()))
        watching.cancel()

    asyncio.run(kill_in_flight_and_go_on())
    assert service.alive
    assert service.database.postmaster_pid() not in {None, killed}
    asyncio.run(until(lambda: the_safety_net_is_back(service), seconds=PATIENCE_SECONDS))
    assert readiness == {200, 503}
    assert batch.statuses.keys() <= {201, 202, *RETRIED}, "the server hung up instead of answering"
    cases = set(batch.cases.values())
    assert len(cases) == CASES
    assert taken_in(service) == before + CASES
    check_each_ended_once(service, cases)
    done = service.arbiter("audit", "verify")
    assert done.returncode == 0, done.stderr
    assert "none missing against the kept checkpoint" in done.stdout
