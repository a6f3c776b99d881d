"""`arbiter keys`: the log's signing key and the keys that keep case content secret."""

from __future__ import annotations

from typing import Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_json

app = typer.Typer(
    no_args_is_help=True,
    help="The log's signing key and the keys that keep case content secret.",
    epilog=examples("arbiter keys init log.hospital.example/arbiter", "arbiter keys show"),
)


@app.command("init", epilog=examples("arbiter keys init log.hospital.example/arbiter"))
def keys_init(
    origin: Annotated[str, typer.Argument(help="The log's name, e.g. log.hospital.example/arbiter")],
) -> None:
    """Make the keys (files of mode 0600 under ARBITER_DATA/keys); existing ones are never overwritten."""
    from arbiter.clock import SystemChance
    from arbiter.settings import read_settings
    from arbiter.store.keys import init_keys

    settings = read_settings()
    keyring = init_keys(settings.data, origin, SystemChance())
    out.print(
        f"made {settings.data / 'keys'} for the log {keyring.origin}; copy the folder to a safe place now",
        markup=False,
    )


@app.command("show", epilog=examples("arbiter keys show", "arbiter keys show --json"))
def keys_show(*, as_json: AsJson = False) -> None:
    """Print the log's public verifier key; needs nothing but the keys."""
    from arbiter.audit.note import Ed25519NoteSigner
    from arbiter.settings import read_settings
    from arbiter.store.keys import read_keys

    keyring = read_keys(read_settings().data)
    verifier = Ed25519NoteSigner(keyring.origin, keyring.log_seed).verifier_key
    if as_json:
        show_json({"origin": keyring.origin, "verifier_key": verifier, "current_kek": keyring.current_kek})
    else:
        out.print(verifier, markup=False)
