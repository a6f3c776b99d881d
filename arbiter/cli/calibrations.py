"""`arbiter calibration`: what a panel is certified to decide alone, proposed by one person and approved by another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_json, show_rows
from arbiter.cli.persons import PasswordsStdin, ask_passwords, prove

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arbiter.calibration import Calibration
    from arbiter.store.calibration_steps import Act
    from arbiter.workflow.house import House

app = typer.Typer(
    no_args_is_help=True,
    help="What panels are certified to decide alone, and who approved it.",
    epilog=examples(
        "arbiter calibration propose calibration.json --as otto",
        "arbiter calibration approve HASH --as paula",
        "arbiter calibration list",
    ),
)

Hash = Annotated[
    str, typer.Argument(help="The calibration's hash, whole, as `list` shows it.", show_default=False)
]
AsApprover = Annotated[
    str, typer.Option("--as", help="Your login; you need the role policy-approver.", show_default=False)
]
_COLUMNS = (
    "calibration",
    "protocol",
    "version",
    "standing",
    "proposed",
    "proposed_by",
    "approved",
    "approved_by",
    "withdrawn",
    "withdrawn_by",
    "reason",
)


@app.command("propose", epilog=examples("arbiter calibration propose calibration.json --as otto"))
def calibration_propose(
    file: Annotated[
        Path, typer.Argument(help="The calibration, as it was made, byte for byte.", show_default=False)
    ],
    login: Annotated[
        str, typer.Option("--as", help="Your login; you need the role policy-author.", show_default=False)
    ],
    *,
    password_stdin: PasswordsStdin = False,
) -> None:
    """Propose a calibration for the protocol in force that it names, and print its hash: somebody else approves that.

    Until then nothing is decided by it. One of synthetic labels is refused outside a demonstration. The log says who did it.
    """
    from arbiter.cli.calibration_words import told
    from arbiter.workflow.calibrations.approving import LARGEST_BYTES

    with file.open("rb") as stream:
        content = stream.read(LARGEST_BYTES + 1)
    passwords = ask_passwords([login], from_stdin=password_stdin)

    async def work(house: House) -> Calibration:
        from arbiter.workflow.calibrations.approving import propose

        (by,) = await prove(house, [login], passwords)
        return await propose(house, by, content)

    proposed = in_house(work)
    for line in told(proposed):
        out.print(line, markup=False)
    out.print(f"proposed {proposed.content_hash}")


@app.command("approve", epilog=examples("arbiter calibration approve HASH --as paula"))
def calibration_approve(
    calibration: Hash, login: AsApprover, *, password_stdin: PasswordsStdin = False
) -> None:
    """Put a proposed calibration in force, as somebody else than its proposer: see `arbiter calibration show HASH` first.

    What runs decides by it within a minute, and by the one before no more. The log says who did it.
    """
    passwords = ask_passwords([login], from_stdin=password_stdin)

    async def work(house: House) -> tuple[Calibration, Calibration | None]:
        from arbiter.workflow.calibrations.approving import approve
        from arbiter.workflow.certifying import calibration_in_force

        (by,) = await prove(house, [login], passwords)
        approved = await approve(house, by, calibration)
        return approved, calibration_in_force(house, approved.protocol_hash)

    done, now = in_house(work)
    out.print(f"approved {done.content_hash}")
    _tell_in_force(done, now)


@app.command(
    "withdraw",
    epilog=examples('arbiter calibration withdraw HASH --reason "the labels were mixed up" --as paula'),
)
def calibration_withdraw(
    calibration: Hash,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; kept in the clear, in the log for good.", show_default=False)
    ],
    login: AsApprover,
    *,
    password_stdin: PasswordsStdin = False,
) -> None:
    """Take a calibration out of force for good, or end its proposal. From now on no running process decides by it.

    One that was approved before, for the same protocol, is in force again: withdraw that too where it must not be.
    """
    passwords = ask_passwords([login], from_stdin=password_stdin)

    async def work(house: House) -> tuple[Calibration, Calibration | None]:
        from arbiter.workflow.calibrations.approving import withdraw
        from arbiter.workflow.certifying import calibration_in_force

        (by,) = await prove(house, [login], passwords)
        withdrawn = await withdraw(house, by, calibration, reason)
        return withdrawn, calibration_in_force(house, withdrawn.protocol_hash)

    done, now = in_house(work)
    out.print(f"withdrew {done.content_hash}")
    _tell_in_force(done, now)


@app.command("list", epilog=examples("arbiter calibration list", "arbiter calibration list --json"))
def calibration_list(*, as_json: AsJson = False) -> None:
    """List every calibration that was proposed here, and those in force that came in a protocol's own bundle."""
    show_rows(_COLUMNS, in_house(_rows), as_json=as_json)


@app.command("show", epilog=examples("arbiter calibration show HASH", "arbiter calibration show HASH --json"))
def calibration_show(calibration: Hash, *, as_json: AsJson = False) -> None:
    """Show what a calibration certifies, on what labels, and who proposed, approved and withdrew it."""
    from arbiter.cli.calibration_words import document, told

    async def work(house: House) -> tuple[Calibration, dict[str, object]]:
        shown = await house.shelf.fetch_calibration(house.store, calibration)
        rows = [dict(zip(_COLUMNS, row, strict=True)) for row in await _rows(house)]
        return shown, next((row for row in rows if row["calibration"] == calibration), {})

    shown, stood = in_house(work)
    if as_json:
        show_json(document(shown) | {name: stood.get(name) for name in _COLUMNS[3:]})
        return
    for line in told(shown):
        out.print(line, markup=False)
    for name in ("proposed", "approved", "withdrawn"):
        if stood.get(name) is not None:
            why = f": {stood['reason']}" if name == "withdrawn" else ""
            out.print(f"{name} at {stood[name]} by {stood[f'{name}_by']}{why}", markup=False)
    out.print(f"standing: {stood.get('standing', 'kept, and not in force: nobody proposed it')}")


async def _rows(house: House) -> list[tuple[object, ...]]:
    from arbiter.identity.accounts import list_accounts
    from arbiter.workflow.calibrations.standings import calibrations, look_for_approved

    await look_for_approved(house)
    logins = {account.id: account.login for account in await list_accounts(house.identities)}
    rows: list[tuple[object, ...]] = []
    for stood in await calibrations(house):
        row = stood.row
        reason = None if row.withdrawn is None else row.withdrawn.reason
        acts = [_act(act, logins) for act in (row.proposed, row.approved, row.withdrawn)]
        rows.append(
            (
                row.calibration,
                row.protocol,
                row.protocol_version,
                stood.standing.value,
                *(value for act in acts for value in act),
                reason,
            )
        )
    return [*rows, *_bundled(house, {row[0] for row in rows})]


def _bundled(house: House, proposed: set[object]) -> Iterator[tuple[object, ...]]:
    """Yield a row for each calibration in force that nobody proposed: it came with its protocol."""
    from arbiter.workflow.certifying import calibration_in_force

    for _, shelved in sorted(house.shelf.current.items()):
        found = calibration_in_force(house, shelved.protocol.content_hash)
        if found is not None and found.content_hash not in proposed:
            head = (found.content_hash, found.protocol, found.protocol_version, "in-force-by-bundle")
            yield (*head, *([None] * (len(_COLUMNS) - len(head))))


def _act(act: Act | None, logins: dict[str, str]) -> tuple[object, object]:
    return (None, None) if act is None else (act.at, logins.get(act.actor, act.actor))


def _tell_in_force(about: Calibration, now: Calibration | None) -> None:
    panel = f"{about.protocol} {about.protocol_version}"
    if now is None:
        out.print(f"{panel}: no calibration is in force, and every case escalates", markup=False)
    else:
        out.print(f"{panel}: in force is {now.content_hash}", markup=False)
