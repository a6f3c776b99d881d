"""`arbiter audit open`: show what an entry commits to, so that an outsider can compute the commitment anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.audit.group import app
from arbiter.cli.examples import examples
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import show_record
from arbiter.cli.persons import PasswordsStdin, ask_passwords, prove

if TYPE_CHECKING:
    from arbiter.workflow.house import House
    from arbiter.workflow.opening import OpenedCommitment

RULE = 'SHA-256("arbiter/commitment/v1" || 0x00 || name || 0x00 || salt || content)'


@app.command(
    "open",
    epilog=examples(
        "arbiter audit open c_4jnoc5hb37oz5irylzg747rv 7 certificate --as ines",
        "arbiter audit open c_4jnoc5hb37oz5irylzg747rv 7 certificate --as ines --receipt receipt.json",
    ),
)
def audit_open(
    case: Annotated[str, typer.Argument(help="The case's id.", show_default=False)],
    seq: Annotated[int, typer.Argument(help="The entry's number in the case, from 0.", show_default=False)],
    name: Annotated[str, typer.Argument(help="What it commits to, e.g. certificate.", show_default=False)],
    *,
    login: Annotated[
        str, typer.Option("--as", help="Your login; the password is asked for.", show_default=False)
    ],
    receipt: Annotated[
        Path | None,
        typer.Option(
            "--receipt", help="Also write a receipt, for `arbiter audit verify-receipt`.", show_default=False
        ),
    ] = None,
    password_stdin: PasswordsStdin = False,
    as_json: AsJson = False,
) -> None:
    """Show salt and content behind one commitment of an entry; needs the role auditor, and is itself an entry.

    What is shown is patient data. A case that was erased cannot be opened.
    """
    from arbiter.audit.note import encode_base64
    from arbiter.model import CaseId

    passwords = ask_passwords([login], from_stdin=password_stdin)

    async def work(house: House) -> OpenedCommitment:
        from arbiter.workflow.opening import open_commitment

        (by,) = await prove(house, [login], passwords)
        return await open_commitment(house, by, CaseId(case), seq, name)

    opened = in_house(work)
    if receipt is not None:
        # It is patient data: private from its first byte on.
        receipt.touch(mode=0o600)
        receipt.chmod(0o600)
        receipt.write_bytes(opened.receipt)
    opening = opened.opening
    show_record(
        [
            ("case", case),
            ("entry", seq),
            ("type", opened.entry.type),
            ("name", opening.name),
            ("commitment", opened.commitment),
            ("is", RULE),
            ("salt", opening.salt.hex()),
            ("content_base64", encode_base64(opening.content)),
            ("content", opening.content.decode("utf-8", errors="replace")),
        ],
        as_json=as_json,
    )
