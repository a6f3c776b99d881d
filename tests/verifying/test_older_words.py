"""A house whose cases were concluded in older words: replayed, exported and verified where nothing of Arbiter is."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from arbiter.adjudication.certifying import Circumstances
from arbiter.audit.export.layout import PAYLOADS_FOLDER
from arbiter.audit.export.manifest import Selection
from arbiter.identity.roles import Role
from arbiter.store.database import Database
from arbiter.workflow import certifying
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.intake import submit
from tests.exports import an_auditor, exported, furnish
from tests.houses import a_client, a_house, submission
from tests.verifying.bare import Bare


async def test_cases_of_before_and_of_today_are_replayed_exported_and_verified_side_by_side(
    database: Database, tmp_path: Path, bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        with monkeypatch.context() as before:
            before.setattr(certifying, "Circumstances", partial(Circumstances, words=1))
            older = await furnish(house)
        client, _ = await a_client(house, "another ward")
        newer = (await submit(house, client, submission(house.clock.now()), "new", b"new")).case
        await house.errands.finish(10)
        await house.sealer.round()
        for case in (older.decided, older.signed, older.asking, newer):
            steps = await replay_case(house, case)
            assert steps
            assert all(step.same for step in steps)
        auditor, _ = await an_auditor(house, Role.DISCLOSURE)
        made = await exported(house, auditor, Selection(payloads=True), older)
    words = {
        name.split("/")[1]: json.loads(content).get("words")
        for name, content in made.members().items()
        if name.startswith(PAYLOADS_FOLDER) and "certificate" in name
    }
    assert words == {older.decided: None, older.signed: None, older.asking: None, newer: 2}
    bare.unpacked(made)
    ran = bare.verify(bare.folder / "verifier.py", "export.zip", "--key", made.signer.verifier_key, "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    steps_there = json.loads(ran.stdout)["certificates"]
    assert len(steps_there) == 5
    assert all(step["same"] for step in steps_there)
