"""SIGKILL between sending and marking: the same id comes again, nothing is lost, and every case is told in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import httpx
import pytest

from tests.receivers import Receiver, a_receiver
from tests.system.service import Service, case_body, until

CASES = 12


async def registered(service: Service, receiver: Receiver) -> None:
    client = service.token.split("_")[1]
    done = await asyncio.to_thread(service.arbiter, "webhooks", "add", receiver.url, "--client", client)
    assert done.returncode == 0, done.stderr
    receiver.secret = done.stdout.splitlines()[-1]


async def the_killed_sender_is_followed(service: Service) -> None:
    async with a_receiver() as receiver:
        usual = receiver.answer
        killed = asyncio.Event()

        async def kill_instead_of_answering(answering: Receiver, writer: asyncio.StreamWriter) -> None:
            if len(answering.arrived) == CASES // 2 and not killed.is_set():
                # It has been taken here and cannot be marked there.
                killed.set()
                service.kill()
                writer.transport.abort()
                return
            await usual(answering, writer)

        # The installation is shared: what was told of other tests' cases is none of this receiver's.
        before = set(told_cases(service))
        await registered(service, receiver)
        receiver.answer = kill_instead_of_answering
        async with service.door() as door:
            for number in range(CASES):
                body = case_body(f"told-{number}", {"pregnant": (True, None)})
                # The process may be killed while it answers; what it took in before is told afterwards.
                with contextlib.suppress(httpx.TransportError):
                    reply = await door.post(
                        "/v1/cases", json=body, headers={"Idempotency-Key": f"told-{number}"}
                    )
                    assert reply.status_code in {201, 202}
                if killed.is_set():
                    break
        await asyncio.wait_for(killed.wait(), 30)
        interrupted = receiver.arrived[CASES // 2 - 1].id
        assert interrupted not in receiver.taken
        await asyncio.to_thread(service.start)

        async def all_told() -> bool:
            return len(set(receiver.taken)) == len(set(told_cases(service)) - before)

        await until(all_told, seconds=110)
        assert Counter(arrived.id for arrived in receiver.arrived)[interrupted] == 2
        assert len(receiver.verified()) == len(set(told_cases(service)) - before)


def told_cases(service: Service) -> list[str]:
    """The cases that have something to be told, as the database knows them."""
    with service.superuser() as connection:
        query = "SELECT DISTINCT case_id FROM message WHERE audience = 'requester'"
        return [case for (case,) in connection.execute(query).fetchall()]


@pytest.mark.timeout(240)
def test_a_sender_killed_between_sending_and_marking_sends_the_same_id_again(service: Service) -> None:
    asyncio.run(the_killed_sender_is_followed(service))
