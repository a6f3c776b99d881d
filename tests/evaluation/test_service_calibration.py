"""Which calibration the service's figures rest on is named, with what that leaves out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from arbiter.evaluation.cases import Cases, read_cases
from arbiter.evaluation.document import document_of
from arbiter.evaluation.figures.report import Report
from arbiter.evaluation.page import render
from arbiter.evaluation.reporting import report_of, service_calibration
from arbiter.protocols.loader import load_bundle, read_shipped
from arbiter.question import Strategy
from arbiter.workflow.shelf import shelve
from tests.evaluation.small import NOW, heard, invented, shelved, write

CALIBRATION = "calibration.json"


@pytest.fixture
def cases(tmp_path: Path) -> Cases:
    path = write(tmp_path / "c.jsonl", invented("deterioration", 3))
    return read_cases(path, shelved("deterioration").protocol.question)


def test_the_bundles_calibration_is_named_in_summary_json_and_page(ward: Report) -> None:
    own = read_shipped("deterioration").calibration
    assert own is not None
    assert document_of(ward)["provenance"]["calibration"] == {
        "content_hash": own.content_hash,
        "why_none": None,
        "synthetic": True,
        "of_these_cases": False,
    }
    page = render(ward)
    assert f"<code>{own.content_hash}</code>" in page
    (told,) = [each for each in ward.summary if "decided by the calibration in the bundle" in each]
    assert own.content_hash[:16] in told
    assert "Which calibrations persons approved, and the mode of an installation, are not considered" in told
    assert "these very cases" not in page


def test_a_calibration_made_of_these_cases_is_warned_of(tmp_path: Path) -> None:
    cases, own = heard("deterioration", invented("deterioration", 400), tmp_path)
    panel = shelved("deterioration")
    calibration = panel.bundle.calibration
    assert calibration is not None
    labels = dataclasses.replace(calibration.labels, cases_hash=cases.sha256)
    bundle = dataclasses.replace(panel.bundle, calibration=dataclasses.replace(calibration, labels=labels))
    report = report_of(dataclasses.replace(panel, bundle=bundle), cases, "c.jsonl", own, NOW)
    assert report.provenance.calibration.of_these_cases
    assert any("It was made of these very cases" in each for each in report.summary)
    assert "The service's calibration was made of these very cases." in render(report)


def test_without_one_it_says_that_nothing_is_decided_alone_and_why(cases: Cases) -> None:
    files = dict(read_shipped("deterioration").files)
    del files[CALIBRATION]
    found = service_calibration(shelve(load_bundle(files)), cases)
    assert found.content_hash is None
    assert found.why_none == "the bundle has no calibration.json, so nothing is decided alone"


def test_one_of_another_version_is_none(cases: Cases) -> None:
    files = dict(read_shipped("deterioration").files)
    files["protocol.yaml"] += b"\n# another content\n"
    found = service_calibration(shelve(load_bundle(files)), cases)
    assert found.content_hash is None
    assert "is for another version of the protocol, so nothing is decided alone" in (found.why_none or "")


def test_a_strategy_that_reads_none_names_none_though_the_bundle_has_one(cases: Cases) -> None:
    panel = shelved("deterioration")
    settings = dataclasses.replace(panel.protocol.adjudication, strategy=Strategy.MAJORITY)
    protocol = dataclasses.replace(panel.protocol, adjudication=settings)
    bundle = dataclasses.replace(panel.bundle, protocol=protocol)
    found = service_calibration(dataclasses.replace(panel, bundle=bundle), cases)
    assert (found.content_hash, found.why_none) == (
        None,
        "the protocol decides by majority, which reads none",
    )


def test_a_panel_that_only_advises_decides_by_nothing(theatre: Report) -> None:
    assert theatre.provenance.calibration.content_hash is None
    assert "nobody on this panel votes on the question" in render(theatre)
