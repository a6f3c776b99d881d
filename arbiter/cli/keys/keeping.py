"""Keys kept beyond this host: the public ones for auditors, the secret ones in escrow, and a passphrase changed."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.inside import in_house
from arbiter.cli.keys.making import NoPassphrase, PassphraseFile
from arbiter.cli.keys.rotating import As, administrator
from arbiter.cli.output import out
from arbiter.cli.persons import PasswordsStdin, ask_passwords
from arbiter.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from arbiter.workflow.house import House

app = typer.Typer()


@app.command(
    "export-public",
    epilog=examples(
        "arbiter keys export-public > hospital-log.keys",
        "arbiter keys export-public --origin log.hospital.example/arbiter > before-the-fire.keys",
    ),
)
def keys_export_public(
    *,
    origin: Annotated[
        str | None,
        typer.Option(
            "--origin",
            help="One that this log had before `audit recover`. Not given: the present one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print the log's public keys, retired ones too, with the statements that name them: for auditors to keep.

    A recovered log has a text for each of its origins.
    """
    from arbiter.audit.public_keys import write_public_keys
    from arbiter.settings import read_settings
    from arbiter.store.keys import passphrase_from, read_keys
    from arbiter.store.origins import former_origins

    settings = read_settings()
    keyring = read_keys(settings.data, passphrase_from(settings.keys_passphrase_file))
    if origin in {None, keyring.origin}:
        text = write_public_keys(keyring.first, keyring.statements)
    else:
        texts = former_origins(settings.data).texts
        if origin not in texts:
            known = ", ".join([*texts, keyring.origin])
            raise UsageError(f"this log was never {origin}, as far as this host knows; it was {known}")
        text = texts[origin]
    sys.stdout.buffer.write(text)


@app.command("escrow", epilog=examples("arbiter keys escrow agent.pub.pem keys.escrow --as carla"))
def keys_escrow(
    recipient: Annotated[
        Path, typer.Argument(help="The recipient's X25519 public key in PEM, made with openssl.")
    ],
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    login: As,
    *,
    password_stdin: PasswordsStdin = False,
) -> None:
    """Encrypt every secret key to a recipient who keeps them; nobody else can open the file, nor can this host."""
    from arbiter.store.keys.escrow import fingerprint, read_recipient
    from arbiter.workflow.log.escrowing import escrow_keys

    key = read_recipient(recipient.read_bytes())
    if file.exists():
        raise UsageError(f"expected a file that is not there yet, {file} is: name another")
    passwords = ask_passwords([login], from_stdin=password_stdin)

    async def give(house: House) -> bytes:
        principal = await administrator(house, login, passwords)
        return await escrow_keys(house, principal.id, key)

    content = in_house(give)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as written:
        written.write(content)
        written.flush()
        os.fsync(descriptor)
    out.print(
        f"{file} can be opened by the holder of {fingerprint(key)[:16]} alone; compare that with them",
        markup=False,
    )


@app.command(
    "recover-escrow",
    epilog=examples("arbiter keys recover-escrow keys.escrow --private-key agent.pem"),
)
def keys_recover_escrow(
    file: Path,
    private_key: Annotated[Path, typer.Option("--private-key", help="The recipient's private key in PEM.")],
    *,
    passphrase_file: PassphraseFile = None,
    no_passphrase: NoPassphrase = False,
) -> None:
    """Make ARBITER_DATA/keys anew from an escrow file, under a new passphrase; existing keys are never overwritten."""
    from arbiter.clock import SystemChance
    from arbiter.settings import read_settings
    from arbiter.store.keys import ask_new_passphrase, restore_keys
    from arbiter.store.keys.escrow import open_escrow

    settings = read_settings()
    escrowed = open_escrow(file.read_bytes(), _private_key(private_key))
    passphrase = None
    if not no_passphrase:
        passphrase = ask_new_passphrase(passphrase_file or settings.keys_passphrase_file)
    restore_keys(settings.data, escrowed.files, SystemChance(), passphrase)
    out.print(
        f"restored {settings.data / 'keys'} of the log {escrowed.origin}, as it was at {escrowed.at}",
        markup=False,
    )


@app.command(
    "passphrase", epilog=examples("arbiter keys passphrase --passphrase-file /etc/arbiter/new-passphrase")
)
def keys_passphrase(*, passphrase_file: PassphraseFile = None) -> None:
    """Put the keys under another passphrase, or unencrypted ones under their first; interrupted, run it again.

    ARBITER_KEYS_PASSPHRASE_FILE names the present one, --passphrase-file the new one. Running processes go on.
    """
    from arbiter.clock import SystemChance
    from arbiter.settings import read_settings
    from arbiter.store.keys import KeyFolder, ask_new_passphrase, passphrase_from

    settings = read_settings()
    folder = KeyFolder.open(settings.data, passphrase_from(settings.keys_passphrase_file))
    folder.keyring()
    folder.lock_up(ask_new_passphrase(passphrase_file), SystemChance())
    out.print(
        f"the keys in {folder.path} are encrypted under the new passphrase; copies of the folder keep the old one",
        markup=False,
    )


def _private_key(path: Path) -> X25519PrivateKey:
    from arbiter.store.keys.escrow import read_private_key

    pem = path.read_bytes()
    if b"ENCRYPTED" not in pem:
        return read_private_key(pem, None)
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"{path} is encrypted and nobody can be asked for its password: run this at a terminal, or give the key unencrypted"
        )
    return read_private_key(pem, getpass.getpass(f"password of {path}: "))
