"""The commands an operator handles endpoints with, as processes of their own beside a serving one."""

from __future__ import annotations

import asyncio

from tests.receivers import a_receiver, status
from tests.system.service import Service, case_body, until


async def an_endpoints_life(service: Service) -> None:
    async def arbiter(*arguments: str) -> tuple[int, list[str], str]:
        done = await asyncio.to_thread(service.arbiter, "webhooks", *arguments)
        return done.returncode, done.stdout.splitlines(), done.stderr

    client = service.token.split("_")[1]
    async with a_receiver() as receiver:
        code, _, told = await arbiter("add", "http://hospital.example/hook", "--client", client)
        assert (code, "expected https" in told) == (1, True)
        code, lines, _ = await arbiter("add", receiver.url, "--client", client)
        assert code == 0
        endpoint, receiver.secret = lines[0].split()[1].rstrip(";"), lines[1]
        assert (await arbiter("test", endpoint))[:2] == (0, ["taken"])
        assert receiver.types() == ["webhook.tested"]
        receiver.answer = status(500)
        code, _, told = await arbiter("test", endpoint)
        assert (code, told.strip()) == (1, "not taken: HTTP 500")
        async with service.door() as door:
            body = case_body("commands", {"pregnant": (True, None)})
            reply = await door.post("/v1/cases", json=body, headers={"Idempotency-Key": "commands"})
        case = reply.json()["id"]
        await arbiter("disable", endpoint)

        async def given_up() -> list[str]:
            return [line for line in (await arbiter("dead-letters"))[1] if case in line]

        (letter,) = await until(given_up, seconds=60)
        number, channel, recipient, *_, fault = letter.split("\t")
        assert (channel, recipient, fault) == ("webhook", endpoint, "the endpoint is disabled")
        listed = next(line for line in (await arbiter("list"))[1] if line.startswith(endpoint)).split("\t")
        assert listed[1:4] == [client, "", receiver.url]
        assert listed[4], "disabled at"
        assert receiver.secret not in "".join((await arbiter("list"))[1])
        assert (await arbiter("redrive"))[0] == 2, "neither letters nor --all"
        assert (await arbiter("redrive", number))[1] == ["1 are sent anew"]


def test_an_endpoint_is_added_tried_disabled_and_its_dead_letters_driven_again(service: Service) -> None:
    asyncio.run(an_endpoints_life(service))
