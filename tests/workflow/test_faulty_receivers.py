"""Whatever the other side does, each message arrives once and in order, or stands in the dead letters."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from arbiter.channels import webhook
from arbiter.errors import NotFoundError
from arbiter.identity.clients import disable_client
from arbiter.store.database import Database, conninfo
from arbiter.telemetry.logs import Safe
from arbiter.workflow import closing, dispatching, reading
from arbiter.workflow.dispatching import AGE
from arbiter.workflow.endpoints import dead_letters, disable, list_endpoints, redrive, register_endpoint
from arbiter.workflow.notices import notices_after
from arbiter.workflow.publishing import ready
from tests.houses import a_client, a_house
from tests.receivers import Answer, a_receiver, reset, silence, status
from tests.system.service import until
from tests.workflow.post import EXCLUDED, a_case, a_post, rows, subscribed

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
            assert database.owner_url is not None
            with psycopg.connect(conninfo(database.owner_url)) as connection:
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
        told = [
            (record.getMessage(), record.args)
            for record in caplog.records
            if record.name == dispatching.__name__
        ]
        assert any("failed, attempt 1: HTTP 500" in message for message, _ in told)
        assert any("is a dead letter" in message for message, _ in told)
        for message, arguments in told:
            # A word that the code does not vouch for reaches no line.
            assert {arg for arg in arguments or () if isinstance(arg, Safe)} == {"webhook", "HTTP 500"}, (
                message
            )
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
