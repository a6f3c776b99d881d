"""Systems are told: signed, without a word about the patient, to whoever registered for it."""

from __future__ import annotations

import base64
import logging
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from arbiter.errors import NotFoundError, RefusedError
from arbiter.store.database import Database
from arbiter.workflow import closing, intake, reading
from arbiter.workflow.endpoints import list_endpoints, register_endpoint, try_endpoint
from arbiter.workflow.notices import notices_after
from tests.houses import a_client, a_house, settle, submission
from tests.receivers import a_receiver, status
from tests.system.service import until
from tests.workflow.post import EXCLUDED, a_case, a_post, rows, subscribed

# Parts of a table are read by way of the whole.
PLACES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"

# --- what arrives ---------------------------------------------------------------------------------------------------


async def test_a_released_decision_reaches_the_clients_endpoint_signed(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database) as house, a_receiver() as receiver:
        client, _ = await a_client(house)
        await subscribed(house, receiver, client)
        case = await a_case(house, client)
        await settle(house)

        async def told() -> bool:
            return bool(receiver.arrived)

        await until(told, seconds=10)
        (arrived,) = receiver.verified()
        assert arrived.headers["content-type"] == "application/json"
        assert arrived.document["type"] == "case.released"
        assert arrived.document["data"] == {
            "case": case,
            "protocol": "deterioration",
            "site": "north",
            "risk_class": "urgent",
            "phase": "released",
            "due_at": None,
        }


async def test_nothing_about_the_patient_is_in_what_is_sent_or_logged(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canaries = ("made-up-1", "urn:example:patients", "visit-1", "paco2", "133.7", "pregnan", "exclu")
    async with a_post(tmp_path, database) as post, a_receiver(status(500, body=b"made-up-1")) as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        await a_case(post.house, client, **EXCLUDED, paco2=(Decimal("133.7"), "mm[Hg]"))
        await post.go()
        receiver.answer = status(204)
        await post.after(timedelta(minutes=1))
        assert receiver.types() == ["case.escalated"]
        sent = [part for one in receiver.arrived for part in (str(one.headers), one.body.decode())]
        kept = [str(row) for row in rows(database, "SELECT * FROM message, delivery")]
        lines = [record.getMessage() for record in caplog.records if record.name.startswith("arbiter")]
        for text in (*sent, *kept, *lines):
            assert not [canary for canary in canaries if canary in text.lower()], text


async def test_no_secret_of_an_endpoint_stands_in_the_database(tmp_path: Path, database: Database) -> None:
    async with a_post(tmp_path, database) as post, a_receiver() as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        await a_case(post.house, client, **EXCLUDED)
        await post.go()
        secret = receiver.secret.removeprefix("whsec_")
        raw = base64.b64decode(secret)
        assert len(raw) == 32
        tables = rows(database, PLACES)
        readable = rows(database, f"{PLACES} AND has_table_privilege(oid, 'SELECT')")
        assert ("webhook_endpoint",) in readable
        assert len(readable) >= len(tables) - 1
        for (table,) in readable:
            for (row,) in rows(database, f"SELECT row_to_json(t)::text FROM {table} AS t"):
                assert secret not in row, table
                assert raw.hex() not in row, table


async def test_a_training_case_is_told_to_nobody(tmp_path: Path, database: Database) -> None:
    async with a_post(tmp_path, database) as post, a_receiver() as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        cases = []
        for number, changes in enumerate((EXCLUDED, {})):
            practice = replace(submission(post.clock.now(), **changes), training=True)
            made = await intake.submit(post.house, client, practice, f"key-{number}", b"%d" % number)
            cases.append(made.case)
        await post.house.errands.finish(10)
        await post.house.sealer.round()
        phases = [(await reading.view_case(post.house, client, case)).phase.value for case in cases]
        assert phases == ["escalated", "released"]
        await closing.cancel(post.house, client, cases[0], "no longer needed")
        await closing.retract(post.house, client, cases[1], "entered in error")
        await post.go()
        assert receiver.arrived == []
        assert (await notices_after(post.house, client, 0, 50)).notices == ()
        assert rows(database, "SELECT 1 FROM message UNION ALL SELECT 1 FROM delivery") == []


# --- endpoints ------------------------------------------------------------------------------------------------------


async def test_an_endpoint_can_be_tried_before_anything_depends_on_it(
    tmp_path: Path, database: Database
) -> None:
    async with a_post(tmp_path, database) as post, a_receiver() as receiver:
        client, _ = await a_client(post.house)
        endpoint = await subscribed(post.house, receiver, client)
        assert type(await try_endpoint(post.house, endpoint)).__name__ == "Sent"
        assert receiver.types() == ["webhook.tested"]
        receiver.answer = status(403)
        assert (
            str(await try_endpoint(post.house, endpoint)) == "Failed(fault='HTTP 403', not_within_seconds=0)"
        )
        with pytest.raises(NotFoundError):
            await try_endpoint(post.house, "we_nobody")


@pytest.mark.parametrize(
    "owner",
    [
        {},
        {"client": "cnobody"},
        {"duty_group": "nobody"},
        {"client": "c", "duty_group": "critical-care-outreach"},
    ],
    ids=str,
)
async def test_an_endpoint_of_nobody_known_is_refused(
    tmp_path: Path, database: Database, owner: dict[str, str]
) -> None:
    async with a_post(tmp_path, database) as post:
        with pytest.raises(RefusedError):
            await register_endpoint(post.house, "https://hospital.example/hook", **owner)
        assert await list_endpoints(post.house) == ()


async def test_what_is_told_is_read_page_by_page_without_a_gap(tmp_path: Path, database: Database) -> None:
    async with a_post(tmp_path, database) as post:
        client, _ = await a_client(post.house)
        for number in range(7):
            await a_case(post.house, client, f"key-{number}", **EXCLUDED)
        assert (await notices_after(post.house, client, 0, 50)).notices == (), "not addressed yet"
        await post.go()
        seen, after = [], 0
        while (page := await notices_after(post.house, client, after, 3)).notices:
            seen += [notice.id for notice in page.notices]
            after = page.next
        assert len(seen) == len(set(seen)) == 7
        assert (await notices_after(post.house, client, after, 3)).next == after
