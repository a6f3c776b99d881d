"""Witnesses at work: who needs them waits, who is human goes ahead marked, and nobody who lies is counted."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from arbiter.api.app import create_app
from arbiter.audit.cosigned import require_quorum
from arbiter.audit.entry import Entry
from arbiter.audit.export.manifest import Selection
from arbiter.audit.note import open_note
from arbiter.audit.receipt import verify_receipt
from arbiter.cosigning.asking import open_http
from arbiter.errors import ConfigurationError, ConflictError
from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.store.database import Database, conninfo
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents
from arbiter.store.log.chains import load_entries
from arbiter.store.log.checkpoints import StoredCheckpoint, load_newest_checkpoint
from arbiter.store.witnessing import LEASE_SECONDS, add_cosignature, load_standings
from arbiter.telemetry.catalogue import WITNESS_BEHIND, WITNESS_SIZE
from arbiter.verifying.report import verify
from arbiter.workflow import publishing
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.gauges import gauges
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log.circle_in_force import CHAIN
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.log.witnessing import Rounds
from arbiter.workflow.reading import certificate, decision, receipt, view_case
from arbiter.workflow.review import OwnOpinion, claim, commit_opinion, reveal, sign
from tests.cosigning import liars
from tests.cosigning.liars import a_liar
from tests.exports import an_auditor, export_to
from tests.houses import ShiftableClock, a_client, a_house, a_reviewer, settle, submission
from tests.workflow.circles import Someone, a_witnessed_house, new_keys, real_witnesses

EXCLUDED = {"treatment_limitation": ("ward-ceiling", None)}
PATIENCE_SECONDS = 15.0


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Someone, ...]]:
    """Two real witnesses, for the whole module: each test's log has an origin of its own."""
    with real_witnesses(tmp_path_factory.mktemp("witnesses"), 2) as witnesses:
        yield witnesses


def liar(url: str, name: str = "liar") -> Someone:
    return Someone(name, liars.KEY, url)


NOWHERE = Someone("nowhere", liars.KEY, "http://127.0.0.1:9")


async def hand_in(house: House, client: Principal, key: str = "key", **changes: object) -> CaseId:
    body = submission(house.clock.now(), **changes)  # type: ignore[arg-type] # as the callers give them
    return (await submit(house, client, body, key, key.encode())).case


async def eventually(house: House, client: Principal, case: CaseId, phase: Phase) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await view_case(house, client, case)).phase is not phase:  # noqa: ASYNC110 - another task moves it
            await asyncio.sleep(0.05)


async def types_of(house: House, case: CaseId) -> list[str]:
    async with house.store.read() as transaction:
        return [Entry.from_bytes(body).type for _, body, _ in await load_entries(transaction, case)]


async def signed_by_a_reviewer(house: House, client: Principal) -> CaseId:
    anna = await a_reviewer(house)
    case = await hand_in(house, client, "reviewed", **EXCLUDED)
    await settle(house)
    await claim(house, anna, case)
    await commit_opinion(house, anna, case, OwnOpinion("urgent-review", 80, (), "as I see it"))
    await reveal(house, anna, case)
    await sign(house, anna, case, "urgent-review", "")
    return case


def seconds(at: datetime) -> int:
    return int(at.timestamp())


async def test_a_panels_decision_is_released_once_enough_have_cosigned_and_its_receipt_shows_them(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}) as house:
        client, _ = await a_client(house)
        case = await hand_in(house, client)
        await eventually(house, client, case, Phase.RELEASED)
        assert not (await decision(house, client, case)).unwitnessed
        await settle(house)
        proof = await receipt(house, client, case)
        keys = [witness.key for witness in two]
        verified = verify_receipt(proof, (*house.verifiers, *keys))
        assert {s.key for s in verified.opened.cosignatures} == set(keys)
        now = seconds(house.clock.now())
        found = require_quorum(verified.opened, keys, 2, not_before=seconds(verified.entry.at), now=now)
        assert len(found) == 2
        # What the release rests on was cosigned before it was released.
        released = [e for e in await types_of(house, case) if e == "case.released"]
        assert len(released) == 1
        assert (await verify_log(house, (tmp_path / "checkpoint").read_bytes())).cases >= 1


@pytest.mark.parametrize("needed", [0, 1])
async def test_what_witnesses_cosigned_is_not_released_while_it_cannot_be_kept(
    database: Database, tmp_path: Path, two: tuple[Someone, ...], needed: int
) -> None:
    """Their word does not stand in for the kept checkpoint: a database rolled back to before it would not be told."""

    def full(_kept: KeptCheckpoint, _note: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    async with a_witnessed_house(tmp_path, database, two, {"urgent": needed}, running=False) as house:
        client, _ = await a_client(house)
        case = await hand_in(house, client)
        await house.errands.finish(PATIENCE_SECONDS)
        async with open_http() as http:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(KeptCheckpoint, "replace", full)
                with pytest.raises(OSError, match="no space left"):
                    await house.sealer.round()
                assert await Rounds(house).round(http) >= 1
                assert (await view_case(house, client, case)).phase is Phase.DECIDED
            await house.sealer.round()
        assert (await view_case(house, client, case)).phase is Phase.RELEASED


async def test_the_published_checkpoint_carries_what_was_cosigned(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async with a_witnessed_house(tmp_path, database, two, {}) as house:
        client, _ = await a_client(house)
        await hand_in(house, client)
        await settle(house)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                opened = open_note(
                    (await publishing.checkpoint(house)).encode(), (*house.verifiers, *house.circle.keys)
                )
                if {witness.key for witness in two} <= {signature.key for signature in opened.verified}:
                    break
                await asyncio.sleep(0.05)


async def test_an_export_carries_what_was_cosigned(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async with a_witnessed_house(tmp_path, database, two, {}) as house:
        client, _ = await a_client(house)
        auditor, _ = await an_auditor(house)
        await hand_in(house, client)
        await settle(house)
        keys = {witness.key for witness in two}
        async with asyncio.timeout(PATIENCE_SECONDS):
            for number in itertools.count():
                path = tmp_path / f"export-{number}.zip"
                await export_to(house, auditor, Selection(actor="nobody"), path)
                found = verify(path, (*house.verifiers, *house.circle.keys)).evidence.opened
                if {signature.key for signature in found.cosignatures} == keys:
                    break
                # The export is an entry too: what it tells of the next shows once that is cosigned.
                await asyncio.sleep(1)
        assert verify(path, house.verifiers).evidence.opened.cosignatures == ()


async def test_a_class_that_needs_nobody_waits_for_nobody(database: Database, tmp_path: Path) -> None:
    async with a_witnessed_house(tmp_path, database, [NOWHERE], {"emergency": 1}) as house:
        client, _ = await a_client(house)
        case = await hand_in(house, client)
        await settle(house)
        view = await view_case(house, client, case)
        assert (view.phase, view.unwitnessed) == (Phase.RELEASED, False)


async def test_without_enough_witnesses_a_panels_decision_is_withdrawn_at_its_deadline_and_escalated(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    clock = ShiftableClock()
    async with a_witnessed_house(tmp_path, database, [two[0], NOWHERE], {"urgent": 2}, clock) as house:
        client, _ = await a_client(house)
        case = await hand_in(house, client)
        await settle(house)
        await asyncio.sleep(1.5)
        view = await view_case(house, client, case)
        assert (view.phase, view.decided_by) == (Phase.DECIDED, None)
        for look in (decision, certificate, receipt):
            with pytest.raises(ConflictError, match="is decided"):
                await look(house, client, case)
        assert await expire_due(house) == 0
        clock.advance(timedelta(minutes=1, seconds=1))
        await eventually(house, client, case, Phase.ESCALATED)
        assert (await types_of(house, case))[-2:] == ["case.decided", "decision.withdrawn"]
        with pytest.raises(ConflictError):
            await decision(house, client, case)
        await settle(house)
        said = (await certificate(house, client, case)).decode()
        assert "fewer than 2 of 2 witnesses had cosigned it in time" in said


async def test_a_reviewers_decision_is_released_unwitnessed_and_upgraded_when_witnesses_catch_up(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    dark = True

    def script(asked: liars.Asked) -> bytes:
        return liars.http(503, b"") if dark else liars.cosigns(asked)

    with a_liar(script) as late:
        async with a_witnessed_house(tmp_path, database, [two[0], liar(late.url)], {"urgent": 2}) as house:
            client, token = await a_client(house)
            case = await signed_by_a_reviewer(house, client)
            await eventually(house, client, case, Phase.RELEASED)
            view = await view_case(house, client, case)
            assert view.unwitnessed
            told = await decision(house, client, case)
            assert (told.option, told.unwitnessed) == ("urgent-review", True)
            before = await certificate(house, client, case)
            assert await marked_over_rest(house, token, case) == (True, True, "true")
            assert "release.witnessed" not in await types_of(house, case)
            dark = False
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await view_case(house, client, case)).unwitnessed:  # noqa: ASYNC110 - another task moves it
                    await asyncio.sleep(0.05)
            assert (await types_of(house, case)).count("release.witnessed") == 1
            assert not (await decision(house, client, case)).unwitnessed
            assert await certificate(house, client, case) == before
            assert await marked_over_rest(house, token, case) == (False, False, None)
            await settle(house)
            proof = await receipt(house, client, case)
            opened = verify_receipt(proof, (*house.verifiers, *house.circle.keys)).opened
            assert len(opened.cosignatures) == 2
            assert [topic for topic, audience in messages(database, case) if audience == "requester"][
                -2:
            ] == [
                "case.released",
                "release.witnessed",
            ]
            await verify_log(house, (tmp_path / "checkpoint").read_bytes())


async def marked_over_rest(house: House, token: str, case: CaseId) -> tuple[bool, bool, str | None]:
    """What the REST door says of a case: in its status, in its decision, beside its receipt."""
    transport = httpx.ASGITransport(app=create_app(house))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://arbiter.test", headers=headers
    ) as door:
        status = (await door.get(f"/v1/cases/{case}")).json()
        told = (await door.get(f"/v1/cases/{case}/decision")).json()
        proof = await door.get(f"/v1/cases/{case}/receipt")
    return status["unwitnessed"], told["unwitnessed"], proof.headers.get("Arbiter-Unwitnessed")


def messages(database: Database, case: CaseId) -> list[tuple[str, str]]:
    with psycopg.connect(conninfo(database.app_url)) as connection:
        return connection.execute(
            "SELECT topic, audience FROM message WHERE case_id = %s ORDER BY id", (case,)
        ).fetchall()


async def test_a_witness_that_is_down_costs_nothing_once_it_is_known(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    clock = ShiftableClock()
    async with a_witnessed_house(tmp_path, database, [*two, NOWHERE], {"urgent": 2}, clock) as house:
        client, _ = await a_client(house)
        for number in range(5):
            case = await hand_in(house, client, f"key-{number}")
            await eventually(house, client, case, Phase.RELEASED)
        standings = await load_standings(house.store, [NOWHERE.key.encode()])
        assert standings[0].fault == "ConnectError"
        assert standings[0].size is None
        read = {(figure.metric, *figure.said.values()): figure.value for figure in await gauges(house)}
        assert (read[WITNESS_BEHIND, "witness-1"], read[WITNESS_SIZE, "nowhere"]) == (0, 0)
        assert read[WITNESS_SIZE, "witness-1"] > 0
        clock.advance(timedelta(seconds=30))
        await settle(house)
        read = {(figure.metric, *figure.said.values()): figure.value for figure in await gauges(house)}
        assert read[WITNESS_BEHIND, "nowhere"] >= 30


async def test_slow_witnesses_meet_on_one_checkpoint(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    """Two that are slow in different ways still cosign the same checkpoint while the log grows under them."""

    def slow(asked: liars.Asked) -> bytes:
        time.sleep(0.7)
        return liars.cosigns(asked)

    with a_liar(slow) as snail:
        async with a_witnessed_house(tmp_path, database, [two[0], liar(snail.url)], {"urgent": 2}) as house:
            client, _ = await a_client(house)
            cases = []
            for number in range(12):
                cases.append(await hand_in(house, client, f"key-{number}"))
                await asyncio.sleep(0.15)
            for case in cases:
                await eventually(house, client, case, Phase.RELEASED)
        assert snail.most_in_flight == 1


async def test_the_same_witness_twice_is_one_and_a_stranger_is_none(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    """Rows that somebody with the database puts there: one good line under every witness's name."""
    circle = [two[0], two[1], NOWHERE]
    async with a_witnessed_house(tmp_path, database, circle, {"urgent": 2}, running=False) as house:
        client, _ = await a_client(house)
        case = await hand_in(house, client)
        newest = await sealed(house)
        now = house.clock.now()
        asked = liars.Asked(b"old 0\n\n" + newest.note.encode())
        good = liars.line(asked, liars.cosigner()).decode()
        stranger = liars.line(asked, liars.cosigner(seed=b"s" * 32, name="stranger.example/w")).decode()
        for witness, line in [*((one.key.encode(), good) for one in circle), ("stranger", stranger)]:
            await add_cosignature(house.store, newest.size, newest.root, witness, line, seconds(now), now)
        await house.sealer.round()
        assert (await view_case(house, client, case)).phase is Phase.DECIDED
        assert house.cosigned.sizes == {}


def smaller(text: str) -> str:
    origin, size, root = text.rstrip("\n").split("\n")
    return f"{origin}\n{int(size) - 1}\n{root}\n"


@pytest.mark.parametrize(
    ("over", "later"),
    [
        (smaller, 0),
        (lambda text: text.replace("log.hospital", "log.elsewhere"), 0),
        (lambda text: liars.root_of(text, b"forged"), 0),
        (str, 3600),
        (str, -3600),
    ],
    ids=["smaller size", "another log", "another root", "a time to come", "a time before"],
)
async def test_a_stored_line_that_is_not_over_this_checkpoint_now_counts_for_nothing(
    database: Database, tmp_path: Path, over: Callable[[str], str], later: int
) -> None:
    async with a_witnessed_house(tmp_path, database, [NOWHERE], {"urgent": 1}, running=False) as house:
        client, _ = await a_client(house)
        case = await hand_in(house, client)
        newest = await sealed(house)
        now = house.clock.now()
        at = seconds(now) + later
        asked = liars.Asked(b"old 0\n\n" + newest.note.encode())
        line = liars.line(asked, liars.cosigner(at), over(asked.text)).decode()
        await add_cosignature(house.store, newest.size, newest.root, NOWHERE.key.encode(), line, at, now)
        await house.sealer.round()
        assert (await view_case(house, client, case)).phase is Phase.DECIDED
        # And the same without the spoiling does count: the test can fail.
        good = liars.line(asked, liars.cosigner()).decode()
        with psycopg.connect(conninfo(database.owner_url or "")) as connection:
            connection.execute("ALTER TABLE cosignature DISABLE TRIGGER append_only")
            connection.execute("UPDATE cosignature SET line = %s", (good,))
        await house.sealer.round()
        assert (await view_case(house, client, case)).phase is Phase.RELEASED


async def sealed(house: House) -> StoredCheckpoint:
    """Seal what is pending and return the newest checkpoint."""
    await house.errands.finish(10)
    await house.sealer.round()
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
    assert newest is not None
    return newest


async def test_a_witness_with_a_larger_tree_than_the_log_is_told_as_loudly_as_can_be(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with a_liar(lambda _: liars.sizes(10_000)) as ahead:
        async with a_witnessed_house(tmp_path, database, [liar(ahead.url)], {"urgent": 1}) as house:
            client, _ = await a_client(house)
            case = await hand_in(house, client)
            await settle(house)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not [r for r in caplog.records if r.levelno == logging.CRITICAL]:  # noqa: ASYNC110 - another task
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            assert len([r for r in caplog.records if r.levelno == logging.CRITICAL]) == 1
            assert "CONTRADICTS this log" in caplog.text
            kept = {d.name: d.content for d in await load_house_documents(house.store, HOUSE_CHAIN)}
            assert b"10000" in kept["answer"]
            open_note(kept["checkpoint"], house.verifiers)
            told = {name: words for name, _, words in (await publishing.ready(house)).checks}["witnesses"]
            assert "larger tree than this log has" in told
            assert (await view_case(house, client, case)).phase is Phase.DECIDED


async def test_a_log_that_was_rolled_back_is_contradicted_by_its_witness(
    database: Database,
    module_database: Database,
    tmp_path: Path,
    two: tuple[Someone, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same keys on another database: an insider who replaces database and kept checkpoint meets the witness."""
    one, other = tmp_path / "one", tmp_path / "other"
    new_keys(one, two)
    async with a_witnessed_house(one, database, two[:1], {"urgent": 1}) as house:
        client, _ = await a_client(house)
        for number in range(4):
            await eventually(house, client, await hand_in(house, client, f"key-{number}"), Phase.RELEASED)
        await settle(house)
        await asyncio.sleep(1)
    other.mkdir(mode=0o700)
    (one / "keys").rename(other / "keys")
    async with a_witnessed_house(other, module_database, two[:1], {"urgent": 1}) as house:
        client, _ = await a_client(house)
        case = await hand_in(house, client)
        await settle(house)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "CONTRADICTS this log" not in caplog.text:  # noqa: ASYNC110 - another task
                await asyncio.sleep(0.05)
        assert (await view_case(house, client, case)).phase is Phase.DECIDED


async def test_two_processes_take_turns_and_another_goes_on_when_one_stops(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}) as first:
        client, _ = await a_client(first)
        async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}) as second:
            for number in range(6):
                house = (first, second)[number % 2]
                case = await hand_in(house, client, f"key-{number}")
                await eventually(house, client, case, Phase.RELEASED)
        case = await hand_in(first, client, "afterwards")
        async with asyncio.timeout(LEASE_SECONDS + PATIENCE_SECONDS):
            await eventually(first, client, case, Phase.RELEASED)
        await verify_log(first, (tmp_path / "checkpoint").read_bytes())


async def test_a_case_that_was_erased_before_its_witnesses_came_stops_nothing(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An erased case makes no move any more; asking it for one would end every round that releases."""
    dark = True

    def script(asked: liars.Asked) -> bytes:
        return liars.http(503, b"") if dark else liars.cosigns(asked)

    with a_liar(script) as late:
        async with a_witnessed_house(tmp_path, database, [liar(late.url)], {"urgent": 1}) as house:
            client, _ = await a_client(house)
            erased = await signed_by_a_reviewer(house, client)
            await eventually(house, client, erased, Phase.RELEASED)
            with psycopg.connect(conninfo(database.app_url)) as connection:
                connection.execute(
                    'UPDATE case_file SET state = state || \'{"erasure": "key destroyed"}\' WHERE id = %s',
                    (erased,),
                )
            waiting = await hand_in(house, client, "waiting")
            dark = False
            await eventually(house, client, waiting, Phase.RELEASED)
            await settle(house)
            assert "release.witnessed" not in await types_of(house, erased)
            assert "begun again" not in caplog.text


async def test_who_is_asked_is_in_the_log_and_a_process_that_forgot_the_witnesses_does_not_start(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async def named() -> list[dict[str, dict[str, object]]]:
        async with a_house(tmp_path, database, running=False) as house:
            return [json.loads(d.content) for d in await load_house_documents(house.store, CHAIN)]

    async with a_house(tmp_path, database):
        pass
    assert await named() == []
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}):
        pass
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}):
        pass
    for running in (True, False):
        with pytest.raises(ConfigurationError, match="ARBITER_WITNESSES is not set here"):
            async with a_house(tmp_path, database, running=running):
                pass
    # A lower quorum is a change that the log tells of; with none at all they may be left out.
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 1}):
        pass
    async with a_witnessed_house(tmp_path, database, two, {}):
        pass
    async with a_house(tmp_path, database):
        pass
    told = await named()
    assert [entry["quorum"].get("urgent") for entry in told] == [2, 1, 0, None]
    assert told[0]["witnesses"] == {one.name: one.key.encode() for one in two}
    assert told[-1]["witnesses"] == {}


async def test_a_decision_that_lacks_no_witness_is_not_upgraded(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 1}) as house:
        client, _ = await a_client(house)
        case = await hand_in(house, client)
        await eventually(house, client, case, Phase.RELEASED)
        await settle(house)
        await asyncio.sleep(0.5)
        assert "release.witnessed" not in await types_of(house, case)
