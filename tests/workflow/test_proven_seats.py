"""A production house asks a model only where it is proven; while none is, every case still reaches a human."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from arbiter.api.app import create_app
from arbiter.fleet.finding import Level
from arbiter.fleet.seats import Standing
from arbiter.fleet.weights import Hasher, weights_sha256
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, MemberStatus, Opinion
from arbiter.protocols.bundle import EXAMPLES_FILE
from arbiter.settings import Mode, Settings
from arbiter.store.canaries import RunKind
from arbiter.store.database import Database
from arbiter.telemetry.metrics import FLEET_SILENT_SEATS
from arbiter.workflow import fleet_proving
from arbiter.workflow.canary.asked_for import run_now
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.fleet_proving import LONGEST_PAUSE_SECONDS, Prover, proving
from arbiter.workflow.fleet_watch import Watch, look_at_fleet
from arbiter.workflow.gauges import gauges
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.reproducing import reproduce_case
from tests.fleet.files import fleet_file
from tests.fleet.specs import a_model, an_adapter
from tests.fleet.stand_in import StandIn, a_stand_in
from tests.houses import PASSWORD, SITE, a_client, a_house, settled, submission
from tests.panels.model_bundles import protocol_text, seat, shipped_text, write_bundle
from tests.system.service import until

CHAT = "/v1/chat/completions"
WRONG = "withheld: the weights are not those that the protocol states"


@dataclass
class Ward:
    """A production house with one model behind two stand-ins, whose real replies are nonsense."""

    house: House
    client: Principal
    replicas: list[StandIn]
    adapter: Path
    number: int = 0

    async def hand_in(self) -> CaseId:
        self.number += 1
        case = replace(submission(self.house.clock.now()), protocol="with-a-model")
        return (await submit(self.house, self.client, case, f"key-{self.number}", b"body")).case

    async def opinion(self) -> tuple[Phase, Opinion]:
        """Hand a case in and return where it ended and what became of the model."""
        case = await self.hand_in()
        view = await settled(self.house, self.client, case)
        async with self.house.store.read() as transaction:
            dossier = await load_dossier(self.house, transaction, case)
        (opinion,) = [found for found in dossier.opinions() if found.identity.kind == "vllm"]
        return view.phase, opinion

    def asked(self) -> int:
        """How many cases were put to the model: a probe's completion holds no case."""
        return sum(replica.seen["case"] for replica in self.replicas)

    def causes(self) -> set[str]:
        """Why the model is withheld, wherever it is."""
        protocol = self.house.shelf.current["with-a-model"].protocol
        (model,) = [seat.model for seat in protocol.seats if seat.model is not None]
        return set(self.house.fleet.proofs.withheld(self.house.fleet["gpu-a"].server, model).values())

    async def ready(self) -> tuple[int, dict[str, str]]:
        transport = httpx.ASGITransport(app=create_app(self.house))
        async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
            reply = await http.get("/readyz")
        return reply.status_code, {check["name"]: check["detail"] for check in reply.json()["checks"]}


@asynccontextmanager
async def a_ward(
    folder: Path,
    database: Database,
    spoil: Callable[[list[StandIn], Path], object],
    mode: Mode = Mode.PRODUCTION,
    *,
    running: bool = True,
) -> AsyncIterator[Ward]:
    model, adapter = a_model(folder / "model"), an_adapter(folder / "adapters" / "respiratory")
    weights = weights_sha256(model, adapter)
    text = seat("model", "respiratory").replace(
        '"' + "ab" * 32 + '"', f'"{weights}"\n      adapter: respiratory'
    )
    write_bundle(folder / "protocols" / "with-a-model", protocol_text("with-a-model", text, panel_seconds=5))
    made = [
        StandIn().adapters("respiratory", root=str(folder / "adapters"), base=str(model)) for _ in range(2)
    ]
    async with a_stand_in(made[0]) as first, a_stand_in(made[1]) as second:
        serve = {
            "build": "gpu",
            "python": "/opt/vllm/bin/python",
            "model": str(model),
            "adapters": {"respiratory": str(adapter)},
        }
        settings = Settings(
            data=folder / "data",
            mode=mode,
            workers=False,
            protocols=folder / "protocols",
            fleet=fleet_file(folder, {"gpu-a": [first.url, second.url]}, serve=serve),
        )
        spoil([first, second], adapter)
        async with a_house(folder / "data", database, settings=settings, running=running) as house:
            client, _ = await a_client(house)
            yield Ward(house, client, [first, second], adapter)


def plant(_: object, adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(b"planted")


async def test_a_proven_model_is_asked(tmp_path: Path, database: Database) -> None:
    async with a_ward(tmp_path, database, lambda *_: None) as ward:
        _, opinion = await ward.opinion()
        assert opinion.status is MemberStatus.INVALID, "the stand-in's reply is no answer"
        assert ward.asked() == 1
        assert (await ward.ready())[0] == 200


async def test_a_planted_adapter_is_never_asked_and_its_seat_is_down_with_that_cause(
    tmp_path: Path, database: Database
) -> None:
    async with a_ward(tmp_path, database, plant) as ward:
        phase, opinion = await ward.opinion()
        assert phase is Phase.ESCALATED
        assert (opinion.status, opinion.rationale) == (MemberStatus.DOWN, WRONG)
        assert ward.asked() == 0


async def test_who_watches_sees_a_withheld_seat_as_one_that_does_not_answer_and_why(
    tmp_path: Path, database: Database
) -> None:
    async with a_ward(tmp_path, database, plant) as ward:

        async def told() -> Watch | None:
            watch = await look_at_fleet(ward.house)
            return watch if watch.overview.servers else None

        watch = await until(told)
        read = {
            each.metric: each.value for each in await gauges(ward.house) if each.metric is FLEET_SILENT_SEATS
        }
    (line,) = watch.overview.seats
    assert (line.standing, line.answering, line.replicas) == (Standing.SILENT, 0, 2)
    said = [(finding.level, finding.what) for finding in watch.findings]
    assert said[0][0] is Level.ALARM
    for replica in ("gpu-a-1", "gpu-a-2"):
        assert (Level.WARNING, f"On gpu-a/{replica} respiratory is {WRONG}") in said
    assert read == {FLEET_SILENT_SEATS: 1}


async def test_the_readiness_that_anybody_may_read_does_not_tell_a_blind_reviewer_which_seats_are_proven(
    tmp_path: Path, database: Database
) -> None:
    async with a_ward(tmp_path / "sound", database, lambda *_: None) as ward:
        sound = (await ward.ready())[1]["fleet"]
        plant(None, ward.adapter)
        ward.house.fleet.proofs.wanted.set()

        async def withheld() -> bool:
            return not ward.house.fleet.proofs.all_proven

        await until(withheld)
        assert (await ward.ready())[1]["fleet"] == sound


async def test_what_is_put_right_is_asked_again(tmp_path: Path, database: Database) -> None:
    async with a_ward(tmp_path, database, plant) as ward:
        await ward.opinion()
        an_adapter(ward.adapter)

        async def proven() -> bool:
            return ward.house.fleet.proofs.all_proven

        await until(proven)
        _, opinion = await ward.opinion()
        assert opinion.status is MemberStatus.INVALID
        assert ward.asked() == 1


async def test_one_wrong_replica_is_passed_over_and_the_other_is_asked(
    tmp_path: Path, database: Database
) -> None:
    def spoil(replicas: list[StandIn], _: Path) -> None:
        replicas[0].speakers["respiratory"] = "another"

    async with a_ward(tmp_path, database, spoil) as ward:
        for _ in range(3):
            await ward.opinion()
        assert ward.replicas[0].seen["case"] == 0
        assert ward.replicas[1].seen["case"] > 0


async def test_a_model_that_turns_wrong_while_the_house_works_is_asked_no_more(
    tmp_path: Path, database: Database
) -> None:
    async with a_ward(tmp_path, database, lambda *_: None) as ward:
        plant(None, ward.adapter)
        ward.house.fleet.proofs.wanted.set()

        async def found() -> bool:
            return not ward.house.fleet.proofs.all_proven

        await until(found)
        _, opinion = await ward.opinion()
        assert (opinion.status, opinion.rationale) == (MemberStatus.DOWN, WRONG)
        assert ward.asked() == 0


async def test_a_lost_connection_brings_on_the_next_check_at_once(tmp_path: Path, database: Database) -> None:
    """A server that ended may come back as another; where all is proven, the next check would be half a minute away."""
    async with a_ward(tmp_path, database, lambda *_: None) as ward:
        for replica in ward.replicas:
            replica.faults[CHAT] = "break off"
        plant(None, ward.adapter)
        await ward.opinion()
        assert ward.asked() == 2, "two failures open no breaker"
        for replica in ward.replicas:
            replica.faults.clear()
        async with asyncio.timeout(LONGEST_PAUSE_SECONDS / 2):
            while WRONG not in ward.causes():  # noqa: ASYNC110 - what is waited for is standing work
                await asyncio.sleep(0.05)
        _, opinion = await ward.opinion()
        assert (opinion.status, opinion.rationale) == (MemberStatus.DOWN, WRONG)


async def test_who_is_only_busy_keeps_its_proof_and_who_failed_or_turned_wrong_does_not(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fleet_proving, "COMPLETION_SECONDS", 0.2)
    caplog.set_level("INFO", logger=fleet_proving.__name__)
    async with a_ward(tmp_path, database, lambda *_: None, running=False) as ward:
        prover = Prover(ward.house)

        async def causes(*faults: str) -> set[str]:
            for replica in ward.replicas:
                replica.faults = dict.fromkeys((CHAT,), faults[0]) if faults else {}
            caplog.clear()
            await prover.round()
            return ward.causes()

        assert await causes() == set()
        assert await causes("hang") == set()
        assert caplog.messages == []
        for replica in ("gpu-a-1", "gpu-a-2"):
            ward.house.fleet.proofs.doubt("gpu-a", replica)
        assert len(await causes("hang")) == 1
        assert await causes() == set()
        assert [line.rsplit(": ", 1)[1] for line in caplog.messages] == ["respiratory is proven"] * 2
        plant(None, ward.adapter)
        assert await causes("hang") == {WRONG}


@pytest.mark.parametrize("fault", ["break off", 500, 404])
async def test_a_fleet_that_is_down_keeps_no_case_from_a_human(
    tmp_path: Path, database: Database, fault: int | str
) -> None:
    def spoil(replicas: list[StandIn], _: Path) -> None:
        for replica in replicas:
            replica.faults["/v1/models"] = fault

    async with a_ward(tmp_path, database, spoil) as ward:
        status, checks = await ward.ready()
        assert status == 200, "a process that is taken out of service would take its humans with it"
        assert "fleet" in checks
        phase, opinion = await ward.opinion()
        assert phase is Phase.ESCALATED
        assert opinion.status is MemberStatus.DOWN
        assert opinion.rationale.startswith("withheld: ")


async def test_a_server_that_hangs_keeps_a_start_waiting_for_seconds_alone(
    tmp_path: Path, database: Database
) -> None:
    def spoil(replicas: list[StandIn], _: Path) -> None:
        for replica in replicas:
            replica.faults[CHAT] = "hang"

    async with asyncio.timeout(90), a_ward(tmp_path, database, spoil) as ward:
        phase, _ = await ward.opinion()
        assert phase is Phase.ESCALATED


async def test_a_demonstration_needs_no_proofs(tmp_path: Path, database: Database) -> None:
    async with a_ward(tmp_path, database, plant, Mode.DEMONSTRATION) as ward:
        await ward.opinion()
        assert ward.asked() == 1
        _, checks = await ward.ready()
        assert "fleet" not in checks


def with_examples(_: object, adapter: Path) -> None:
    folder = adapter.parent.parent / "protocols" / "with-a-model"
    (folder / EXAMPLES_FILE).write_text("".join(shipped_text(EXAMPLES_FILE).splitlines(keepends=True)[:4]))


async def test_a_command_that_asks_seats_proves_them_first(tmp_path: Path, database: Database) -> None:
    """`arbiter panel canary` and `arbiter panel reproduce` are processes of their own, beside the one that serves."""
    async with a_ward(tmp_path, database, with_examples, running=False) as ward:
        rows = {row.member: row for row in await run_now(ward.house, "with-a-model")}
        assert rows["model"].cause == "heard for the first time"
        assert ward.replicas[0].seen[CHAT] + ward.replicas[1].seen[CHAT] > 2


async def test_a_command_waits_for_its_first_proofs_as_long_as_the_weights_take_to_read(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start waits for seconds alone; a command would ask nobody, however often it is run."""
    monkeypatch.setattr(fleet_proving, "FIRST_ROUND_SECONDS", 0.05)
    read = Hasher.sha256

    def slowly(hasher: Hasher, model: Path, adapter: Path | None = None) -> str:
        time.sleep(0.2)
        return read(hasher, model, adapter)

    monkeypatch.setattr(Hasher, "sha256", slowly)
    async with a_ward(tmp_path, database, with_examples, running=False) as ward:
        rows = {row.member: row for row in await run_now(ward.house, "with-a-model")}
        assert rows["model"].cause == "heard for the first time"


async def test_a_command_checks_again_where_reading_the_weights_took_as_long_as_a_proof_holds(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_proving, "HOLDS_SECONDS", 0.0)
    async with a_ward(tmp_path, database, lambda *_: None, running=False) as ward, proving(ward.house):
        assert [replica.seen[CHAT] for replica in ward.replicas] == [2, 2]


async def test_a_command_asks_no_planted_adapter_either(tmp_path: Path, database: Database) -> None:
    def spoil(replicas: list[StandIn], adapter: Path) -> None:
        with_examples(replicas, adapter)
        plant(replicas, adapter)

    async with a_ward(tmp_path, database, spoil, running=False) as ward:
        rows = {row.member: row for row in await run_now(ward.house, "with-a-model")}
        assert (rows["model"].kind, rows["model"].cause) == (RunKind.NOT_ASKED, WRONG)


async def test_a_recorded_case_is_asked_again_by_a_command_in_production(
    tmp_path: Path, database: Database
) -> None:
    async with a_ward(tmp_path, database, lambda *_: None) as ward:
        case = await ward.hand_in()
        await settled(ward.house, ward.client, case)
        ada = await create_account(
            ward.house.identities, ward.house.clock, ward.house.chance, "ada", "Ada", PASSWORD,
            frozenset({Role.AUDITOR}), frozenset({SITE}),
        )  # fmt: skip
        async with a_house(
            tmp_path / "data", database, settings=ward.house.settings, running=False
        ) as command:
            (model,) = [each for each in await reproduce_case(command, ada, case) if each.kind == "vllm"]
        assert model.now is not None, model.cause
        assert ward.asked() == 2
