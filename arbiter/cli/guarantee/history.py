"""`arbiter guarantee history`: which alarms were raised, and who lifted them why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.guarantee.group import app
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_rows

if TYPE_CHECKING:
    from arbiter.workflow.house import House

_COLUMNS = ("at", "protocol", "kind", "target", "step", "by", "reason", "calibration")


@app.command(
    "history", epilog=examples("arbiter guarantee history", "arbiter guarantee history deterioration --json")
)
def guarantee_history(
    protocol: Annotated[str | None, typer.Argument(help="This protocol alone.", show_default=False)] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List every alarm that audits raised and every lift, the oldest first, with who lifted it and why."""

    async def work(house: House) -> list[tuple[object, ...]]:
        from arbiter.identity.accounts import list_accounts
        from arbiter.store.watching import load_alarm_steps

        logins = {account.id: account.login for account in await list_accounts(house.identities)}
        return [
            (
                step.at,
                step.protocol,
                step.kind.value,
                step.target,
                step.step.value,
                logins.get(step.actor, step.actor),
                step.reason,
                step.calibration,
            )
            for step in await load_alarm_steps(house.store)
            if protocol in {None, step.protocol}
        ]

    rows = in_house(work)
    if not rows and not as_json:
        out.print(
            "no alarm was ever raised" + ("" if protocol is None else f" of protocol {protocol}"),
            markup=False,
        )
        return
    show_rows(_COLUMNS, rows, as_json=as_json)
