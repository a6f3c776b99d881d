"""`arbiter oversight` by command: every figure by name, times too, and what nobody can have meant is refused."""

from __future__ import annotations

import json
import subprocess

import pytest

from arbiter.cli.failing import Status
from tests.cli.conftest import run_process
from tests.system.service import Service


def run(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_process(service.data, {}, "oversight", *arguments)


def test_every_figure_has_its_row_and_of_too_few_nothing_is_told(service: Service) -> None:
    done = run(service, "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["measure"]: row for row in json.loads(done.stdout)}
    for measure in ("escalated", "override", "over_reliance", "taken p50 emergency", "signed p95 routine"):
        assert set(rows[measure].values()) == {measure, None}
    assert [*rows["override"]] == ["measure", "part", "of", "share", "low", "high", "seconds"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--protocol", "nonsense"), "no protocol of that id is in force"),
        (("--site", "nonsense"), "no site nonsense"),
        (("--from", "9999-12-31", "--to", "9999-12-31"), "expected days from 1970-01-02 to 9998-12-31"),
        (("--from", "0001-01-01", "--to", "0001-01-01"), "expected days from 1970-01-02 to 9998-12-31"),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "do not follow each other"),
        (("--from", "yesterday"), "expected a day such as 2026-03-01, came yesterday"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    service: Service, arguments: tuple[str, ...], says: str
) -> None:
    refused = run(service, *arguments)
    assert refused.returncode in {Status.FAILED, Status.USAGE}
    assert says in " ".join(refused.stderr.split())
    assert refused.stdout == ""
    assert "Traceback" not in refused.stderr
