"""`arbiter audit export` and `arbiter audit verify-export`: take a part of the log to somebody outside, and check one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.audit.group import app
from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson, Since, Until
from arbiter.cli.output import entry_bar, out, show_json
from arbiter.cli.persons import PasswordsStdin, ask_passwords, prove
from arbiter.cli.when import instant
from arbiter.errors import counted

if TYPE_CHECKING:
    from arbiter.audit.export.manifest import Selection
    from arbiter.workflow.exports.making import Made
    from arbiter.workflow.house import House


@app.command(
    "export",
    epilog=examples(
        "arbiter audit export log.zip --as ben",
        "arbiter audit export case.zip --as ben --case c_4jnoc5hb37oz5irylzg747rv --payloads --pdf",
    ),
)
def audit_export(
    file: Annotated[Path, typer.Argument(help="The archive to write; it must not be there yet.")],
    login: Annotated[
        str, typer.Option("--as", help="The login of the auditor who takes it; the password is asked for.")
    ],
    case: Annotated[list[str] | None, typer.Option(help="A case's id; may be given more than once.")] = None,
    site: Annotated[list[str] | None, typer.Option(help="A site's id; may be given more than once.")] = None,
    actor: Annotated[str | None, typer.Option(help="Entries of this actor alone.")] = None,
    since: Since = None,
    until: Until = None,
    *,
    payloads: Annotated[
        bool, typer.Option("--payloads", help="Decrypted documents too; takes the role disclosure.")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="A paper of each case.")] = False,
    password_stdin: PasswordsStdin = False,
    as_json: AsJson = False,
) -> None:
    """Export the log, or some of it, as an archive that proves itself; the export is an entry of the log."""
    from arbiter.settings import read_settings
    from arbiter.workflow.exports.selecting import selection_of

    if file.exists():
        raise UsageError(f"expected a file that is not there yet, {file} is: name another")
    zone, now = read_settings().zone, datetime.now(UTC)
    selection = selection_of(
        cases=case or (),
        sites=site or (),
        actor=actor,
        since=instant("--since", since, now, zone),
        until=instant("--until", until, now, zone),
        payloads=payloads,
        paper=pdf,
    )
    passwords = ask_passwords([login], from_stdin=password_stdin)
    made = in_house(lambda house: _export(house, login, passwords, selection, file))
    manifest = made.manifest
    if as_json:
        show_json(
            {
                "file": str(file),
                "bytes": made.size,
                "sha256": made.sha256,
                "entries": manifest.entries,
                "documents": manifest.payloads,
                "unopened": list(manifest.unopened),
                "checkpoint_size": manifest.checkpoint.size,
                "house_entry": made.seq,
            }
        )
        return
    out.print(
        f"{file}: {manifest.entries} entries of {counted(manifest.chains, 'chain')}, {counted(manifest.payloads, 'document')}, under a "
        f"checkpoint of {manifest.checkpoint.size} entries; {made.size} bytes, sha256 {made.sha256}",
        markup=False,
    )
    for unopened in manifest.unopened:
        out.print(f"case {unopened}: its documents do not open any more", markup=False)


async def _export(house: House, login: str, passwords: list[str], selection: Selection, file: Path) -> Made:
    import asyncio
    import os

    from arbiter.workflow.exports.making import make_export

    (principal,) = await prove(house, [login], passwords)
    part = file.with_name(f"{file.name}.part")
    # Before the block that clears up: a part that another command is writing is not ours to remove.
    descriptor = await asyncio.to_thread(_create, part)
    try:
        with os.fdopen(descriptor, "wb") as writing, entry_bar() as advance:
            made = await make_export(house, principal, selection, writing, advance)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    # The entry that tells of it is sealed at once: no service need be running.
    await house.sealer.round()
    return made


def _create(path: Path) -> int:
    import os

    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise UsageError(
            f"expected nobody to be writing {path}: another export does, or one that was killed left it there; then remove it"
        ) from None


@app.command(
    "verify-export",
    epilog=examples(
        "arbiter audit verify-export case.zip --keys hospital-log.keys",
        "arbiter audit verify-export case.zip --key log.hospital.example/arbiter+f41aaf94+AXzM3tnp",
    ),
)
def audit_verify_export(
    file: Path,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="The log's verifier keys, from somewhere you trust: one, or one a line."),
    ] = None,
    keys: Annotated[
        list[Path] | None,
        typer.Option("--keys", help="A file of them, or the one that `keys export-public` wrote."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Verify an export offline, archive or unpacked folder, with this installation's code instead of the archive's.

    Status 0: verified under a key that you gave. 1: refused. 2: not readable. 6: not proven, because no key was given.
    """
    from arbiter.verifying.command import main

    given = [f"--key={value}" for value in key or ()] + [f"--keys={path}" for path in keys or ()]
    status = main([*given, *(["--json"] if as_json else []), "--", str(file)])
    if status:
        raise typer.Exit(status)
