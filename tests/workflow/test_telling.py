"""Systems are told: signed, in order, once each or in the dead letters, whatever the other side does in the meantime."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from arbiter.channels import webhook
from arbiter.channels.webhook import open_http
from arbiter.errors import ConflictError, NotFoundError, RefusedError, UnavailableError
from arbiter.identity.clients import disable_client
from arbiter.identity.principals import Principal
from arbiter.model import CaseId
from arbiter.store.database import Database, conninfo
from arbiter.workflow import addressing, closing, dispatching, intake, reading
from arbiter.workflow.dispatching import AGE, HOLD, Dispatcher
from arbiter.workflow.endpoints import (
    dead_letters,
    disable,
    list_endpoints,
    redrive,
    register_endpoint,
    try_endpoint,
)
from arbiter.workflow.house import House
from arbiter.workflow.notices import notices_after
from arbiter.workflow.publishing import ready
from tests.houses import ShiftableClock, a_client, a_house, settle, submission
from tests.receivers import Answer, Receiver, a_receiver, reset, silence, status
from tests.system.service import until

EXCLUDED: dict[str, Any] = {"pregnant": (True, None)}


async def subscribed(house: House, receiver: Receiver, client: Principal) -> str:
    """Register the receiver for a client and hand it its secret; return the endpoint's id."""
    registered = await register_endpoint(house, receiver.url, client=client.id)
    receiver.secret = registered.secret
    receiver.simulated_time = isinstance(house.clock, ShiftableClock)
    return registered.id


async def a_case(house: House, principal: Principal, key: str = "key-1", **changes: Any) -> CaseId:
    handed_in = submission(house.clock.now(), **changes)
    return (await intake.submit(house, principal, handed_in, key, key.encode())).case


async def a_released_case(house: House, principal: Principal, key: str = "key-1") -> CaseId:
    case = await a_case(house, principal, key)
    await house.errands.finish(10)
    await house.sealer.round()
    return case


class Post:
    """A dispatcher that goes as far as it can whenever a test says so, on a clock that the test moves."""

    def __init__(self, house: House, clock: ShiftableClock) -> None:
        self.house = house
        self.clock = clock
        self.dispatcher = Dispatcher(house)

    async def go(self) -> None:
        """Deliver whatever is due now."""
        async with open_http(most_connections=10) as http:
            while await self.dispatcher.round(http):
                await self.dispatcher.finish(10)

    async def after(self, wait: timedelta) -> None:
        """Let that time pass, then deliver."""
        self.clock.advance(wait)
        await self.go()

    async def until_quiet(self) -> None:
        """Let time pass until nothing waits any more: everything is delivered or given up."""
        for _ in range(400):
            await self.after(timedelta(minutes=50))
            (row,) = await self.house.store.run(
                "SELECT count(*) FROM delivery WHERE delivered_at IS NULL AND dead_at IS NULL", {}
            )
            if row[0] == 0:
                return
        raise AssertionError("something waits for ever")


@asynccontextmanager
async def a_post(tmp_path: Path, database: Database) -> AsyncIterator[Post]:
    clock = ShiftableClock()
    async with a_house(tmp_path / "data", database, clock, running=False) as house:
        yield Post(house, clock)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(conninfo(database.app_url)) as connection:
        return connection.execute(query.encode()).fetchall()


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
    canaries = ("made-up-1", "urn:example:patients", "visit-1", "systolic", "133", "pregnan", "exclu")
    async with a_post(tmp_path, database) as post, a_receiver(status(500, body=b"made-up-1")) as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        await a_case(post.house, client, **EXCLUDED, systolic_bp=(Decimal(133), "mm[Hg]"))
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
        tables = rows(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        readable = rows(
            database,
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
            "AND has_table_privilege(schemaname || '.' || tablename, 'SELECT')",
        )
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


# --- whatever the other side does -----------------------------------------------------------------------------------

MISBEHAVIOUR: dict[str, Answer] = {
    "answers 500": status(500),
    "answers 404": status(404),
    "answers 100 times its length": status(503, body=b"x" * 1_000_000),
    "redirects": status(302, "Location: /elsewhere"),
    "redirects for good": status(308, "Location: /elsewhere"),
    "resets": reset,
    "never answers": silence,
}


@pytest.mark.parametrize("answer", MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
async def test_each_message_arrives_once_and_in_order_after_the_receiver_recovers(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(webhook, "ATTEMPT_SECONDS", 0.3)
    async with a_post(tmp_path, database) as post, a_receiver(answer) as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        case = await a_case(post.house, client, **EXCLUDED)
        await closing.cancel(post.house, client, case, "no longer needed")
        await post.go()
        await post.after(timedelta(minutes=1))
        assert len(receiver.arrived) == 2, "tried, and tried again"
        assert receiver.types() == ["case.escalated"], "the second waits for the first"
        receiver.answer = status(200)
        await post.after(timedelta(minutes=10))
        assert receiver.types() == ["case.escalated", "case.cancelled"]
        assert len(receiver.taken) == len(set(receiver.taken)) == 2
        await post.after(timedelta(days=1))
        assert len(receiver.taken) == 2


async def test_a_receiver_that_is_not_there_is_told_when_it_is_back(
    tmp_path: Path, database: Database
) -> None:
    async with a_post(tmp_path, database) as post:
        client, _ = await a_client(post.house)
        async with a_receiver() as gone:
            url = gone.url
        registered = await register_endpoint(post.house, url, client=client.id)
        await a_case(post.house, client, **EXCLUDED)
        await post.go()
        assert rows(database, "SELECT attempts, last_fault FROM delivery") == [(1, "ConnectError")]
        async with a_receiver() as receiver:
            receiver.secret, receiver.simulated_time = registered.secret, True
            with psycopg.connect(conninfo(database.app_url)) as connection:
                connection.execute("UPDATE webhook_endpoint SET url = %s", (receiver.url,))
            await post.after(timedelta(minutes=1))
            assert receiver.types() == ["case.escalated"]


async def test_a_message_that_is_never_taken_becomes_a_dead_letter_and_the_next_one_goes(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_post(tmp_path, database) as post, a_receiver(status(500)) as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        case = await a_case(post.house, client, **EXCLUDED)
        await post.until_quiet()
        (letter,) = await dead_letters(post.house)
        assert (letter.case, letter.topic, letter.fault) == (case, "case.escalated", "HTTP 500")
        assert 20 < letter.attempts <= dispatching.ATTEMPTS
        given_up_after = letter.dead_at - (await reading.view_case(post.house, client, case)).changed_at
        assert AGE <= given_up_after < AGE + timedelta(hours=3)
        assert any("is a dead letter" in record.getMessage() for record in caplog.records)
        detail = {name: words for name, _, words in (await ready(post.house)).checks}["messages"]
        assert detail.endswith("1 given up")
        receiver.answer = status(200)
        await closing.cancel(post.house, client, case, "no longer needed")
        await post.after(timedelta(minutes=2))
        assert len(receiver.taken) == 1
        assert receiver.types() == ["case.escalated", "case.cancelled"]


async def test_a_dead_letter_that_is_driven_again_has_its_old_id_and_all_its_attempts(
    tmp_path: Path, database: Database
) -> None:
    async with a_post(tmp_path, database) as post, a_receiver(status(500)) as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        await a_case(post.house, client, **EXCLUDED)
        await post.until_quiet()
        (letter,) = await dead_letters(post.house)
        assert await redrive(post.house, [letter.id + 1]) == 0
        assert await redrive(post.house, [letter.id]) == 1
        await post.after(timedelta(minutes=2))
        assert await dead_letters(post.house) == (), "it failed once more and is not given up for its age"
        receiver.answer = status(200)
        await post.after(timedelta(minutes=2))
        assert len({arrived.id for arrived in receiver.arrived}) == 1
        assert await redrive(post.house, None) == 0


async def test_what_is_delivered_is_not_delivered_again_by_driving(
    tmp_path: Path, database: Database
) -> None:
    async with a_post(tmp_path, database) as post, a_receiver() as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        await a_case(post.house, client, **EXCLUDED)
        await post.go()
        assert await redrive(post.house, None) == 0
        await post.after(timedelta(days=1))
        assert len(receiver.arrived) == 1


async def test_one_endpoint_that_never_answers_holds_up_nobody_else(
    tmp_path: Path, database: Database
) -> None:
    async with (
        a_house(tmp_path / "data", database) as house,
        a_receiver(silence) as slow,
        a_receiver() as quick,
    ):
        first, _ = await a_client(house, "slow system")
        second, _ = await a_client(house, "quick system")
        await subscribed(house, slow, first)
        await subscribed(house, quick, second)
        for number in range(30):
            await a_case(house, first, f"slow-{number}", **EXCLUDED)

        async def reached() -> bool:
            return bool(slow.arrived)

        await until(reached, seconds=10)
        for number in range(5):
            await a_case(house, second, f"quick-{number}", **EXCLUDED)

        async def told() -> bool:
            return len(quick.arrived) == 5

        await until(told, seconds=5)
        assert len(slow.arrived) <= dispatching.MOST_EACH


async def test_a_receiver_that_asks_for_a_pause_gets_it(tmp_path: Path, database: Database) -> None:
    async with a_post(tmp_path, database) as post, a_receiver(status(429, "Retry-After: 1800")) as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        await a_case(post.house, client, **EXCLUDED)
        await post.go()
        await post.after(timedelta(minutes=29))
        assert len(receiver.arrived) == 1
        await post.after(timedelta(minutes=2))
        assert len(receiver.arrived) == 2


async def test_an_endpoint_that_says_gone_is_disabled_and_told_nothing_more(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_post(tmp_path, database) as post, a_receiver(status(410)) as receiver:
        client, _ = await a_client(post.house)
        endpoint = await subscribed(post.house, receiver, client)
        case = await a_case(post.house, client, **EXCLUDED)
        await post.go()
        await closing.cancel(post.house, client, case, "no longer needed")
        await post.after(timedelta(hours=1))
        assert len(receiver.arrived) == 1
        (row,) = await list_endpoints(post.house)
        assert row.disabled_at is not None
        assert [letter.fault for letter in await dead_letters(post.house)] == ["HTTP 410"]
        assert f"endpoint {endpoint} is gone" in caplog.text
        feed = await notices_after(post.house, client, 0, 50)
        assert [notice.type for notice in feed.notices] == ["case.escalated", "case.cancelled"], (
            "it can still ask"
        )


async def test_what_waits_for_an_endpoint_that_is_disabled_is_given_up(
    tmp_path: Path, database: Database
) -> None:
    async with a_post(tmp_path, database) as post, a_receiver(status(500)) as receiver:
        client, _ = await a_client(post.house)
        endpoint = await subscribed(post.house, receiver, client)
        await a_case(post.house, client, **EXCLUDED)
        await post.go()
        await disable(post.house, endpoint)
        await post.after(timedelta(minutes=1))
        assert len(receiver.arrived) == 1
        assert [letter.fault for letter in await dead_letters(post.house)] == ["the endpoint is disabled"]
        with pytest.raises(NotFoundError):
            await disable(post.house, endpoint)


async def test_a_disabled_client_hears_of_no_case_any_more(tmp_path: Path, database: Database) -> None:
    async with a_post(tmp_path, database) as post, a_receiver() as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        await a_case(post.house, client, **EXCLUDED)
        await disable_client(post.house.identities, post.clock, client.id)
        await post.go()
        assert receiver.arrived == []


# --- crashes and races ----------------------------------------------------------------------------------------------


async def test_a_sender_that_dies_before_it_marks_leads_to_the_same_id_again(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object, **__: object) -> None:
        raise UnavailableError("the database does not answer")

    async with a_post(tmp_path, database) as post, a_receiver() as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        await a_case(post.house, client, **EXCLUDED)
        with monkeypatch.context() as patched:
            patched.setattr(dispatching, "mark_delivered", dies)
            await post.go()
        assert len(receiver.arrived) == 1
        successor = Post(post.house, post.clock)
        await successor.go()
        assert len(receiver.arrived) == 1, "while the claim lasts nobody else sends it"
        await successor.after(HOLD + timedelta(seconds=1))
        assert len(receiver.arrived) == 2
        assert len(receiver.verified()) == 1
        await successor.after(timedelta(days=1))
        assert len(receiver.arrived) == 2


async def test_two_houses_send_nothing_twice_and_every_case_in_order(
    tmp_path: Path, database: Database
) -> None:
    async with (
        a_house(tmp_path / "data", database) as one,
        a_house(tmp_path / "data", database) as other,
        a_receiver() as receiver,
    ):
        client, _ = await a_client(one)
        await subscribed(one, receiver, client)
        cases = []
        for number in range(30):
            house = (one, other)[number % 2]
            case = await a_case(house, client, f"key-{number}", **EXCLUDED)
            await closing.cancel((other, one)[number % 2], client, case, "no longer needed")
            cases.append(case)

        async def told() -> bool:
            return len(receiver.arrived) >= 60

        await until(told, seconds=20)
        await asyncio.sleep(1)
        assert len(receiver.arrived) == 60
        assert Counter(arrived.id for arrived in receiver.arrived).most_common(1)[0][1] == 1
        for case in cases:
            told_of = [a.document["type"] for a in receiver.verified() if a.document["data"]["case"] == case]
            assert told_of == ["case.escalated", "case.cancelled"]


async def test_a_message_that_cannot_be_addressed_keeps_no_others(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_post(tmp_path, database) as post, a_receiver() as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        damaged = await a_case(post.house, client, "key-1", **EXCLUDED)
        sound = await a_case(post.house, client, "key-2", **EXCLUDED)
        recipients = addressing._recipients

        async def fails(house: Any, book: Any, message: Any, now: Any) -> Any:
            if message.case == damaged:
                raise KeyError("damaged")
            return await recipients(house, book, message, now)

        with monkeypatch.context() as patched:
            patched.setattr(addressing, "_recipients", fails)
            assert await addressing.address_messages(post.house) == {damaged}
            await post.go()
            assert [arrived.document["data"]["case"] for arrived in receiver.arrived] == [sound]
        await post.after(timedelta(minutes=2))
        assert [arrived.document["data"]["case"] for arrived in receiver.verified()] == [sound, damaged]


# --- whoever got a decision -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["retract", "contest"])
async def test_a_decision_that_changes_is_told_to_whoever_got_it(
    tmp_path: Path, database: Database, change: str
) -> None:
    async with (
        a_post(tmp_path, database) as post,
        a_receiver() as of_requester,
        a_receiver() as of_reader,
        a_receiver() as of_stranger,
    ):
        house = post.house
        requester, _ = await a_client(house, "requester")
        reader, _ = await a_client(house, "reader")
        stranger, _ = await a_client(house, "stranger")
        for client, receiver in ((requester, of_requester), (reader, of_reader), (stranger, of_stranger)):
            await subscribed(house, receiver, client)
        case = await a_released_case(house, requester)
        await post.go()
        await reading.decision(house, reader, case)
        await reading.view_case(house, stranger, case)
        await getattr(closing, change)(house, requester, case, "it was another patient")
        await post.go()
        told = f"case.{change}ed"
        assert of_requester.types() == ["case.released", told]
        assert of_reader.types() == [told]
        assert of_stranger.arrived == []
        assert [n.type for n in (await notices_after(house, reader, 0, 50)).notices] == [
            "case.released",
            told,
        ]
        assert (await notices_after(house, stranger, 0, 50)).notices == ()


@pytest.mark.parametrize("read", [reading.decision, reading.certificate, reading.receipt])
async def test_a_superseded_decision_is_told_to_its_readers(
    tmp_path: Path, database: Database, read: Any
) -> None:
    async with a_post(tmp_path, database) as post, a_receiver() as receiver:
        requester, _ = await a_client(post.house, "requester")
        reader, _ = await a_client(post.house, "reader")
        await subscribed(post.house, receiver, reader)
        case = await a_released_case(post.house, requester)
        await post.go()
        await read(post.house, reader, case)
        newer = submission(post.clock.now())
        await intake.submit(post.house, requester, replace(newer, supersedes=case), "key-2", b"key-2")
        await post.house.errands.finish(10)
        await post.go()
        assert receiver.types() == ["case.superseded"]


async def test_an_endpoint_that_was_told_of_a_release_counts_as_having_got_it(
    tmp_path: Path, database: Database
) -> None:
    async with a_post(tmp_path, database) as post, a_receiver(status(500)) as receiver:
        client, _ = await a_client(post.house)
        await subscribed(post.house, receiver, client)
        case = await a_released_case(post.house, client)
        await post.go()
        query = "SELECT case_id, client_id FROM decision_recipient"
        assert rows(database, query) == []
        receiver.answer = status(200)
        await post.after(timedelta(minutes=1))
        assert rows(database, query) == [(case, client.id)]


async def test_a_decision_that_was_taken_back_in_between_is_not_read(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_post(tmp_path, database) as post:
        requester, _ = await a_client(post.house, "requester")
        reader, _ = await a_client(post.house, "reader")
        case = await a_released_case(post.house, requester)
        usual = reading._note_recipient

        async def while_it_is_taken_back(*arguments: Any) -> None:
            await closing.retract(post.house, requester, case, "it was another patient")
            await usual(*arguments)

        monkeypatch.setattr(reading, "_note_recipient", while_it_is_taken_back)
        with pytest.raises(ConflictError, match="entered-in-error"):
            await reading.decision(post.house, reader, case)


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
