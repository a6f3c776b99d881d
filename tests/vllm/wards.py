"""A real house whose panel seats three models of a real vLLM beside the published scores."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from arbiter.api.app import create_app
from arbiter.documents.canonical import decode
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, MemberStatus, Opinion
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.dossier import Dossier, load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.reading import SETTLED, view_case, wait_until_settled
from clinician_ui.pages import create_pages
from tests.api.conftest import Caller
from tests.clinician_ui.conftest import Ward
from tests.fleet.files import fleet_file
from tests.houses import ShiftableClock, a_client, a_house, settle
from tests.panels.model_bundles import protocol_text, write_bundle
from tests.system.service import case_body
from tests.vllm.seats import SERVER, seats
from tests.vllm.server import VllmServer

UNHURRIED, HURRIED = "with-models", "with-models-in-a-hurry"
PANEL_SECONDS: Final = {UNHURRIED: 240, HURRIED: 10}
"""The panel's time by protocol. The longer one is no measure of anything: this machine may be busy."""


@dataclass
class ModelWard:
    """The house, its pages and its door, with whoever hands cases in."""

    house: House
    pages: Ward
    caller: Caller
    kept: Path

    async def post(self, protocol: str, subject: str) -> CaseId:
        """Hand in the calm patient through the REST door."""
        answer = await self.caller.submit(case_body(subject, protocol=protocol), key=f"key-{subject}")
        assert answer.status_code == 202, answer.text
        return CaseId(answer.json()["id"])

    async def settled(self, case: CaseId) -> Phase:
        """Return the phase in which a case comes to rest."""
        async with asyncio.timeout(PANEL_SECONDS[UNHURRIED] + 30):
            while True:
                view = await wait_until_settled(self.house, self.pages.client, case, 30)
                if view.phase in SETTLED:
                    return view.phase

    async def phase(self, case: CaseId) -> Phase:
        return (await view_case(self.house, self.pages.client, case)).phase

    async def dossier(self, case: CaseId) -> Dossier:
        async with self.house.store.read() as transaction:
            return await load_dossier(self.house, transaction, case)

    async def check_everything(self, case: CaseId) -> None:
        """Raise unless the whole log verifies and everything about the case replays to the bytes recorded."""
        assert all(step.same for step in await replay_case(self.house, case))
        await settle(self.house)
        report = await verify_log(self.house, self.kept.read_bytes())
        assert report.chains >= 1


@asynccontextmanager
async def a_model_ward(folder: Path, database: Database, server: VllmServer) -> AsyncIterator[ModelWard]:
    """Yield a running house with both protocols in force, and the server known to it as `cpu`."""
    weights = {name: server.weights_sha256(name) for name in server.adapters}
    for name, seconds in PANEL_SECONDS.items():
        write_bundle(folder / "protocols" / name, protocol_text(name, *seats(weights), panel_seconds=seconds))
    settings = Settings(
        data=folder,
        mode=Mode.DEMONSTRATION,
        secure_cookies=False,
        workers=False,
        protocols=folder / "protocols",
        fleet=fleet_file(folder, {SERVER: server.url}),
    )
    clock = ShiftableClock()
    async with a_house(folder, database, clock, settings=settings) as house:
        client, token = await a_client(house)
        transport = httpx.ASGITransport(app=create_app(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
            pages = Ward(house, create_pages(house), clock, client, {})
            await pages.person("anna")
            yield ModelWard(house, pages, Caller(http, token), folder / "checkpoint")


def states(dossier: Dossier) -> dict[str, MemberStatus]:
    """Each member's state by its name."""
    return {opinion.member: opinion.status for opinion in dossier.opinions()}


def by_adapter(dossier: Dossier) -> dict[str, Opinion]:
    return {
        opinion.identity.name: opinion for opinion in dossier.opinions() if opinion.identity.kind == "vllm"
    }


@dataclass(frozen=True)
class Sent:
    """A sealed exchange, opened: what was sent to vLLM and what came."""

    request: bytes
    reply: bytes
    status: int | None
    ending: str


def exchanges(dossier: Dossier) -> dict[str, Sent]:
    """Each exchange by the adapter that its request names."""
    found = {}
    for document in dossier.documents:
        if document.name == "exchange":
            opened = decode(document.content)
            request = base64.b64decode(opened["request"])
            reply = base64.b64decode(opened["reply"])
            sent = Sent(request, reply, opened.get("status"), opened["ending"])
            found[json.loads(request)["model"]] = sent
    return found


def words(reply: bytes) -> list[tuple[str, str]]:
    """Return what a reply says and how each answer ended: all of it but its number and its time."""
    choices: list[dict[str, Any]] = json.loads(reply)["choices"]
    return [(choice["message"]["content"], choice["finish_reason"]) for choice in choices]


async def ask_again(server: VllmServer, request: bytes) -> bytes:
    """Send a recorded request once more, byte for byte."""
    async with httpx.AsyncClient(trust_env=False, timeout=300) as http:
        reply = await http.post(
            f"{server.url}/v1/chat/completions", content=request, headers={"Content-Type": "application/json"}
        )
    assert reply.status_code == 200
    return reply.content
