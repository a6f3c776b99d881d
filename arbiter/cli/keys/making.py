"""`arbiter keys`: the log's signing key and the keys that keep case content secret."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_json

app = typer.Typer(
    no_args_is_help=True,
    help="The log's signing key and the keys that keep case content secret.",
    epilog=examples("arbiter keys init log.hospital.example/arbiter", "arbiter keys show"),
)

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="A file of mode 0600 with the passphrase on one line. Else ARBITER_KEYS_PASSPHRASE_FILE, else it is asked for.",
        show_default=False,
    ),
]
NoPassphrase = Annotated[
    bool,
    typer.Option(
        "--no-passphrase",
        help="Leave the keys unencrypted: for demonstrations, or where the disk is encrypted.",
    ),
]
Pkcs11 = Annotated[
    str | None,
    typer.Option(
        "--pkcs11",
        help="Make the log's Ed25519 key in this token: pkcs11:token=LABEL?module-path=FILE&pin-source=FILE.",
        show_default=False,
    ),
]
InFile = Annotated[
    bool,
    typer.Option(
        "--in-file", help="Make the log's Ed25519 key in a file, although the present one lies in a token."
    ),
]


@app.command(
    "init",
    epilog=examples(
        "arbiter keys init log.hospital.example/arbiter",
        "arbiter keys init log.hospital.example/arbiter --passphrase-file /etc/arbiter/passphrase",
    ),
)
def keys_init(
    origin: Annotated[str, typer.Argument(help="The log's name, e.g. log.hospital.example/arbiter")],
    *,
    passphrase_file: PassphraseFile = None,
    no_passphrase: NoPassphrase = False,
    pkcs11: Pkcs11 = None,
) -> None:
    """Make the keys (files of mode 0600 under ARBITER_DATA/keys), encrypted under a passphrase; none is overwritten."""
    from arbiter.clock import SystemChance
    from arbiter.settings import read_settings
    from arbiter.store.keys import (
        ask_new_passphrase,
        check_origin,
        init_keys,
        new_log_keys,
    )
    from arbiter.store.keys.folder import FOLDER
    from arbiter.store.keys.hardware import Place

    settings = read_settings()
    check_origin(origin)
    if (settings.data / FOLDER).exists():
        raise UsageError(f"{settings.data / FOLDER} exists already, and keys are never overwritten")
    passphrase = None
    if not no_passphrase:
        passphrase = ask_new_passphrase(passphrase_file or settings.keys_passphrase_file)
    elif passphrase_file is not None:
        raise UsageError("--no-passphrase and --passphrase-file exclude each other")
    log_text = None
    if pkcs11 is not None:
        log_text = new_log_keys(origin, Place.parse(pkcs11), SystemChance())
    keyring = init_keys(settings.data, origin, SystemChance(), passphrase, log_text=log_text)
    out.print(
        f"made {settings.data / 'keys'} for the log {keyring.origin}; copy the folder to a safe place now",
        markup=False,
    )
    if passphrase is None:
        out.print("the keys are NOT encrypted: whoever can read the files has them", markup=False)


@app.command("show", epilog=examples("arbiter keys show", "arbiter keys show --json"))
def keys_show(*, as_json: AsJson = False) -> None:
    """Print the log's public verifier keys, each on a line: Ed25519's, then ML-DSA-44's; needs nothing but the keys."""
    from arbiter.audit.rotation import current_keys
    from arbiter.settings import read_settings
    from arbiter.store.keys import passphrase_from, read_keys

    settings = read_settings()
    keyring = read_keys(settings.data, passphrase_from(settings.keys_passphrase_file))
    verifiers = keyring.verifiers
    current = current_keys(verifiers)
    if not as_json:
        for key in current:
            out.print(key.encode(), markup=False)
        return
    ranges = [
        {
            "verifier_key": key.encode(),
            "type": key.type.name.lower(),
            "first_size": key.first_size,
            "last_size": key.last_size,
        }
        for key in verifiers
    ]
    show_json(
        {
            "origin": keyring.origin,
            "verifier_key": keyring.signer.verifier_key,
            "keys": ranges,
            "current_kek": keyring.current_kek,
            "keks": sorted(keyring.keks),
            "encrypted": keyring.folder is not None and keyring.folder.encrypted,
        }
    )
