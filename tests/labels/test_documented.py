"""What the README says of labels is so: its Parameters are read, its columns and members are those there are."""

from __future__ import annotations

import json
import re

from arbiter.labels.csv_file import ASPECTS, NEEDED, OPTIONAL
from arbiter.labels.provenance import KINDS
from arbiter.labels.reading import Format
from tests.labels.hospital import as_bundle, imported, json_lines, patients
from tests.pages import FENCE, README, text_of

SECTION = re.split(r"^## ", text_of(README), flags=re.MULTILINE)
LABELS = next(section for section in SECTION if section.startswith("Labels\n"))


def test_the_parameters_that_the_readme_shows_are_read() -> None:
    (shown,) = [json.loads(found["body"]) for found in FENCE.finditer(LABELS) if found["language"] == "json"]
    bundle = as_bundle(patients(12)[0])
    bundle["entry"][-1] = {"resource": shown}
    (case,) = imported(Format.FHIR, json_lines([bundle])).cases
    assert (case.id, case.label, case.risk_class) == ("ward-7-0412", "urgent-review", "urgent")
    assert case.provenance == "outcome; register of intensive care; 2026-03-02"


def test_every_column_and_kind_is_named() -> None:
    named = set(re.findall(r"`([^`]+)`", FENCE.sub("", LABELS)))
    assert named >= {*NEEDED, *OPTIONAL, *(f"NAME.{aspect}" for aspect in ASPECTS), *KINDS}
