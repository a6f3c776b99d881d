"""`arbiter audit verify` and `verify-receipt`: check the log and what rests on it, with or without the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.audit.group import app
from arbiter.cli.examples import examples
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import entry_bar, out, show_json
from arbiter.errors import ConfigurationError, counted

if TYPE_CHECKING:
    from datetime import datetime

    from arbiter.audit.note import VerifierKey
    from arbiter.audit.receipt import VerifiedReceipt
    from arbiter.audit.verify import LogReport
    from arbiter.workflow.house import House


@app.command("verify", epilog=examples("arbiter audit verify", "arbiter audit verify --json"))
def audit_verify(*, as_json: AsJson = False) -> None:
    """Verify the whole log in the database: every entry, chain and checkpoint, and its tail against the kept checkpoint."""
    report, kept = in_house(_verify, check_log=False)
    size = 0 if report.newest is None else report.newest.size
    if as_json:
        show_json(
            {
                "verified": True,
                "entries": report.entries,
                "chains": report.chains,
                "checkpoints": report.checkpoints,
                "newest_size": size,
                "recoveries": [str(recovery) for recovery in report.recoveries],
                "compared_with_kept": kept,
            }
        )
        return
    against = "none missing against the kept checkpoint" if kept else "no kept checkpoint to compare with"
    out.print(
        f"verified {report.entries} entries of {counted(report.chains, 'chain')} under {counted(report.checkpoints, 'checkpoint')}; "
        f"newest covers {size}; {against}"
    )
    for recovery in report.recoveries:
        out.print(
            f"recovered: {recovery}{'' if recovery.signed_by_old else ' (not signed by the old key)'}",
            markup=False,
        )


async def _verify(house: House) -> tuple[LogReport, bool]:
    import asyncio

    from arbiter.workflow.auditing import verify_log
    from arbiter.workflow.log.kept import KeptCheckpoint

    file = KeptCheckpoint(house.settings.data)
    kept = await asyncio.to_thread(file.note)
    with entry_bar() as advance:
        report = await verify_log(house, kept, advance)
    if kept is None and report.entries:
        raise ConfigurationError(
            f"{report.entries} entries verify among themselves, and {file.path} is missing; restore that file: without it "
            "nobody can tell whether the newest entries are gone"
        )
    return report, kept is not None


@app.command(
    "verify-receipt",
    epilog=examples(
        "arbiter audit verify-receipt receipt.json --key log.hospital.example/arbiter+f41aaf94+AXzM3tnp",
        "arbiter audit verify-receipt receipt.json --key LOG-KEY --witness KEY --witness KEY --quorum 1",
    ),
)
def audit_verify_receipt(
    file: Path,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            help="The log's verifier keys, one a line, from somewhere you trust.",
            show_default=False,
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(
            "--witness",
            help="A witness's verifier key, from somewhere you trust; may be given more than once.",
            show_default=False,
        ),
    ] = None,
    quorum: Annotated[
        int | None,
        typer.Option(
            "--quorum", min=1, help="How many of them must have cosigned. Else all.", show_default=False
        ),
    ] = None,
    *,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys", help="The file that `keys export-public` wrote: follows rotations.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a receipt offline: no database, no network, nothing of Arbiter's but the verifier keys."""
    from arbiter.audit.note import VerifierKey, parse_keys
    from arbiter.audit.public_keys import read_public_keys
    from arbiter.audit.receipt import verify_receipt

    witnesses = tuple(VerifierKey.parse(text) for text in witness or ())
    if quorum is not None and not witnesses:
        raise typer.BadParameter("needs the witnesses' keys, each after --witness", param_hint="--quorum")
    if (key is None) == (keys is None):
        raise typer.BadParameter("expected one of both, and not both", param_hint="--key, --keys")
    verifiers: tuple[VerifierKey, ...] = (
        parse_keys(key or "") if keys is None else read_public_keys(keys.read_bytes())
    )
    verified = verify_receipt(file.read_bytes(), (*verifiers, *witnesses))
    entry = verified.entry
    cosigned = _cosigned(verified, witnesses, quorum) if witnesses else ()
    if as_json:
        show_json(
            {
                "verified": True,
                "type": entry.type,
                "case": entry.case,
                "at": entry.at,
                "seq": entry.seq,
                "checkpoint": {"origin": verified.checkpoint.origin, "size": verified.checkpoint.size},
                "opened": {name: len(content) for name, content in verified.contents},
                "witnesses": [{"name": name, "cosigned_at": cosigned_at} for name, cosigned_at in cosigned],
            }
        )
        return
    out.print(
        f"{entry.type} of case {entry.case} at {entry.at.isoformat()}: entry {entry.seq}, under a checkpoint of "
        f"{verified.checkpoint.size} entries signed by {verified.checkpoint.origin}",
        markup=False,
    )
    for opened, content in verified.contents:
        out.print(f"{opened}: {len(content)} bytes, as committed to", markup=False)
    for name, cosigned_at in cosigned:
        out.print(f"cosigned by {name} at {cosigned_at.isoformat()}", markup=False)


def _cosigned(
    verified: VerifiedReceipt, witnesses: tuple[VerifierKey, ...], quorum: int | None
) -> tuple[tuple[str, datetime], ...]:
    """Return who cosigned the receipt's checkpoint and when; raises `VerificationError` when too few did."""
    from datetime import UTC, datetime

    from arbiter.audit.cosigned import require_quorum

    needed = len({key.public_key for key in witnesses}) if quorum is None else quorum
    found = require_quorum(
        verified.opened,
        witnesses,
        needed,
        not_before=int(verified.entry.at.timestamp()),
        now=int(datetime.now(UTC).timestamp()),
    )
    return tuple((s.key.name, datetime.fromtimestamp(s.timestamp_seconds or 0, UTC)) for s in found)
