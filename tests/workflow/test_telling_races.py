"""Crashes and races: a sender that dies, two houses at once, a message that cannot be addressed."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from arbiter.errors import UnavailableError
from arbiter.store.database import Database
from arbiter.workflow import addressing, closing, dispatching
from arbiter.workflow.dispatching import HOLD
from tests.houses import a_client, a_house
from tests.receivers import a_receiver
from tests.system.service import until
from tests.workflow.post import EXCLUDED, Post, a_case, a_post, subscribed


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
