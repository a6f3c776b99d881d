"""`arbiter serve` and `arbiter witness serve` as an operator and somebody else run them: processes, sockets, kills."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from arbiter.audit.checkpoint import open_checkpoint
from arbiter.audit.note import open_note, parse_keys
from arbiter.witness.witness import Witness
from tests.system.service import Service, a_service, case_body, until
from tests.witness.processes import WitnessProcess, a_witness
from tests.workflow.circles import Someone, write_file


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with a_service() as made:
        yield made


@pytest.fixture(scope="module")
def witnesses(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Someone]]:
    log_key, *_ = parse_keys(service.arbiter("keys", "show").stdout)
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    with (
        a_witness(one, "witness.university.example/w", log_key) as (first, first_key),
        a_witness(two, "witness.regulator.example/w", log_key) as (second, second_key),
    ):
        yield [
            Someone("university", first_key, first.url, first),
            Someone("regulator", second_key, second.url, second),
        ]


def process_of(witness: Someone) -> WitnessProcess:
    assert witness.process is not None
    return witness.process


async def posted(service: Service, key: str) -> dict[str, object]:
    async with service.door() as door:
        reply = await door.post(
            "/v1/cases",
            json=case_body(f"made-up-{key}"),
            headers={"Idempotency-Key": key, "Prefer": "wait=10"},
        )
    assert reply.status_code in {201, 202}, reply.text
    return dict(reply.json())


def standings(service: Service, file: Path) -> dict[str, dict[str, object]]:
    told = service.arbiter_with({"ARBITER_WITNESSES": str(file)}, "audit", "witnesses", "--json")
    assert told.returncode == 0, told.stderr
    return {row["name"]: row for row in json.loads(told.stdout)}


@pytest.mark.timeout(300)
async def test_a_service_with_witnesses_from_start_to_kill(
    service: Service, witnesses: list[Someone], tmp_path: Path
) -> None:
    file = write_file(tmp_path / "witnesses.yaml", witnesses, {"urgent": 2})
    service.variables["ARBITER_WITNESSES"] = str(file)
    service.start()
    published = service.arbiter("keys", "show").stdout
    log_keys = parse_keys(published)
    keys = [witness.key for witness in witnesses]

    case = await posted(service, "one")
    assert (case["phase"], case["unwitnessed"]) == ("released", False)
    async with service.door() as door:
        reply = await door.get(f"/v1/cases/{case['id']}/receipt")
        assert "arbiter-unwitnessed" not in reply.headers
        (tmp_path / "receipt.json").write_bytes(reply.content)
        note = (await door.get("/v1/audit/checkpoint")).content
        open_checkpoint(note, log_keys)

    def verify(*more: str) -> tuple[int, str]:
        base = ("audit", "verify-receipt", str(tmp_path / "receipt.json"), "--key", published)
        done = service.arbiter(*base, *more)
        return done.returncode, done.stdout + done.stderr

    both = ("--witness", keys[0].encode(), "--witness", keys[1].encode())
    code, said = verify(*both, "--quorum", "2")
    assert code == 0, said
    assert said.count("cosigned by witness.") == 2
    named = {witness["name"] for witness in json.loads(verify(*both, "--json")[1])["witnesses"]}
    assert named == {key.name for key in keys}
    assert verify("--quorum", "2")[0] == 2
    assert verify(*both, "--quorum", "3")[0] == 1
    assert verify("--witness", log_keys[0].encode())[0] == 1

    # One is killed: it is told, and nothing of that class is released by the panel any more.
    process_of(witnesses[1]).kill()
    case = await posted(service, "two")
    assert (case["phase"], case["decided_by"]) == ("decided", None)

    async def told() -> bool:
        async with service.door() as door:
            checks = (await door.get("/readyz")).json()["checks"]
        words = next(check["detail"] for check in checks if check["name"] == "witnesses")
        return "regulator: ConnectError, behind since" in words and "panels' decisions wait" in words

    await until(told)
    rows = standings(service, file)
    assert rows["regulator"]["fault"] == "ConnectError"
    assert rows["regulator"]["behind_since"] is not None
    assert rows["university"]["fault"] is None
    found = {
        finding["check"]: finding["state"]
        for finding in json.loads(
            service.arbiter_with({"ARBITER_WITNESSES": str(file)}, "doctor", "--json").stdout
        )
    }
    assert (found["witnesses file"], found["witness university"], found["witness regulator"]) == (
        "ok",
        "ok",
        "warn",
    )

    # It comes back, the service is killed in between, and what waited is released.
    service.kill()
    process_of(witnesses[1]).start()
    service.start()

    async def released() -> bool:
        async with service.door() as door:
            return bool((await door.get(f"/v1/cases/{case['id']}")).json()["phase"] == "released")

    await until(released)
    assert service.arbiter("audit", "verify").returncode == 0
    opened = open_note(note_of(witnesses[0]), [*log_keys, *keys])
    assert {signature.key for signature in opened.verified} >= {log_keys[0], keys[0]}
    assert service.stop() == 0


def note_of(witness: Someone) -> bytes:
    note = Witness.open(process_of(witness).folder).store.logs()[0].note
    assert note is not None
    return note


def test_a_malformed_file_of_witnesses_stops_the_start(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "witnesses.yaml"
    file.write_text("witnesses: []\nquorum: {routine: 0, urgent: 0, emergency: 0}\n")
    for content in (file.read_text(), "quorum: {routine: 1}\n"):
        file.write_text(content)
        refused = service.arbiter_with({"ARBITER_WITNESSES": str(file)}, "audit", "witnesses")
        assert refused.returncode == 1
        assert "the file of witnesses has" in refused.stderr
    told = service.arbiter_with({"ARBITER_WITNESSES": str(tmp_path / "none.yaml")}, "audit", "witnesses")
    assert (told.returncode, "cannot be read" in told.stderr) == (1, True)
