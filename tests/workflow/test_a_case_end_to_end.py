"""A case's way through the house on a real database."""

from __future__ import annotations

from pathlib import Path

from arbiter.audit.receipt import verify_receipt
from arbiter.lifecycle.states import Phase
from arbiter.store.database import Database
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.intake import submit
from arbiter.workflow.reading import decision, receipt
from tests.houses import a_client, a_house, settle, settled, submission


async def test_a_clear_case_is_decided_released_and_proved(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path, database) as house:
        client, _ = await a_client(house)
        submitted = await submit(house, client, submission(house.clock.now()), "key-1", b"body")
        view = await settled(house, client, submitted.case)
        assert view.phase is Phase.RELEASED
        assert (await decision(house, client, submitted.case)).option == "continue-monitoring"
        verified = verify_receipt(await receipt(house, client, submitted.case), house.verifiers)
        assert verified.entry.case == submitted.case
        await settle(house)
        report = await verify_log(house, (tmp_path / "checkpoint").read_bytes())
        assert report.chains == 1
