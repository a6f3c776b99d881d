"""Whole cases before fleets that fail in every way we know: each ends in time and in the right state, and the log tells of it.

The matrix is `FAULTS`, a row a fault. Each row is a case of its own under a protocol of its own, with two seats: one whose only
replica misbehaves, and one with a sound replica beside it.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import tracemalloc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arbiter.audit.entry import Entry, commit
from arbiter.documents.canonical import decode
from arbiter.errors import BusyError
from arbiter.identity.principals import Principal
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.states import Phase
from arbiter.model import MemberId, MemberStatus, RerouteCause
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_contents
from arbiter.store.log.chains import load_entries
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.dossier import Dossier, load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.intake import Submitted, submit
from tests.fleet.files import fleet_file
from tests.houses import a_client, a_house, settle, settled, submission
from tests.panels.fleets import become
from tests.panels.misbehaving_server import ACTS, BODIES, STATUSES
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.panels.model_servers import refusing_url

VALID, ABSTAINED, INVALID = MemberStatus.VALID, MemberStatus.ABSTAINED, MemberStatus.INVALID
TIMED_OUT, DOWN = MemberStatus.TIMED_OUT, MemberStatus.DOWN
PANEL = timedelta(seconds=3)
ALONE, BESIDE = MemberId("alone"), MemberId("beside")
C = RerouteCause


@dataclass(frozen=True)
class Fault:
    """What a replica does, the state that leaves its member in, and why a sound replica was asked instead, if it was."""

    act: str
    status: MemberStatus
    goes_on: RerouteCause | None = None


_SOUND = ("good", "split", "half-sound", "float-confidence", "steady", "slow", "talkative", "hostile")

FAULTS = [
    *[Fault(act, VALID) for act in _SOUND],
    Fault("refused", DOWN, C.NOT_CONNECTED),
    Fault("black-hole", TIMED_OUT),
    Fault("reset", DOWN, C.BROKEN),
    Fault("cut-short", DOWN, C.BROKEN),
    Fault("hang-up", DOWN, C.BROKEN),
    Fault("no-http", DOWN, C.BROKEN),
    Fault("endless-head", DOWN, C.BROKEN),
    Fault("bad-chunks", DOWN, C.BROKEN),
    Fault("endless", VALID),
    Fault("crumbs", INVALID),
    Fault("drip", TIMED_OUT),
    Fault("drip-head", TIMED_OUT),
    Fault("dead-engine", TIMED_OUT),
    Fault("huge", INVALID),
    Fault("unfolding", INVALID),
    Fault("redirect", DOWN),
    Fault("storm", DOWN, C.SERVER_ERROR),
    Fault("busy-once", VALID, C.TOO_MANY_REQUESTS),
    Fault("busy-always", DOWN, C.TOO_MANY_REQUESTS),
    Fault("busy-for-long", DOWN, C.TOO_MANY_REQUESTS),
    Fault("busy-until-a-date", DOWN, C.TOO_MANY_REQUESTS),
    Fault("abstains", ABSTAINED),
    *[Fault(act, INVALID) for act in BODIES if act not in {*_SOUND, "abstains"}],
    *[Fault(act, DOWN, {429: C.TOO_MANY_REQUESTS, 500: C.SERVER_ERROR, 503: C.SERVER_ERROR}.get(status))
      for act, status in STATUSES.items()],
]  # fmt: skip


@dataclass(frozen=True)
class Ward:
    """A house with a protocol for each fault, and who hands cases in."""

    house: House
    client: Principal
    checkpoint: Path


_NUMBER = itertools.count()


def urls_of(url: str, *acts: str) -> list[str]:
    """A replica for each act, each under a URL of its own."""
    return [refusing_url() if act == "refused" else f"{url}/as/{act}/{next(_NUMBER)}" for act in acts]


@asynccontextmanager
async def a_ward(
    database: Database, folder: Path, servers: Mapping[str, list[str]], protocols: Mapping[str, list[str]]
) -> AsyncIterator[Ward]:
    """Yield a ward of those servers, and of protocols by their seats."""
    for name, seats in protocols.items():
        text = protocol_text(name, *seats, panel_seconds=PANEL.seconds)
        write_bundle(folder / "protocols" / name, text)
    settings = Settings(
        data=folder,
        mode=Mode.DEMONSTRATION,
        secure_cookies=False,
        workers=False,
        protocols=folder / "protocols",
        fleet=fleet_file(folder, servers),
    )
    async with a_house(folder, database, settings=settings) as house:
        client, _ = await a_client(house)
        yield Ward(house, client, folder / "checkpoint")


async def asked_under(ward: Ward, protocol: str, key: str = "1") -> tuple[Phase, Dossier]:
    submitted = await handed_in(ward, protocol, key)
    view = await settled(ward.house, ward.client, submitted.case)
    async with ward.house.store.read() as transaction:
        return view.phase, await load_dossier(ward.house, transaction, submitted.case)


async def handed_in(ward: Ward, protocol: str, key: str) -> Submitted:
    """Submit a case as a client does: one that a busy house turns away comes again when it is told to."""
    while True:
        case = replace(submission(ward.house.clock.now()), protocol=protocol)
        try:
            return await submit(ward.house, ward.client, case, f"key-{protocol}-{key}", b"body")
        except BusyError as told:
            await asyncio.sleep(told.retry_after_seconds)


def concluded_after(dossier: Dossier) -> timedelta:
    told = json.loads(dossier.latest("certificate").content)["concluded_at"]
    return datetime.fromisoformat(told) - dossier.taken_facts().taken_at


def statuses(dossier: Dossier) -> dict[MemberId, MemberStatus]:
    return {
        opinion.member: opinion.status for opinion in dossier.opinions() if opinion.identity.kind == "vllm"
    }


def reroutes(dossier: Dossier) -> list[dict[str, Any]]:
    return [decode(document.content) for document in dossier.documents if document.name == "reroute"]


async def entries_of(ward: Ward, dossier: Dossier) -> list[Entry]:
    async with ward.house.store.read() as transaction:
        return [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, dossier.row.id)]


def test_every_behaviour_of_the_server_stands_in_the_matrix() -> None:
    assert sorted(fault.act for fault in FAULTS) == sorted({*BODIES, *STATUSES, *ACTS, "refused"})


# A fleet file holds 64 servers.
@pytest.mark.parametrize("faults", [FAULTS[at::3] for at in range(3)], ids=["1-of-3", "2-of-3", "3-of-3"])
async def test_every_case_ends_in_time_in_the_right_state_and_the_log_tells_of_it(
    database: Database, tmp_path: Path, url: str, faults: Sequence[Fault]
) -> None:
    acts = [fault.act for fault in faults]
    servers = {
        **{f"a-{act}": urls_of(url, act) for act in acts},
        **{f"b-{act}": urls_of(url, "good", act) for act in acts},
    }
    seats = {act: [seat("alone", "m", f"a-{act}"), seat("beside", "m", f"b-{act}")] for act in acts}
    at_once = asyncio.Semaphore(6)
    async with a_ward(database, tmp_path, servers, seats) as ward:

        async def one(act: str) -> tuple[Phase, Dossier]:
            async with at_once:
                return await asked_under(ward, act)

        ended = await asyncio.gather(*(one(act) for act in acts))
        for fault, (phase, dossier) in zip(faults, ended, strict=True):
            await check(ward, fault, phase, dossier)
        await settle(ward.house)
        assert (await verify_log(ward.house, ward.checkpoint.read_bytes())).chains == len(faults)


async def check(ward: Ward, fault: Fault, phase: Phase, dossier: Dossier) -> None:
    act, told = fault.act, statuses(dossier)
    sound = VALID if fault.goes_on else fault.status
    assert told == {ALONE: fault.status, BESIDE: sound}, act
    # All seven have spoken, if only to abstain, or somebody looks.
    failed = set(told.values()) & {INVALID, DOWN, TIMED_OUT}
    expected = Phase.ESCALATED if failed else Phase.RELEASED
    assert phase is expected, (act, dossier.latest("certificate").content.decode())
    # The panel's time, and what a slow machine needs to weigh what came of it.
    assert concluded_after(dossier) < PANEL + timedelta(seconds=5), act
    entries = await entries_of(ward, dossier)
    assert [entry.type for entry in entries].count(EntryType.OPINION.value) == 7
    rerouted = [entry for entry in entries if entry.type == EntryType.REROUTED]
    expected_reroutes = (
        []
        if fault.goes_on is None
        else [{"member": "beside", "from": f"b-{act}-2", "to": f"b-{act}-1", "cause": fault.goes_on.value}]
    )
    assert reroutes(dossier) == expected_reroutes, act
    assert len(rerouted) == len(expected_reroutes)
    commits = {entry.seq: dict(entry.commits) for entry in entries}
    for document in dossier.documents:
        assert commits[document.seq][document.name] == commit(document.name, document.salt, document.content)
    for document in dossier.documents:
        if document.name == "exchange":
            kept = decode(document.content)
            assert json.loads(base64.b64decode(kept["request"]))["model"] == "m"
            assert kept["replica"].startswith(kept["server"])
    assert all(step.same for step in await replay_case(ward.house, dossier.row.id)), act


BULKY = ("huge", "unfolding", "spaces", "inner-spaces", "crumbs", "endless-head", "outer-deep")


async def test_no_amount_of_bytes_is_held(database: Database, tmp_path: Path, url: str) -> None:
    """Gigabytes are sent by seven at a time; less than a hundredth of one of them is ever there."""
    servers = {f"a-{act}": urls_of(url, act) for act in BULKY}
    seats = [seat(f"m-{act}", "m", f"a-{act}") for act in BULKY]
    async with a_ward(
        database, tmp_path, servers, {"bulky": seats, "calm": [seat("m", "m", "a-huge")]}
    ) as ward:
        await asked_under(ward, "calm")  # what is made once is not counted
        tracemalloc.start()
        phase, dossier = await asked_under(ward, "bulky")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert phase is Phase.ESCALATED
        assert VALID not in statuses(dossier).values()
        assert peak < 24 * 2**20, f"{peak / 2**20:.1f} MiB"


async def test_a_replica_that_dies_and_comes_back_is_told_in_the_installations_own_chain(
    database: Database, tmp_path: Path, url: str
) -> None:
    become(url, "mortal", "good")
    servers = {"gpu": urls_of(url, "mortal")}
    async with a_ward(database, tmp_path, servers, {"p": [seat("model", "m", "gpu")]}) as ward:
        assert (await asked_under(ward, "p", "well"))[0] is Phase.RELEASED
        become(url, "mortal", "status-500")
        for at in range(3):
            phase, dossier = await asked_under(ward, "p", f"dying-{at}")
            assert (phase, statuses(dossier)) == (Phase.ESCALATED, {MemberId("model"): DOWN})
        phase, dossier = await asked_under(ward, "p", "dead")
        assert (phase, statuses(dossier)) == (Phase.ESCALATED, {MemberId("model"): DOWN})
        # Nobody waited, and nothing was sent.
        assert concluded_after(dossier) < PANEL
        assert "exchange" not in {document.name for document in dossier.documents}
        become(url, "mortal", "good")
        walked = await moves(ward, ("half-open", "closed"))
        assert walked[0] == ("closed", "open")
        phase, dossier = await asked_under(ward, "p", "back")
        assert (phase, statuses(dossier)) == (Phase.RELEASED, {MemberId("model"): VALID})
        await settle(ward.house)
        report = await verify_log(ward.house, ward.checkpoint.read_bytes())
        # Six cases, and the chain of the house.
        assert report.chains == 7


async def moves(ward: Ward, last: tuple[str, str]) -> list[tuple[str, str]]:
    """Wait until the log tells of that move, and return all."""
    for _ in range(400):
        contents = await load_house_contents(ward.house.store, HOUSE_CHAIN, "breakers")
        told = [move for content in contents for move in decode(content)["moves"]]
        assert {(move["server"], move["replica"], move["model"]) for move in told} <= {("gpu", "gpu-1", "m")}
        walked = [(move["from"], move["to"]) for move in told]
        if last in walked:
            return walked
        await asyncio.sleep(0.05)
    raise AssertionError(f"no entry tells of {last}")
