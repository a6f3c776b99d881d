"""Whoever got a decision hears that it no longer stands, and nobody else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from arbiter.errors import ConflictError
from arbiter.store.database import Database
from arbiter.workflow import closing, intake, reading
from arbiter.workflow.notices import notices_after
from tests.houses import a_client, submission
from tests.receivers import a_receiver, status
from tests.workflow.post import a_post, a_released_case, rows, subscribed


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
