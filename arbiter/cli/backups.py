"""`arbiter backup` and `arbiter restore`: the database encrypted into one file, and back into an empty one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.inside import in_house, run
from arbiter.cli.options import AsJson
from arbiter.cli.output import byte_bar, err, out, show_json, show_rows

if TYPE_CHECKING:
    from arbiter.settings import Settings
    from arbiter.store.age import Identity, Recipient
    from arbiter.store.database import Database
    from arbiter.workflow.backups.backing_up import Progress
    from arbiter.workflow.backups.catalogue import Backup
    from arbiter.workflow.backups.restoring import Carried, Mark
    from arbiter.workflow.house import House

BACKUP_EXAMPLES = examples(
    "arbiter backup /backups/arbiter.age --passphrase-file passphrase",
    "arbiter backup /backups/arbiter.age --recipient age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
    "arbiter backup --new-key backup-key.txt",
    "arbiter backup --list",
)
RESTORE_EXAMPLES = examples(
    "arbiter restore /backups/arbiter.age --passphrase-file passphrase",
    "arbiter restore /backups/arbiter.age --key-file backup-key.txt",
)

_LONGEST_FILE = 16_384

File = Annotated[Path | None, typer.Argument(help="The backup.", show_default=False)]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="A file of one line, 20 characters or more.", show_default=False),
]


def backup(
    file: File = None,
    *,
    passphrase_file: PassphraseFile = None,
    recipient: Annotated[
        str | None,
        typer.Option("--recipient", help="A public key, age1…, instead of a passphrase.", show_default=False),
    ] = None,
    new_key: Annotated[
        Path | None,
        typer.Option(
            "--new-key",
            help="Only make a private key in this file; its public half is printed.",
            show_default=False,
        ),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Only list the backups taken.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the database, the kept checkpoint and the list of erasures into one encrypted file (age) and read it back.

    The keys are not in it: keep their copy elsewhere. Needs no pause of the service.
    """
    if listed:
        _list(as_json=as_json)
        return
    if new_key is not None:
        if file is not None:
            raise UsageError(
                "expected --new-key alone; it makes a key and no backup, and a file for one came"
            )
        _make_key(new_key)
        return
    if file is None or (passphrase_file is None) == (recipient is None):
        given = [
            name
            for name, value in (
                ("a file", file),
                ("--passphrase-file", passphrase_file),
                ("--recipient", recipient),
            )
            if value is not None
        ]
        raise UsageError(
            f"expected a file and one of --passphrase-file and --recipient; {' and '.join(given) or 'nothing'} came"
        )
    sealed_for = _recipient(passphrase_file, recipient)
    taken = in_house(lambda house: _take(house, file, sealed_for))
    if as_json:
        show_json(
            {"file": taken.path, "size": taken.size, "log_size": taken.log_size, "sha256": taken.sha256}
        )
        return
    out.print(
        f"{taken.path}: {taken.size} bytes, {taken.log_size} sealed entries, read back; expires {taken.expires_at:%Y-%m-%d}",
        markup=False,
    )


async def _take(house: House, file: Path, recipient: Recipient) -> Backup:
    from arbiter.workflow.backups.backing_up import take_backup

    with byte_bar() as progress:
        return await take_backup(house, file, recipient, progress)


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.", show_default=False)],
    *,
    passphrase_file: PassphraseFile = None,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help="The private key, AGE-SECRET-KEY-1….", show_default=False),
    ] = None,
    behind: Annotated[
        bool,
        typer.Option(
            "--behind",
            help="Although it lacks what was sealed; nothing starts before `arbiter audit recover`.",
        ),
    ] = False,
) -> None:
    """Restore a backup into an empty database: verified whole, every erasure made again, before anything may start.

    Put the keys and the kept checkpoint back into the data folder first. For a server set ARBITER_DATABASE_OWNER_URL.
    """
    from arbiter.settings import read_settings

    if (passphrase_file is None) == (key_file is None):
        came = "neither" if key_file is None else "both"
        raise UsageError(f"expected one of --passphrase-file and --key-file; {came} came")
    identity = _identity(passphrase_file, key_file)
    settings = read_settings()
    with byte_bar(file.stat().st_size) as progress:
        entries = run(_restore(settings, file, identity, progress, behind=behind))
    if entries is None:
        err.print(
            "restored; the log is behind the kept checkpoint: run `arbiter audit recover` before anything else"
        )
        return
    out.print(f"restored and verified: {entries} entries, none missing against the kept checkpoint")


async def _restore(
    settings: Settings, file: Path, identity: Identity, progress: Progress, *, behind: bool
) -> int | None:
    """Return how many entries the restored log has, or None when it is behind and nothing may start."""
    from arbiter.store.dumping import TargetRefusedError, empty_target
    from arbiter.store.embedded import EmbeddedPostgres
    from arbiter.workflow.backups.backing_up import verify_backup
    from arbiter.workflow.backups.restoring import check_fits, marked

    about = await asyncio.to_thread(verify_backup, file, identity, progress)
    fits = check_fits(settings.data, about, behind=behind)
    embedded = EmbeddedPostgres(settings.data) if settings.database_url is None else None
    with marked(settings.data) as mark:
        try:
            database = await asyncio.to_thread(
                empty_target, embedded, settings.database_url, settings.database_owner_url
            )
            return await _restore_into(settings, database, file, identity, progress, mark, fits=fits)
        except TargetRefusedError:
            # What an earlier restore has left there stays marked.
            if mark.is_new:
                mark.lift()
            raise
        finally:
            if embedded is not None:
                await asyncio.to_thread(embedded.stop)


async def _restore_into(
    settings: Settings,
    database: Database,
    file: Path,
    identity: Identity,
    progress: Progress,
    mark: Mark,
    *,
    fits: bool,
) -> int | None:
    from arbiter.store.dumping import empty_again, owner_url_of
    from arbiter.workflow.backups.restoring import fill

    try:
        carried = await asyncio.to_thread(fill, database, file, identity, progress)
        entries = await _finish(settings, carried, fits=fits)
    except Exception:
        # Not when it is interrupted: the thread may go on filling, and the mark keeps everybody out.
        await asyncio.to_thread(empty_again, owner_url_of(database))
        mark.lift()
        raise
    mark.lift()
    return entries


async def _finish(settings: Settings, carried: Carried, *, fits: bool) -> int | None:
    from arbiter.wiring import open_house
    from arbiter.workflow.backups.restoring import finish_restore, lent_checkpoint, take_over_list

    if not fits:
        # The log is refused until it is recovered, and what was erased is erased again at the start after that.
        async with open_house(settings, check_log=False, restoring=True) as house:
            await take_over_list(house, carried.erasures)
        return None
    with lent_checkpoint(settings.data, carried.checkpoint):
        async with open_house(settings, restoring=True) as house:
            return await finish_restore(house, carried)


def _list(*, as_json: bool) -> None:
    from arbiter.settings import read_settings
    from arbiter.workflow.backups.catalogue import Catalogue

    show_rows(
        ("file", "begun", "whole", "size", "sealed entries", "sha256", "expires"),
        (
            (
                backup.path,
                backup.began_at,
                backup.taken_at is not None,
                backup.size,
                backup.log_size,
                backup.sha256,
                backup.expires_at,
            )
            for backup in Catalogue(read_settings().data).read()
        ),
        as_json=as_json,
    )


def _make_key(path: Path) -> None:
    from arbiter.clock import SystemChance
    from arbiter.store.age import X25519Identity
    from arbiter.store.keys.files import write_new

    identity = X25519Identity(SystemChance().token(32))
    write_new(path, f"# public key: {identity.recipient}\n{identity}")
    out.print(f"{identity.recipient}", markup=False)
    err.print(f"the private key is in {path}: keep it where the backups and this host are not", markup=False)


def _recipient(passphrase_file: Path | None, recipient: str | None) -> Recipient:
    from arbiter.store.age import Passphrase, X25519Recipient

    if recipient is not None:
        return X25519Recipient.parse(recipient)
    assert passphrase_file is not None
    return Passphrase.parse(_secret_text(passphrase_file))


def _identity(passphrase_file: Path | None, key_file: Path | None) -> Identity:
    from arbiter.store.age import Passphrase, X25519Identity

    if key_file is not None:
        return X25519Identity.parse(_secret_text(key_file))
    assert passphrase_file is not None
    return Passphrase.parse(_secret_text(passphrase_file))


def _secret_text(path: Path) -> str:
    """Return a file that holds a secret; refuse one that others may read."""
    import stat

    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise UsageError(f"{path} has mode {mode:04o}, expected 0600: it holds a secret; `chmod 0600 {path}`")
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_LONGEST_FILE)
    except UnicodeDecodeError:
        # Nothing of what it holds is told: it may be the secret.
        raise UsageError(f"{path} is no text: expected the secret on one line; is it another file?") from None
