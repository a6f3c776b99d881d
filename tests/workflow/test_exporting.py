from __future__ import annotations

from pathlib import Path

from arbiter.audit.export.manifest import Selection
from arbiter.identity.roles import Role
from arbiter.store.database import Database
from arbiter.verifying.report import verify, words_of
from tests.exports import an_auditor, export_to, furnish
from tests.houses import a_house


async def test_an_export_verifies(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        made = await furnish(house)
        auditor, _ = await an_auditor(house, Role.DISCLOSURE)
        path = tmp_path / "export.zip"
        await export_to(house, auditor, Selection(payloads=True, paper=True), path)
        print("\n".join(words_of(verify(path, house.verifiers))))
        await export_to(house, auditor, Selection(cases=(made.signed,), payloads=True, paper=True), path)
        path.rename("/tmp/x.zip")
        print("\n".join(words_of(verify(Path("/tmp/x.zip"), house.verifiers))))
        assert 0
