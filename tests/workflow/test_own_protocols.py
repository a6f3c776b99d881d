"""A deployment's own protocols and model servers: what starts, what is refused with advice, what stays readable later."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from arbiter.documents.canonical import decode
from arbiter.errors import ConfigurationError, InvalidProtocolError
from arbiter.lifecycle.events import Answer
from arbiter.lifecycle.states import Phase
from arbiter.model import ActorId, MemberStatus
from arbiter.protocols.loader import read_shipped, shipped
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.deliberation import take_up
from arbiter.workflow.docket import advance
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.reading import certificate
from tests.fleet.files import fleet_file
from tests.houses import a_client, a_house, settle, settled, submission
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.panels.model_servers import misbehaving, refusing_url
from tests.workflow.test_promises import DeadAfterIntake


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings(data=folder, mode=Mode.DEMONSTRATION, secure_cookies=False, workers=False, **changes)


async def in_force(folder: Path, database: Database, **changes: Any) -> dict[str, str]:
    """The content hash of each protocol in force."""
    async with a_house(folder, database, running=False, settings=settings(folder, **changes)) as house:
        return {name: shelved.protocol.content_hash for name, shelved in house.shelf.current.items()}


async def test_own_protocols_are_in_force_beside_the_shipped(database: Database, tmp_path: Path) -> None:
    own = tmp_path / "own"
    write_bundle(own / "one", protocol_text("ward-one"))
    write_bundle(own / ".git", "not a protocol")
    (own / "README.txt").write_text("not a folder")
    found = await in_force(tmp_path / "data", database, protocols=own)
    assert found.keys() == {*shipped(), "ward-one"}
    assert found["deterioration"] == read_shipped("deterioration").protocol.content_hash


async def test_an_own_protocol_replaces_the_shipped_one_of_its_id(database: Database, tmp_path: Path) -> None:
    write_bundle(tmp_path / "own" / "mine", protocol_text("deterioration", panel_seconds=7))
    found = await in_force(tmp_path / "data", database, protocols=tmp_path / "own")
    assert found.keys() == set(shipped())
    assert found["deterioration"] != read_shipped("deterioration").protocol.content_hash


async def test_a_folder_that_is_not_there_stops_the_start(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ARBITER_PROTOCOLS is .*nowhere, expected a folder"):
        await in_force(tmp_path / "data", database, protocols=tmp_path / "nowhere")


async def test_a_sub_folder_without_a_bundle_stops_the_start(database: Database, tmp_path: Path) -> None:
    (tmp_path / "own" / "empty").mkdir(parents=True)
    with pytest.raises(InvalidProtocolError, match=r"the protocol in .*own/empty"):
        await in_force(tmp_path / "data", database, protocols=tmp_path / "own")


async def test_a_malformed_bundle_stops_the_start_and_names_folder_and_line(
    database: Database, tmp_path: Path
) -> None:
    text = protocol_text("mine", seat("reader", "good")).replace("samples: 3", "samples: none")
    write_bundle(tmp_path / "own" / "mine", text)
    with pytest.raises(InvalidProtocolError, match=r"the protocol in .*own/mine") as caught:
        await in_force(tmp_path / "data", database, protocols=tmp_path / "own")
    (problem,) = caught.value.problems
    line = text[: text.index("samples: none")].count("\n") + 1
    assert problem.pointer.startswith(f"protocol.yaml:{line}:")


async def test_a_bundle_whose_own_rule_tests_fail_is_not_put_in_force(
    database: Database, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "own" / "mine", protocol_text("mine"))
    policy = (bundle / "policy.yaml").read_text()
    (bundle / "policy.yaml").write_text(policy.replace("hits: true", "hits: false", 1))
    with pytest.raises(InvalidProtocolError):
        await in_force(tmp_path / "data", database, protocols=tmp_path / "own")


async def test_two_bundles_of_one_id_stop_the_start(database: Database, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_bundle(tmp_path / "own" / name, protocol_text("mine"))
    with pytest.raises(ConfigurationError, match="are both the protocol 'mine'"):
        await in_force(tmp_path / "data", database, protocols=tmp_path / "own")


async def test_a_protocol_whose_server_is_not_known_stops_the_start_with_advice(
    database: Database, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "own" / "mine", protocol_text("mine", seat("reader", "good")))
    with pytest.raises(ConfigurationError, match=r"protocol mine, seat reader: .*add gpu-a with its replicas"):
        await in_force(tmp_path / "data", database, protocols=tmp_path / "own")


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff", b"a\x00b", b"x" * 5_000])
async def test_an_unfit_token_file_stops_the_start_and_is_not_shown(
    database: Database, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigurationError, match="ARBITER_MODEL_SERVER_TOKEN_FILE") as caught:
        await in_force(tmp_path / "data", database, model_server_token_file=tmp_path / "token")
    assert "two words" not in str(caught.value)


async def test_a_missing_token_file_stops_the_start(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ARBITER_MODEL_SERVER_TOKEN_FILE: .* cannot be read"):
        await in_force(tmp_path / "data", database, model_server_token_file=tmp_path / "token")


async def test_a_case_of_a_model_whose_server_has_gone_is_read_and_replayed(
    database: Database, tmp_path: Path
) -> None:
    """What was decided under a panel of models stays readable after the servers and the protocol are gone."""
    write_bundle(tmp_path / "own" / "mine", protocol_text("mine", seat("reader", "good")))
    data = tmp_path / "data"
    (tmp_path / "token").write_text("a-key-of-its-own\n")
    with misbehaving() as url:
        serving = settings(
            data,
            protocols=tmp_path / "own",
            fleet=fleet_file(tmp_path, {"gpu-a": url}),
            model_server_token_file=tmp_path / "token",
        )
        async with a_house(data, database, settings=serving) as house:
            client, _ = await a_client(house)
            new = replace(submission(house.clock.now()), protocol="mine")
            case = (await submit(house, client, new, "key-1", b"body")).case
            assert (await settled(house, client, case)).phase is Phase.RELEASED
            before = await certificate(house, client, case)
        seen = (await asyncio.to_thread(httpx.get, f"{url}/seen", trust_env=False)).json()
        assert seen["last"]["good"]["authorization"] == "Bearer a-key-of-its-own"
    async with a_house(data, database, settings=settings(data)) as house:
        assert house.shelf.current.keys() == set(shipped())
        assert await certificate(house, client, case) == before
        assert all(step.same for step in await replay_case(house, case))
        async with house.store.read() as transaction:
            dossier = await load_dossier(house, transaction, case)
        assert [document.name for document in dossier.documents].count("exchange") == 1
        told = json.loads(before)["opinions"]
        assert [seat["identity"]["name"] for seat in told if seat["member"] == "reader"] == ["good"]


async def test_a_case_left_by_a_deployment_that_knew_the_server_ends_with_its_model_down(
    database: Database, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "own" / "mine", protocol_text("mine", seat("reader", "good"), panel_seconds=240))
    data = tmp_path / "data"
    serving = settings(
        data, protocols=tmp_path / "own", fleet=fleet_file(tmp_path, {"gpu-a": refusing_url()})
    )
    async with a_house(data, database, settings=serving) as house:
        client, _ = await a_client(house)
        killed = replace(house, errands=DeadAfterIntake())
        new = replace(submission(house.clock.now()), protocol="mine")
        case = (await submit(killed, client, new, "key-1", b"body")).case
    async with a_house(data, database, settings=settings(data)) as house:
        await take_up(house, case, last_attempt=True)
        async with house.store.read() as transaction:
            dossier = await load_dossier(house, transaction, case)
        assert dossier.row.state.phase is Phase.ESCALATED
        (reader,) = [opinion for opinion in dossier.opinions() if opinion.member == "reader"]
        assert reader.status is MemberStatus.DOWN
        assert (reader.identity.name, reader.identity.version) == ("good", "r1")


# --- the document that an entry may commit to ---------------------------------------------------------------------


async def answered(house: House, documents: dict[str, bytes]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names that an opinion's entry commits to and that were sealed with it."""
    client, _ = await a_client(house)
    case = (await submit(house, client, submission(house.clock.now()), "key-1", b"body")).case
    async with house.store.read() as transaction:
        dossier = await load_dossier(house, transaction, case)
    asked = replace(dossier.docket.standing, phase=Phase.DELIBERATING, answered=())
    member = asked.seats[0]
    docket = advance(
        house,
        replace(dossier.docket, state=asked),
        Answer(member, MemberStatus.VALID, asked.facts_version),
        actor=ActorId(f"member:{member}"),
        now=house.clock.now(),
        key=dossier.key,
        documents=documents,
    )
    ((_, body),) = docket.entries
    return tuple(sorted(decode(body)["commits"])), tuple(name for _, name, _ in docket.documents)


async def test_an_opinion_commits_to_its_exchange_where_there_is_one(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database) as house:
        both = await answered(house, {"opinion": b"{}", "exchange": b"{}"})
        assert both == (("exchange", "opinion"), ("exchange", "opinion"))
        await settle(house)


async def test_an_opinion_without_an_exchange_commits_to_itself_alone(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database) as house:
        assert await answered(house, {"opinion": b"{}"}) == (("opinion",), ("opinion",))
        await settle(house)


@pytest.mark.parametrize(
    ("documents", "refusal"),
    [({"exchange": b"{}"}, KeyError), ({"opinion": b"{}", "signature": b"{}"}, ValueError)],
    ids=["no opinion", "left over"],
)
async def test_an_exchange_stands_for_no_opinion_and_nothing_else_may_come_along(
    database: Database, tmp_path: Path, documents: dict[str, bytes], refusal: type[Exception]
) -> None:
    async with a_house(tmp_path, database) as house:
        with pytest.raises(refusal):
            await answered(house, documents)
        await settle(house)
