"""Witnesses at work: a panel that needs them waits, a human goes ahead marked, and what was cosigned is shown."""

from __future__ import annotations

import asyncio
import errno
import itertools
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from arbiter.api.app import create_app
from arbiter.audit.cosigned import require_quorum
from arbiter.audit.export.manifest import Selection
from arbiter.audit.note import open_note
from arbiter.audit.receipt import verify_receipt
from arbiter.cosigning.asking import open_http
from arbiter.errors import ConflictError
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.store.database import Database, conninfo
from arbiter.verifying.report import verify
from arbiter.workflow import publishing
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.house import House
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.log.witnessing import Rounds
from arbiter.workflow.reading import certificate, decision, receipt, view_case
from tests.cosigning import liars
from tests.cosigning.liars import a_liar
from tests.exports import an_auditor, export_to
from tests.houses import ShiftableClock, a_client, settle, types_of
from tests.workflow.circles import (
    NOWHERE,
    PATIENCE_SECONDS,
    Someone,
    a_witnessed_house,
    eventually,
    liar,
    seconds,
    signed_by_a_reviewer,
)
from tests.workflow.post import a_case


async def test_a_panels_decision_is_released_once_enough_have_cosigned_and_its_receipt_shows_them(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}) as house:
        client, _ = await a_client(house)
        case = await a_case(house, client)
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
        assert (await verify_log(house, (tmp_path / "checkpoint").read_bytes())).chains >= 1


@pytest.mark.parametrize("needed", [0, 1])
async def test_what_witnesses_cosigned_is_not_released_while_it_cannot_be_kept(
    database: Database, tmp_path: Path, two: tuple[Someone, ...], needed: int
) -> None:
    """Their word does not stand in for the kept checkpoint: a database rolled back to before it would not be told."""

    def full(_kept: KeptCheckpoint, _note: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    async with a_witnessed_house(tmp_path, database, two, {"urgent": needed}, running=False) as house:
        client, _ = await a_client(house)
        case = await a_case(house, client)
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
        await a_case(house, client)
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
        await a_case(house, client)
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
        case = await a_case(house, client)
        await settle(house)
        view = await view_case(house, client, case)
        assert (view.phase, view.unwitnessed) == (Phase.RELEASED, False)


async def test_without_enough_witnesses_a_panels_decision_is_withdrawn_at_its_deadline_and_escalated(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    clock = ShiftableClock()
    async with a_witnessed_house(tmp_path, database, [two[0], NOWHERE], {"urgent": 2}, clock) as house:
        client, _ = await a_client(house)
        case = await a_case(house, client)
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
            waiting = await a_case(house, client, "waiting")
            dark = False
            await eventually(house, client, waiting, Phase.RELEASED)
            await settle(house)
            assert "release.witnessed" not in await types_of(house, erased)
            assert "begun again" not in caplog.text


async def test_a_decision_that_lacks_no_witness_is_not_upgraded(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 1}) as house:
        client, _ = await a_client(house)
        case = await a_case(house, client)
        await eventually(house, client, case, Phase.RELEASED)
        await settle(house)
        await asyncio.sleep(0.5)
        assert "release.witnessed" not in await types_of(house, case)
