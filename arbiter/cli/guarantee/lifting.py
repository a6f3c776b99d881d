"""`arbiter guarantee lift`: a person lets a protocol decide alone again, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.guarantee.group import app
from arbiter.cli.inside import in_house
from arbiter.cli.output import out
from arbiter.cli.persons import PasswordsStdin, ask_passwords, prove

if TYPE_CHECKING:
    from arbiter.store.watching import AlarmRow
    from arbiter.workflow.house import House


@app.command(
    "lift",
    epilog=examples(
        'arbiter guarantee lift deterioration --reason "two thermometers were mixed up" --as paula'
    ),
)
def guarantee_lift(
    protocol: Annotated[str, typer.Argument(help="The protocol's id.", show_default=False)],
    reason: Annotated[
        str, typer.Option("--reason", help="Why; kept in the clear, in the log for good.", show_default=False)
    ],
    login: Annotated[
        str, typer.Option("--as", help="Your login; you need the role policy-approver.", show_default=False)
    ],
    *,
    password_stdin: PasswordsStdin = False,
) -> None:
    """Lift every alarm of a protocol that stands: what runs decides alone again at once. The log says who did it and why.

    What was decided until now has spoken; evidence begins anew, and needs more than it did, so that all alarms together are no
    likelier false than was stated.
    """
    passwords = ask_passwords([login], from_stdin=password_stdin)

    async def work(house: House) -> tuple[AlarmRow, ...]:
        from arbiter.workflow.watching.alarms import lift

        (by,) = await prove(house, [login], passwords)
        return await lift(house, by, protocol, reason)

    for alarm in in_house(work):
        out.print(
            f"lifted: {alarm.kind.value} {alarm.target} of calibration {alarm.calibration}", markup=False
        )
