"""An export's row on the page of exports: its file is offered once it is there, and not before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from arbiter.store.exports import JobState
from arbiter.workflow.exports.jobs import ExportStanding
from clinician_ui.presenters.exports import export_rows
from clinician_ui.presenters.times import Here


@pytest.mark.parametrize("state", JobState)
def test_a_file_is_offered_only_when_it_is_done(state: JobState) -> None:
    made = datetime(2026, 3, 1, 12, tzinfo=UTC)
    standing = ExportStanding(
        id="e_" + "a" * 24,
        state=state,
        done=0,
        total=0,
        payloads=False,
        size=None,
        sha256=None,
        fault=None,
        created_at=made,
        finished_at=None,
        expires_at=None,
    )
    (row,) = export_rows([standing], Here(made, {}, UTC))
    assert row.ready is (state is JobState.DONE)
