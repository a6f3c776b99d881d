"""`arbiter calibrate` from the command line: what it certifies, what it will not, and the same bytes each time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from scipy.stats import beta

from arbiter.calibrating.looks import are_marks, share_cases
from arbiter.calibration import Calibration
from arbiter.cli.failing import Status
from arbiter.documents.calibrations import calibration_from
from arbiter.protocols.bundle import CALIBRATION_FILE, EXAMPLES_FILE, FHIR_FILE
from arbiter.protocols.loader import load_bundle, read_shipped
from arbiter.workflow.calibrations.fitness import misfits
from tests.cli.commands import invoked
from tests.evaluation.small import invented, write
from tests.panels.model_bundles import protocol_text, write_bundle

pytestmark = pytest.mark.usefixtures("no_settings")

LINES = invented("deterioration", 1_500)


def calibrate(*arguments: str) -> tuple[int, str, str]:
    return invoked("calibrate", *arguments)


def test_it_certifies_what_enough_cases_show_and_says_what_the_rest_would_take(tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", LINES)
    status, out, _ = calibrate("deterioration", "cases.jsonl", "--out", "out")
    assert status == Status.DONE
    made = calibration_from((tmp_path / "out" / CALIBRATION_FILE).read_bytes())
    shipped = read_shipped("deterioration").protocol
    assert (made.protocol_hash, made.labels.synthetic) == (shipped.content_hash, True)
    assert made.labels.cases_hash == hashlib.sha256((tmp_path / "cases.jsonl").read_bytes()).hexdigest()
    assert not misfits(made, shipped, demonstration=True)
    assert [problem.code for problem in misfits(made, shipped, demonstration=False)]
    urgent = made.stratum("urgent-review")
    assert urgent is not None
    assert urgent.certified is None, "some thirty cases, and 2 % takes 149 without an error"
    assert (
        "urgent-review: never decided without a clinician: 2% may be wrong, and no threshold is certified"
        in out
    )
    assert "urgent-review: to be certified it takes " in out
    assert "SYNTHETIC: " in out
    assert f"calibration.json: {made.content_hash}" in out


def test_the_same_cases_give_the_same_bytes_whether_asked_again_or_not(tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", LINES[:600])
    made = []
    for arguments in ([], [], ["--fresh", "--parallel", "1"]):
        assert calibrate("deterioration", "cases.jsonl", "--out", "out", *arguments)[0] == Status.DONE
        made.append((tmp_path / "out" / CALIBRATION_FILE).read_bytes())
    assert len(set(made)) == 1


def test_what_the_bundle_was_certified_by_before_changes_no_byte(tmp_path: Path) -> None:
    """Opinions are named by what was said, not by what an earlier calibration made of it."""
    write(tmp_path / "cases.jsonl", LINES[:600])
    files = read_shipped("deterioration").files
    made = []
    for folder, left_out in (("bare", {CALIBRATION_FILE}), ("certified", set())):
        (tmp_path / folder).mkdir()
        for name, content in files.items():
            if name not in left_out:
                (tmp_path / folder / name).write_bytes(content)
        assert calibrate(folder, "cases.jsonl", "--out", f"of-{folder}")[0] == Status.DONE
        made.append((tmp_path / f"of-{folder}" / CALIBRATION_FILE).read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("provenance", ["Chart review of Mrs Example", "x" * 50, "a1"])
def test_a_kind_of_label_that_could_name_somebody_is_refused(provenance: str, tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", [{**LINES[0], "provenance": provenance}, *LINES[1:600]])
    status, _, err = calibrate("deterioration", "cases.jsonl", "--out", "out")
    assert status == Status.FAILED
    assert "provenance" in err
    assert "Example" not in err


def test_json_says_it_to_scripts(tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", LINES[:600])
    status, out, _ = calibrate("deterioration", "cases.jsonl", "--out", "out", "--json")
    told = json.loads(out)
    content = (tmp_path / "out" / CALIBRATION_FILE).read_bytes()
    assert (status, told["calibration"]) == (Status.DONE, hashlib.sha256(content).hexdigest())
    assert set(told["options"]) == {"urgent-review", "continue-monitoring"}


def test_a_protocol_that_decides_otherwise_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", LINES[:200])
    write_bundle(tmp_path / "weighed", protocol_text("deterioration"))
    status, _, err = calibrate("weighed", "cases.jsonl", "--out", "out")
    assert status == Status.FAILED
    assert "decides by weighted, which reads no calibration" in err
    assert not (tmp_path / "out" / CALIBRATION_FILE).exists()


def test_a_panel_on_which_nobody_votes_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", invented("surgery-readiness", 100))
    status, _, err = calibrate("surgery-readiness", "cases.jsonl", "--out", "out")
    assert status == Status.FAILED
    assert "reads no calibration" in err


@pytest.mark.parametrize("number", [1, 12])
def test_too_few_cases_are_refused_with_what_to_do(number: int, tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", LINES[:number])
    status, _, err = calibrate("deterioration", "cases.jsonl", "--out", "out")
    assert status == Status.FAILED
    assert "give more labelled cases" in err


def test_a_calibration_of_another_version_counts_for_nothing_in_its_bundle() -> None:
    files = dict(read_shipped("deterioration").files)
    assert load_bundle(files).calibration is not None
    files["policy.yaml"] = files["policy.yaml"].replace(b"permit", b"permit ", 1)
    assert load_bundle(files).calibration is None


@pytest.mark.parametrize("spoilt", [b"", b"{}", b"not json"])
def test_a_bundle_with_a_calibration_that_cannot_be_read_is_refused_where_it_stands(spoilt: bytes) -> None:
    files = dict(read_shipped("deterioration").files) | {CALIBRATION_FILE: spoilt}
    with pytest.raises(Exception, match="problem") as refused:
        load_bundle({name: files[name] for name in files if name not in {EXAMPLES_FILE, FHIR_FILE}})
    assert refused.value.problems[0].pointer == f"{CALIBRATION_FILE}:1:1"  # type: ignore[attr-defined]


# --- looks at the same cases ----------------------------------------------------------------------------------------


def looked_at(folder: Path, *arguments: str) -> tuple[Calibration, str]:
    status, out, err = calibrate("deterioration", "cases.jsonl", "--out", "out", *arguments)
    assert status == Status.DONE, err
    return calibration_from((folder / "out" / CALIBRATION_FILE).read_bytes()), out


def test_each_look_is_certified_at_its_share_of_delta_and_says_so(tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", LINES)
    only, out = looked_at(tmp_path)
    assert (str(only.delta), "the only look at these cases: it spends all of delta, 0.05; " in out) == (
        "0.05",
        True,
    )
    second, out = looked_at(tmp_path, "--look", "2")
    assert str(second.delta) == "0.008333"
    assert "look 2 at these cases: it spends 0.008333 of delta, 0.05" in out
    for made in (only, second):
        tested = [level for stratum in made.strata for level in stratum.tested]
        assert tested
        for level in tested:
            exact = beta.ppf(1 - float(made.delta), level.errors + 1, level.accepted - level.errors)
            assert 0 <= float(level.bound) - exact < 1e-6, "its bounds hold at what it spends"
    assert not misfits(second, read_shipped("deterioration").protocol, demonstration=True)


@pytest.mark.parametrize("look", ["0", "-1", "101", "1.5", "first"])
def test_what_is_no_look_is_a_slip_of_the_command_line(look: str, tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", LINES[:600])
    status, _, err = calibrate("deterioration", "cases.jsonl", "--out", "out", "--look", look)
    assert status == Status.USAGE
    assert "--look" in err
    assert not (tmp_path / "out").exists()


def test_a_run_that_looks_at_the_same_cases_again_is_told_so_proposed_or_not(tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", LINES[:600])
    warned = "ANOTHER LOOK: what this folder held, {}, was certified on the same cases at 0.05; "
    first, out = looked_at(tmp_path)
    assert "ANOTHER LOOK" not in out
    assert "ANOTHER LOOK" not in looked_at(tmp_path)[1], "the same bytes are the same look"
    second, out = looked_at(tmp_path, "--look", "1")
    assert warned.format(first.content_hash) in out
    (tmp_path / "out" / CALIBRATION_FILE).write_bytes(b"{}")
    assert "ANOTHER LOOK" not in looked_at(tmp_path)[1]
    write(tmp_path / "cases.jsonl", LINES[600:1_200])
    assert "ANOTHER LOOK" not in looked_at(tmp_path)[1], "these are others"
    assert second.content_hash != first.content_hash


def test_real_cases_are_known_again_in_another_file_and_invented_ones_carry_no_marks(tmp_path: Path) -> None:
    """More cases, other labels and another order are still a look at the cases that were looked at."""
    real = [{**line, "provenance": "blind reader; of a round"} for line in LINES]
    write(tmp_path / "cases.jsonl", real[:700])
    first, _ = looked_at(tmp_path, "--look", "1")
    assert are_marks(first.labels.marks, first.labels.guarantee)
    write(
        tmp_path / "cases.jsonl",
        [*real[900:1_400], *({**line, "provenance": "outcome"} for line in real[600:700])],
    )
    grown, _ = looked_at(tmp_path, "--look", "2")
    assert grown.labels.cases_hash != first.labels.cases_hash
    assert share_cases(grown.labels, first.labels)
    write(tmp_path / "cases.jsonl", real[700:1_400])
    others, _ = looked_at(tmp_path)
    assert not share_cases(others.labels, first.labels)
    write(tmp_path / "cases.jsonl", LINES[:600])
    assert looked_at(tmp_path)[0].labels.marks == ()
