"""`arbiter witness`: a witness of transparency logs, for whoever is not the log's own operator."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.options import AsJson
from arbiter.cli.output import err, out, show_json, show_rows

app = typer.Typer(
    no_args_is_help=True,
    help="Witness other people's logs: cosign what extends what was cosigned before, and nothing else.",
    epilog=examples(
        "arbiter witness init witness.university.example/w1",
        "arbiter witness trust log.hospital.example/arbiter+f41aaf94+AXzM3tnp",
        "arbiter witness serve",
    ),
)

Folder = Annotated[Path, typer.Option("--folder", help="Where the witness's key and memory lie.")]
FOLDER = Path(".arbiter-witness")


@app.command("init", epilog=examples("arbiter witness init witness.university.example/w1"))
def witness_init(
    name: Annotated[
        str, typer.Argument(help="The witness's name, a URL without scheme.", show_default=False)
    ],
    folder: Folder = FOLDER,
) -> None:
    """Make a witness: its key and its empty memory. Neither is ever overwritten, and neither may be restored from a copy."""
    import secrets

    from arbiter.witness.keys import SEED_BYTES, make_key
    from arbiter.witness.store import WitnessStore

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = make_key(folder, name, secrets.token_bytes(SEED_BYTES))
    WitnessStore(folder).make(key.public)
    out.print(key.public.encode(), markup=False)
    err.print("give logs this key; if the folder is ever lost or restored from a copy, make a new witness")


@app.command("trust", epilog=examples("arbiter witness trust log.hospital.example/arbiter+f41aaf94+AXzM3tnp"))
def witness_trust(
    key: Annotated[
        str, typer.Argument(help="A log's verifier key, from somewhere you trust.", show_default=False)
    ],
    origin: Annotated[
        str | None,
        typer.Option("--origin", help="The log's origin. Else the key's name.", show_default=False),
    ] = None,
    *,
    again: Annotated[
        bool,
        typer.Option("--again", help="Although it was distrusted before: its thief is no threat any more."),
    ] = False,
    folder: Folder = FOLDER,
) -> None:
    """Cosign for a log from now on. A log that changes keys is given its new one beside the old.

    It goes on from the size that was cosigned last. When the log signs with the new key alone, distrust the old one.
    """
    from arbiter.audit.note import SignatureType, parse_keys
    from arbiter.errors import ConfigurationError
    from arbiter.witness.witness import Witness

    # A log's public keys come a line each; a witness goes by those of type 0x01.
    came = parse_keys(key)
    own = [verifier for verifier in came if verifier.type is SignatureType.ED25519]
    if not own:
        raise ConfigurationError(
            f"expected a log's own Ed25519 key (type 0x01), came {len(came)} of other types"
        )
    if origin is not None and "\n" in origin:
        lines = origin.count("\n") + 1
        raise ConfigurationError(f"expected the log's origin on one line, {lines} lines came")
    store = Witness.open(folder).store
    left = []
    for verifier in own:
        named, told = origin or verifier.name, verifier.label
        if store.trust(named, verifier, again=again):
            out.print(f"checkpoints of {named} are cosigned when {told} has signed them", markup=False)
        else:
            left.append(told)
    if len(own) - len(left) > 1:
        # `/v1/audit/keys` names those that ended too: they still verify what they signed in their time.
        err.print(
            f"{len(own) - len(left)} keys of that log are trusted now, and some may have ended: ask its operator for those of "
            "`arbiter keys show`, and `arbiter witness distrust` the others",
            markup=False,
        )
    if left:
        err.print(
            f"distrusted before, and so they stay: {', '.join(left)}; --again trusts them again", markup=False
        )
    if len(left) == len(own):
        raise ConfigurationError("no key is trusted that was not")


@app.command(
    "distrust",
    epilog=examples(
        "arbiter witness distrust log.hospital.example/arbiter --key f41aaf94",
        "arbiter witness distrust log.hospital.example/arbiter",
    ),
)
def witness_distrust(
    origin: Annotated[str, typer.Argument(help="A log's origin.", show_default=False)],
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            help="The id of one of its keys, in hex, as `show` tells it. Else all.",
            show_default=False,
        ),
    ] = None,
    folder: Folder = FOLDER,
) -> None:
    """Cosign nothing more that only these keys have signed, at once and for good. What was cosigned stays remembered."""
    from arbiter.witness.witness import Witness, posix_seconds

    for ended in Witness.open(folder).store.distrust(origin, key, posix_seconds()):
        out.print(f"{ended.label} is not trusted for {origin} any more", markup=False)


@app.command("serve", epilog=examples("arbiter witness serve --host 0.0.0.0 --port 8410"))
def witness_serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8410,
    folder: Folder = FOLDER,
) -> None:
    """Answer logs (POST /add-checkpoint, C2SP tlog-witness) until interrupted. It speaks plain HTTP: put TLS in front."""
    from arbiter.telemetry.logs import log_to_stderr
    from arbiter.witness.app import serve
    from arbiter.witness.witness import Witness

    log_to_stderr()
    witness = Witness.open(folder)
    err.print(f"{witness.key.name} witnesses on http://{host}:{port}; Ctrl-C stops it", markup=False)
    serve(witness, host, port)


@app.command("show", epilog=examples("arbiter witness show", "arbiter witness show --json"))
def witness_show(*, folder: Folder = FOLDER, as_json: AsJson = False) -> None:
    """Show the witness's key, and each log: keys trusted and not any more, size cosigned last, contradictions it signed."""
    from arbiter.witness.witness import Witness

    witness = Witness.open(folder)
    columns = ("origin", "keys", "distrusted", "size", "cosigned_at", "contradictions")
    rows = [
        (
            known.origin,
            [key.label for key in known.keys],
            [f"{key.label} at {_instant(at)}" for key, at in known.distrusted],
            known.head.size,
            _instant(known.head.cosigned_at) if known.note is not None else None,
            known.contradictions,
        )
        for known in witness.store.logs()
    ]
    if as_json:
        logs = [dict(zip(columns, row, strict=True)) for row in rows]
        show_json({"verifier_key": witness.key.public.encode(), "logs": logs})
        return
    out.print(witness.key.public.encode(), markup=False)
    show_rows(columns, rows, as_json=False)


@app.command("evidence", epilog=examples("arbiter witness evidence log.hospital.example/arbiter evidence"))
def witness_evidence(
    origin: Annotated[str, typer.Argument(help="A log's origin.", show_default=False)],
    into: Annotated[Path, typer.Argument(help="A new folder for the files.", show_default=False)],
    folder: Folder = FOLDER,
) -> None:
    """Write what is kept against a log into files: each refused request, and the checkpoint cosigned before it."""
    from arbiter.witness.witness import Witness

    kept = Witness.open(folder).store.evidence(origin)
    into.mkdir(mode=0o700)
    for number, (kind, body, against) in enumerate(kept, 1):
        (into / f"{number:04}-{kind.value}.request").write_bytes(body)
        (into / f"{number:04}-{kind.value}.cosigned").write_bytes(against)
    out.print(f"{len(kept)} kept against {origin}, written to {into}", markup=False)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
