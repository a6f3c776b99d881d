"""What `arbiter doctor` says of accounts: who holds duties that an older release let one account hold."""

from __future__ import annotations

from pathlib import Path

from arbiter.cli.doctor.account_checks import accounts
from arbiter.identity.accounts import disable_account
from arbiter.identity.roles import Role
from arbiter.store.database import Database
from arbiter.store.identities import AccountRow
from arbiter.workflow.house import House
from tests.houses import SITE, a_client, a_house, a_reviewer


async def said(house: House) -> tuple[str, str]:
    async with house.store.read() as transaction:
        (finding,) = await accounts(transaction)
    return finding.state, finding.found


async def test_an_account_from_before_that_reviews_and_approves_policy_is_named_until_it_is_put_right(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        await a_client(house)
        await a_reviewer(house, "anna")
        assert await said(house) == ("ok", "1 account, none with duties that must be apart")
        roles = (Role.POLICY_APPROVER.value, Role.REVIEWER.value)
        both = AccountRow("a_both", "both", "Both", "-", roles, (SITE,), house.clock.now(), None)
        await house.identities.add_account(both)
        assert await said(house) == ("warn", "both holds both policy:approve and review:work")
        await disable_account(house.identities, house.clock, "a_both")
        assert (await said(house))[0] == "ok"
