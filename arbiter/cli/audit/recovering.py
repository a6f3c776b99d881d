"""`arbiter audit recover` and `arbiter audit evidence`: what to do when the log lost entries or forked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.audit.group import app
from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.inside import in_house
from arbiter.cli.keys.making import InFile, Pkcs11
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_rows
from arbiter.cli.persons import ask_passwords

if TYPE_CHECKING:
    from arbiter.audit.note import VerifierKey
    from arbiter.settings import Settings
    from arbiter.workflow.house import House
    from arbiter.workflow.log.recovering import Recovered


@app.command(
    "recover",
    epilog=examples(
        'arbiter audit recover anna ben --reason "the server room burned; the newest backup is of Monday night"',
        'arbiter audit recover anna ben --reason "as agreed in the incident" --passwords-stdin < passwords',
    ),
)
def audit_recover(
    first: Annotated[str, typer.Argument(help="The login of one administrator.", show_default=False)],
    second: Annotated[str, typer.Argument(help="The login of another.", show_default=False)],
    reason: Annotated[
        str, typer.Option("--reason", help="Why the entries cannot be had back; it stays in the log.")
    ],
    *,
    new_origin: Annotated[
        str | None,
        typer.Option(
            "--new-origin", help="The log's new name. Not given: the old one with a number behind it."
        ),
    ] = None,
    pkcs11: Pkcs11 = None,
    in_file: InFile = False,
    passwords_stdin: Annotated[
        bool,
        typer.Option(
            "--passwords-stdin", help="Read both passwords from standard input: a line each, for scripts."
        ),
    ] = False,
) -> None:
    """Begin a new origin of a log that lost entries for good, or whose key signed two histories. Two persons do it.

    Only when no newer copy of the database is to be had. Stop every Arbiter first. The new key lies where the old one does,
    in a token or in a file, unless you say otherwise.
    """
    if in_file and pkcs11 is not None:
        raise UsageError("--pkcs11 and --in-file exclude each other")
    logins = [first, second]
    credentials = list(zip(logins, ask_passwords(logins, from_stdin=passwords_stdin), strict=True))

    async def recover(house: House) -> Recovered:
        from arbiter.store.keys import Wish
        from arbiter.workflow.log import recovering

        by = await recovering.two_persons(house, credentials)
        return await recovering.recover(house, by, reason, new_origin, Wish(pkcs11, in_file))

    done = in_house(recover, check_log=False)
    said = done.recovery.statement
    out.print(f"{'finished what was begun: ' if done.resumed else ''}{done.recovery}", markup=False)
    out.print(f"\nthe new verifier key: {done.verifier_key}", markup=False)
    out.print(f"its private part lies {done.where}\n", markup=False)
    out.print(said.words, markup=False)
    out.print(
        f"\nBefore the next start: set ARBITER_ORIGIN to {said.new} if it is set, copy the folder `keys` to a safe place, "
        "and copy `keys` and the file `checkpoint` to every other host of this installation.",
        markup=False,
    )


@app.command("evidence", epilog=examples("arbiter audit evidence", "arbiter audit evidence --json"))
def audit_evidence(*, as_json: AsJson = False) -> None:
    """List the contradictory checkpoints that were kept, each checked again; needs nothing but the data folder."""
    from arbiter.audit.contradiction import Evidence
    from arbiter.errors import VerificationError
    from arbiter.settings import read_settings
    from arbiter.workflow.log.evidence_folder import EvidenceFolder

    settings = read_settings()
    verifiers = _verifiers(settings)
    rows: list[tuple[object, ...]] = []
    sound = True
    for path, content in EvidenceFolder(settings.data).files():
        try:
            evidence = Evidence.parse(content)
            rows.append((path.name, evidence.found_at, evidence.compared, str(evidence.verify(verifiers))))
        except VerificationError as error:
            rows.append((path.name, None, None, f"PROVES NOTHING: {error}"))
            sound = False
    if rows or as_json:
        show_rows(("file", "found", "compared", "proves"), rows, as_json=as_json)
    else:
        out.print("no contradictory checkpoints are kept")
    if not sound:
        raise typer.Exit(1)


def _verifiers(settings: Settings) -> tuple[VerifierKey, ...]:
    from arbiter.store.keys import passphrase_from, read_keys
    from arbiter.store.origins import former_verifiers

    keyring = read_keys(settings.data, passphrase_from(settings.keys_passphrase_file))
    return (*keyring.verifiers, *former_verifiers(settings.data))
