"""What `arbiter doctor` says about the duty file, and that commands which call nobody say nothing of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arbiter.cli.doctor.duty_checks import duty
from arbiter.cli.doctor.findings import Finding
from arbiter.cli.failing import Status
from arbiter.settings import Mode, Settings
from tests.cli.conftest import run_process
from tests.duty.small import DUTY, spoiled
from tests.panels.model_bundles import protocol_text, write_bundle
from tests.system.service import Service

SHIPPED = "[anticoagulation-clinic, critical-care-outreach, preoperative-assessment]"
WHOLE = spoiled("[critical-care-outreach]", SHIPPED)
MAIL = {"mail_server": "smtp://mail.hospital.example", "mail_from": "arbiter@hospital.example"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "duty.yaml"


def looked(file: Path | None, **more: object) -> dict[str, Finding]:
    settings = Settings(data=Path("data"), duty=file, **more)  # type: ignore[arg-type] # what each test sets
    return {finding.check: finding for finding in duty(settings)}


def states(found: dict[str, Finding]) -> dict[str, str]:
    assert all(bool(finding.advice) is (finding.state != "ok") for finding in found.values())
    return {name.removeprefix("duty "): finding.state for name, finding in found.items()}


def test_a_whole_file_passes(file: Path) -> None:
    file.write_bytes(WHOLE)
    assert states(looked(file, **MAIL)) == {"file": "ok", "ladders": "ok", "mail": "ok", "rotas": "ok"}


def test_one_group_is_one_group(file: Path) -> None:
    one = WHOLE.decode().replace("      - group: registrar\n", "      - group: outreach\n")
    before, _, after = one.partition("  - id: registrar\n")
    file.write_text(before + after[after.index("ladders:") :])
    assert looked(file, **MAIL)["duty file"].found == "1 group can be called"
    file.write_bytes(WHOLE)
    assert looked(file, **MAIL)["duty file"].found == "2 groups can be called"


@pytest.mark.parametrize(("mode", "state"), [(Mode.PRODUCTION, "warn"), (Mode.DEMONSTRATION, "ok")])
def test_no_file_is_told_and_is_worth_a_warning_in_production(mode: Mode, state: str) -> None:
    assert states(looked(None, mode=mode)) == {"file": state}


def test_a_file_that_is_not_there_is_told(file: Path) -> None:
    found = looked(file, **MAIL)
    assert states(found) == {"file": "fail"}
    assert "cannot be read" in found["duty file"].found


def test_a_file_with_mistakes_is_told_with_the_places_of_the_first(file: Path) -> None:
    file.write_bytes(WHOLE.replace(b"[mon, tue, wed, thu]", b"[mon, noday]").replace(b"title:", b"titel:"))
    found = looked(file, **MAIL)
    assert states(found) == {"file": "fail"}
    assert found["duty file"].found.count("duty.yaml:") == 3
    assert found["duty file"].found.endswith("more")


def test_a_ladder_that_climbs_to_a_group_that_is_not_there_is_told(file: Path) -> None:
    file.write_bytes(WHOLE.replace(b"- id: registrar", b"- id: registrars"))
    found = looked(file, **MAIL)
    assert states(found) == {"file": "fail"}
    assert "registrar" in found["duty file"].found


def test_a_shipped_protocols_group_without_a_ladder_is_told(file: Path) -> None:
    file.write_bytes(DUTY)
    found = looked(file, **MAIL)
    assert states(found) == {"file": "ok", "ladders": "fail", "mail": "ok", "rotas": "ok"}
    assert "preoperative-assessment (protocol " in found["duty ladders"].found
    assert "critical-care-outreach" not in found["duty ladders"].found


def test_an_own_protocols_group_without_a_ladder_is_told(file: Path, tmp_path: Path) -> None:
    file.write_bytes(WHOLE)
    text = protocol_text("mine").replace("duty_group: ", "duty_group: night-")
    write_bundle(tmp_path / "own" / "mine", text)
    found = looked(file, protocols=tmp_path / "own", **MAIL)
    assert states(found)["ladders"] == "fail"
    assert "night-" in found["duty ladders"].found
    assert "(protocol mine)" in found["duty ladders"].found


def test_own_protocols_that_cannot_be_read_leave_the_ladders_unsure(file: Path, tmp_path: Path) -> None:
    file.write_bytes(WHOLE)
    found = looked(file, protocols=tmp_path / "nothing", **MAIL)
    assert states(found) == {"file": "ok", "ladders": "fail", "mail": "ok", "rotas": "ok"}
    assert "ARBITER_PROTOCOLS" in found["duty ladders"].advice


def test_mail_without_a_server_is_told_and_webhooks_need_none(file: Path) -> None:
    file.write_bytes(WHOLE)
    found = looked(file)
    assert states(found)["mail"] == "fail"
    assert "outreach, registrar" in found["duty mail"].found
    text = WHOLE.decode()
    for line in text.splitlines():
        if "mail: " in line:
            text = text.replace(line, line.split("mail:")[0] + "webhook: we_bbbbbbbbbbbbbbbb")
    file.write_text(text)
    assert states(looked(file)) == {"file": "ok", "ladders": "ok", "mail": "ok", "rotas": "ok"}


# --- as processes -------------------------------------------------------------------------------------------------


def test_doctor_alone_of_the_commands_that_only_look_speaks_of_the_duty_file(service: Service) -> None:
    production = {"ARBITER_MODE": "production"}
    told = run_process(service.data, production, "sites", "list")
    assert (told.returncode, told.stderr) == (Status.DONE, "")
    found = json.loads(run_process(service.data, production, "doctor", "--json").stdout)
    (file,) = [finding for finding in found if finding["check"] == "duty file"]
    assert file["state"] == "warn"
    assert "ARBITER_DUTY" in file["found"]


def test_mail_without_a_server_stops_the_processes_that_call_and_no_other_command(
    service: Service, file: Path
) -> None:
    """The order in which an endpoint gets into the file: the group with mail first, then its webhook."""
    file.write_bytes(WHOLE)
    set_up = {"ARBITER_DUTY": str(file)}
    url = "https://pager.hospital.example/before-mail"
    added = run_process(service.data, set_up, "webhooks", "add", url, "--group", "outreach")
    assert added.returncode == Status.DONE, added.stderr
    for command in (("sites", "list"), ("clients", "list"), ("users", "list"), ("audit", "verify")):
        done = run_process(service.data, set_up, *command)
        assert done.returncode == Status.DONE, done.stderr
    for process in ("serve", "worker", "demo"):
        refused = run_process(service.data, set_up, process)
        assert refused.returncode == Status.FAILED, process
        assert "ARBITER_MAIL_SERVER is not set, and mail is to call outreach, registrar" in refused.stderr


def test_a_spoiled_duty_file_stops_every_command(service: Service, file: Path) -> None:
    for text in (WHOLE.replace(b"from: 08:00", b"from: 8"), DUTY):
        file.write_bytes(text)
        refused = run_process(service.data, {"ARBITER_DUTY": str(file)}, "sites", "list")
        assert (refused.returncode, refused.stdout) == (Status.FAILED, "")


def test_gaps_and_overlaps_of_a_rota_are_told(file: Path) -> None:
    file.write_bytes(WHOLE.replace(b"to: 20:00", b"to: 20:30"))
    said = looked(file, **MAIL)["duty rotas"].found
    assert "1 group by a rota" in said
    assert "outreach has a gap from mon 00:00, which goes to pager" in said
    assert "outreach has two shifts at once from mon 20:00" in said
