"""Whole cases before panels of scores and failing models: each ends in time, in the right state, with all that was sent kept."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from arbiter.audit.entry import Entry, commit
from arbiter.documents.canonical import decode
from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import Phase
from arbiter.model import MemberStatus, Opinion
from arbiter.store.database import Database
from arbiter.store.log.chains import load_entries
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.dossier import Dossier, load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from tests.houses import a_client, a_house, settle, settled, submission
from tests.panels.misbehaving_server import VERSION
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.panels.model_servers import refusing_url
from tests.workflow.modelled import settings_with

VALID, INVALID = MemberStatus.VALID, MemberStatus.INVALID
DOWN, TIMED_OUT = MemberStatus.DOWN, MemberStatus.TIMED_OUT
PANEL = timedelta(seconds=2)

# (protocol, how the case ends, for each of three models: its behaviour and the state it must end in)
ROWS: dict[str, tuple[Phase, dict[str, MemberStatus]]] = {
    "all-is-well": (Phase.RELEASED, {"good": VALID, "half-sound": VALID, "float-confidence": VALID}),
    "nobody-there": (Phase.ESCALATED, {"refused": DOWN, "black-hole": TIMED_OUT, "reset": DOWN}),
    "nonsense": (Phase.ESCALATED, {"wrong-schema": INVALID, "wrong-option": INVALID, "huge": INVALID}),
    "worn-out": (Phase.ESCALATED, {"drip": TIMED_OUT, "status-500": DOWN, "ungrounded": INVALID}),
    "half-there": (Phase.ESCALATED, {"good": VALID, "invalid-utf-8": INVALID, "status-429": DOWN}),
}


@dataclass(frozen=True)
class Ward:
    """A house with the protocols of `ROWS` in force, and who hands cases in."""

    house: House
    client: Principal
    checkpoint: Path


@pytest_asyncio.fixture
async def ward(database: Database, tmp_path: Path, url: str) -> AsyncIterator[Ward]:
    for name, (_, models) in ROWS.items():
        seats = (seat(f"model-{at}", does, _server(does)) for at, does in enumerate(models))
        write_bundle(tmp_path / "protocols" / name, protocol_text(name, *seats))
    async with a_house(
        tmp_path, database, settings=settings_with(tmp_path, url, gone=refusing_url())
    ) as house:
        client, _ = await a_client(house)
        yield Ward(house, client, tmp_path / "checkpoint")


def _server(does: str) -> str:
    return "gone" if does == "refused" else "gpu-a"


async def asked_under(ward: Ward, protocol: str) -> tuple[Phase, Dossier]:
    case = replace(submission(ward.house.clock.now()), protocol=protocol)
    submitted = await submit(ward.house, ward.client, case, f"key-{protocol}", b"body")
    view = await settled(ward.house, ward.client, submitted.case)
    async with ward.house.store.read() as transaction:
        return view.phase, await load_dossier(ward.house, transaction, submitted.case)


def concluded_after(dossier: Dossier) -> timedelta:
    told = json.loads(dossier.latest("certificate").content)["concluded_at"]
    return datetime.fromisoformat(told) - dossier.taken_facts().taken_at


def by_model(dossier: Dossier) -> dict[str, Opinion]:
    return {
        opinion.identity.name: opinion for opinion in dossier.opinions() if opinion.identity.kind == "vllm"
    }


def exchanges(dossier: Dossier) -> dict[str, dict[str, Any]]:
    """Each sealed exchange by the model its request names."""
    found = {}
    for document in dossier.documents:
        if document.name == "exchange":
            opened = decode(document.content)
            found[json.loads(base64.b64decode(opened["request"]))["model"]] = opened
    return found


async def test_every_case_ends_in_time_and_each_member_in_its_own_state(ward: Ward) -> None:
    ended = await asyncio.gather(*(asked_under(ward, name) for name in ROWS))
    for (phase, dossier), (name, (expected, models)) in zip(ended, ROWS.items(), strict=True):
        assert phase is expected, (name, dossier.latest("certificate").content.decode())
        # The panel's time, and a moment to weigh what came of it.
        assert concluded_after(dossier) < 1.2 * PANEL, name
        assert {does: opinion.status for does, opinion in by_model(dossier).items()} == models
        assert len(dossier.opinions()) == 8
        assert exchanges(dossier).keys() == models.keys()
        async with ward.house.store.read() as transaction:
            entries = {
                entry.seq: dict(entry.commits)
                for entry in (
                    Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, dossier.row.id)
                )
            }
        for document in dossier.documents:
            assert entries[document.seq][document.name] == commit(
                document.name, document.salt, document.content
            )
        assert all(step.same for step in await replay_case(ward.house, dossier.row.id)), name
    await settle(ward.house)
    assert (await verify_log(ward.house, ward.checkpoint.read_bytes())).chains == len(ROWS)


async def test_what_was_sent_and_what_came_opens_again_byte_for_byte(ward: Ward) -> None:
    _, dossier = await asked_under(ward, "worn-out")
    kept = exchanges(dossier)
    assert base64.b64decode(kept["status-500"]["reply"]) == b'{"error": {"message": "as asked"}}'
    assert kept["status-500"]["status"] == 500
    assert kept["drip"]["ending"] == "out-of-time"
    dripped = base64.b64decode(kept["drip"]["reply"])
    assert b'{"id": "'.startswith(dripped[:8])
    assert 1 <= len(dripped) == kept["drip"]["reply_bytes"] < 20
    assert json.loads(base64.b64decode(kept["ungrounded"]["reply"]))["model"] == "ungrounded"


async def test_the_certificate_says_which_model_answered(ward: Ward) -> None:
    _, dossier = await asked_under(ward, "all-is-well")
    document = json.loads(dossier.latest("certificate").content)
    (told,) = [seat for seat in document["opinions"] if seat["member"] == "model-0"]
    assert (told["votes"], told["samples"]) == ({"continue-monitoring": 3}, 3)
    identity = told["identity"]
    assert (identity["kind"], identity["name"], identity["version"]) == ("vllm", "good", "r1")
    assert identity["details"]["engine"] == f"vllm {VERSION}"
    assert identity["details"]["weights_sha256"] == "ab" * 32
    assert identity["details"]["samples"] == "3"
