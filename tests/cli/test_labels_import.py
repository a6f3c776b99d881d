"""`arbiter labels import` from the command line: what it writes is evaluated and calibrated on, and what it is not asked to it leaves."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from arbiter.cli.failing import Status
from arbiter.documents.calibrations import calibration_from
from arbiter.evaluation.cases import read_cases
from arbiter.labels.reading import Format
from arbiter.protocols.bundle import CALIBRATION_FILE
from tests.cli.commands import invoked
from tests.cli.conftest import Arbiter
from tests.labels.hospital import NAMES, WRITERS, as_row, csv_of, deterioration, patients

pytestmark = pytest.mark.usefixtures("no_settings")

each_format = pytest.mark.parametrize("kind", list(Format))
ROWS = [as_row(case) for case in patients(12)]


def imported(*arguments: str) -> tuple[int, str, str]:
    return invoked("labels", "import", *arguments)


def ward(*rows: Mapping[str, str]) -> str:
    Path("ward.csv").write_text(csv_of(rows or ROWS), encoding="utf-8", newline="")
    return "ward.csv"


@each_format
def test_what_is_imported_is_evaluated_and_calibrated_on(kind: Format, tmp_path: Path) -> None:
    (tmp_path / NAMES[kind]).write_text(WRITERS[kind](patients(300)), encoding="utf-8", newline="")
    status, out, err = imported("deterioration", NAMES[kind], "--out", "cases.jsonl")
    assert (status, err) == (Status.DONE, "")
    assert "300 labelled cases" in out
    assert "from: blind opinion 100, independent reader 100, outcome 100" in out
    assert invoked("evaluate", "deterioration", "cases.jsonl", "--out", "out")[0] == Status.DONE
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["provenance"]["synthetic"] == 0
    assert invoked("calibrate", "deterioration", "cases.jsonl", "--out", "out")[0] == Status.DONE
    labels = calibration_from((tmp_path / "out" / CALIBRATION_FILE).read_bytes()).labels
    assert {name for name, _ in labels.provenance} == {"blind opinion", "independent reader", "outcome"}
    assert not labels.synthetic


def test_labels_that_are_invented_stay_so_in_the_calibration(tmp_path: Path) -> None:
    ward(*(as_row(case) | {"label.kind": "synthetic"} for case in patients(300)))
    status, _, err = imported("deterioration", "ward.csv", "--out", "cases.jsonl")
    assert status == Status.FAILED
    assert not (tmp_path / "cases.jsonl").exists()
    status, _, err = imported("deterioration", "ward.csv", "--out", "cases.jsonl", "--synthetic")
    assert status == Status.DONE
    assert "SYNTHETIC: a generator invented some of these labels" in err
    assert invoked("calibrate", "deterioration", "cases.jsonl", "--out", "out")[0] == Status.DONE
    assert calibration_from((tmp_path / "out" / CALIBRATION_FILE).read_bytes()).labels.synthetic


def test_a_decision_after_the_panel_is_refused_with_the_reason_and_nothing_is_written(
    arbiter: Arbiter, tmp_path: Path
) -> None:
    ward(ROWS[0], ROWS[1] | {"label.kind": "decision"})
    ended = arbiter("labels", "import", "deterioration", "ward.csv", "--out", "cases.jsonl")
    assert (ended.status, ended.out) == (Status.FAILED, "")
    assert "ward.csv:3:6: label.kind: expected one of outcome, independent reader, blind opinion" in ended.err
    assert "a decision taken after seeing the panel is no label" in ended.err
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == []


def test_nothing_of_a_patient_is_told_whatever_is_wrong(arbiter: Arbiter) -> None:
    marked = "Mrs-Example-4711"
    columns = [column for column in ROWS[0] if not column.startswith("subject")]
    ward(*(ROWS[0] | {"id": f"c{at}", column: marked} for at, column in enumerate(columns)))
    ended = arbiter("labels", "import", "deterioration", "ward.csv", "--check")
    assert ended.status == Status.FAILED
    assert marked not in ended.err + ended.out
    # Where a fact or a label comes from may be called anything.
    free = [column for column in columns if column.endswith(".source")]
    lines = {int(line.split(":")[1]) for line in ended.err.splitlines() if line.startswith("  ward.csv:")}
    assert lines == {at + 2 for at, column in enumerate(columns) if column not in free}


def test_the_file_is_for_its_owner_alone_and_reads_back(tmp_path: Path) -> None:
    assert imported("deterioration", ward(), "--out", "cases.jsonl")[0] == Status.DONE
    path = tmp_path / "cases.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(read_cases(path, deterioration().protocol.question).cases) == 12


def test_what_is_there_is_replaced_only_when_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text("mine\n")
    status, _, err = imported("deterioration", ward(), "--out", "cases.jsonl")
    assert (status, "cases.jsonl is there already" in err) == (Status.USAGE, True)
    assert (tmp_path / "cases.jsonl").read_text() == "mine\n"
    assert imported("deterioration", "ward.csv", "--out", "cases.jsonl", "--check")[0] == Status.DONE
    assert (tmp_path / "cases.jsonl").read_text() == "mine\n"
    assert imported("deterioration", "ward.csv", "--out", "cases.jsonl", "--force")[0] == Status.DONE
    assert (tmp_path / "cases.jsonl").read_text().startswith('{"id": "ward-0"')


def test_what_is_read_is_never_written_over(tmp_path: Path) -> None:
    before = Path(ward()).read_bytes()
    (tmp_path / "same.csv").symlink_to("ward.csv")
    for target in ("ward.csv", "./ward.csv", "same.csv"):
        status, _, err = imported("deterioration", "ward.csv", "--out", target, "--force")
        assert (status, "expected another file for --out" in err) == (Status.USAGE, True)
    assert Path("ward.csv").read_bytes() == before


def test_a_refused_file_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text("mine\n")
    ward(ROWS[0], ROWS[1] | {"label": "maybe"})
    assert imported("deterioration", "ward.csv", "--out", "cases.jsonl", "--force")[0] == Status.FAILED
    assert (tmp_path / "cases.jsonl").read_text() == "mine\n"


def test_checking_writes_nothing_and_says_so(tmp_path: Path) -> None:
    status, out, _ = imported("deterioration", ward(), "--check")
    assert status == Status.DONE
    assert "checked; nothing was written" in out
    assert [path.name for path in tmp_path.iterdir()] == ["ward.csv"]


def test_it_says_what_certificates_take_at_the_least() -> None:
    _, out, _ = imported("deterioration", ward(), "--check")
    # (1 - 0.02)^149 is the first power below 0.05, and (1 - 0.03)^99.
    assert (
        "to be certified it takes at least 149 held out that the panel decides so, none of them wrong" in out
    )
    assert (
        "to be certified it takes at least 99 held out that the panel decides so, none of them wrong" in out
    )


def test_cases_that_are_alike_or_of_one_patient_are_told() -> None:
    other = {"urgent-review": "continue-monitoring", "continue-monitoring": "urgent-review"}
    again = ROWS[0] | {"id": "again"}
    otherwise = ROWS[0] | {"id": "otherwise", "label": other[ROWS[0]["label"]]}
    _, _, err = imported("deterioration", ward(ROWS[0], again, otherwise), "--check")
    assert "1 with the facts of an earlier case and another label: ward.csv:4:1 as ward.csv:2:1" in err
    assert (
        "1 with the facts and the label of an earlier case; one patient twice counts as two: ward.csv:3:1"
        in err
    )
    assert "2 of a patient who has an earlier one here" in err


def test_json_says_it_to_scripts(tmp_path: Path) -> None:
    status, out, _ = imported("deterioration", ward(), "--out", "cases.jsonl", "--json")
    told: dict[str, Any] = json.loads(out)
    assert (status, told["cases"], sum(told["labels"].values())) == (Status.DONE, 12, 12)
    assert told["provenance"] == {"blind opinion": 4, "independent reader": 4, "outcome": 4}
    assert told["to_certify"]["urgent-review"]["least_held_out"] == 149
    assert told["written"] == "cases.jsonl"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ward.csv"], "expected --out FILE for the cases, or --check"),
        (["ward.dat", "--check"], "expected a name that ends in .csv"),
        (["ward.csv", "--check", "--subject-system", "urn:x"], "expected no --subject-system with csv"),
        (["ward.csv", "--check", "--format", "json", "--source", "x"], "expected no --source with json"),
        (["ward.csv", "--check", "--format", "fhir", "--observed-at-column", "x"], "expected no --observed-at-column with fhir"),
        (["ward.csv", "--check", "--format", "json", "--ignore-column", "x"], "expected no --ignore-column with json"),
        (["ward.csv", "--check", "--format", "xml"], "xml"),
        (["ward.csv", "--check", "--risk-class", "soon"], "soon"),
        (["ward.csv", "--check", "--kind", "outcome"], "No such option"),
    ],
)  # fmt: skip
def test_a_command_line_that_does_not_fit_is_told(arguments: list[str], said: str) -> None:
    Path("ward.dat").write_text(Path(ward()).read_text())
    status, _, err = imported("deterioration", *arguments)
    assert (status, said in err) == (Status.USAGE, True)


def test_a_protocol_that_is_none_and_a_file_that_is_not_there_are_told(arbiter: Arbiter) -> None:
    ward()
    assert arbiter("labels", "import", "nothing", "ward.csv", "--check").status == Status.USAGE
    ended = arbiter("labels", "import", "deterioration", "nowhere.csv", "--check")
    assert (ended.status, "nowhere.csv" in ended.err) == (Status.FAILED, True)
    ended = arbiter("labels", "import", "deterioration", "ward.csv", "--out", "nowhere/cases.jsonl")
    assert (ended.status, "expected a folder for it at nowhere" in ended.err) == (Status.USAGE, True)


def test_the_format_that_is_said_counts_and_not_the_name() -> None:
    Path("export.dat").write_text(Path(ward()).read_text(), newline="")
    assert imported("deterioration", "export.dat", "--format", "csv", "--check")[0] == Status.DONE
    assert imported("deterioration", "ward.csv", "--format", "json", "--check")[0] == Status.FAILED
