"""`arbiter audit diff`: two checkpoints compared, what was added between them, and loudly when both cannot be true."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.audit.additions import AddedEntries, Additions
from arbiter.audit.checkpoint import Checkpoint, open_checkpoint
from arbiter.audit.comparison import ContradictionError, compare_under
from arbiter.audit.merkle import Frontier
from arbiter.audit.note import VerifierKey, parse_keys
from arbiter.audit.tiles import TILE_WIDTH, Tile, TileNodes, parse_bundle, tile_width
from arbiter.cli.audit.group import app
from arbiter.cli.audit.sources import LogSource, is_url, open_source
from arbiter.cli.audit.words import clock, said
from arbiter.cli.examples import examples
from arbiter.cli.failing import Status, UsageError
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson, TokenFile
from arbiter.cli.output import err, out, show_json
from arbiter.lifecycle.entries import EntryType

if TYPE_CHECKING:
    from arbiter.workflow.house import House

FOLLOWED = (EntryType.RECEIVED, EntryType.DECIDED, EntryType.ESCALATED)
_VERBS = {EntryType.RECEIVED: "begun", EntryType.DECIDED: "decided", EntryType.ESCALATED: "escalated"}
NOTHING = Additions(0, (), None, None, ())
_CASES_SHOWN = 20

Which = Annotated[
    str, typer.Argument(help="A file, a size, or the address of a log (https://host/v1/audit).")
]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Both notes as they came, and what they say once opened."""

    notes: tuple[bytes, bytes]
    old: Checkpoint
    new: Checkpoint


@app.command(
    "diff",
    epilog=examples(
        "arbiter audit diff yesterday.checkpoint today.checkpoint",
        "arbiter audit diff 256 1042",
        "arbiter audit diff kept.checkpoint https://arbiter.hospital.example/v1/audit --key log.hospital.example/arbiter+f41aaf94+AXzM3tnp",
    ),
)
def audit_diff(
    old: Which,
    new: Which,
    *,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="A verifier key you trust: then no database of this machine's is asked."),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            "--log", help="With --key: where the tiles are, an address or a folder; else NEW or OLD."
        ),
    ] = None,
    token_file: TokenFile = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="Write both notes into this folder, byte for byte, whatever they say."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two checkpoints: check both signatures, that the newer contains the older, and say what was added.

    By this installation's database and keys; with --key by a log's public tiles alone. Entries are counted where they can
    be read: from the database, a folder, or with an auditor's --token-file. Exit status 1 when the two contradict each other.
    """
    if key is None and (log is not None or token_file is not None):
        raise UsageError("--log and --token-file: expected with --key; without it the database is asked")
    if key is not None:
        _diff_outside(
            old,
            new,
            tuple(one for text in key for one in parse_keys(text)),
            log,
            token_file,
            keep,
            as_json=as_json,
        )
        return

    async def compare(house: House) -> None:
        from arbiter.workflow.log.comparing import compare_in_house

        notes = (await _note_in(house, old), await _note_in(house, new))
        pair = _opened(notes, house.verifiers, keep)
        try:
            added = await compare_in_house(house, pair.old, pair.new, FOLLOWED)
        except ContradictionError as error:
            _cry_out(pair, error, as_json=as_json)
            raise typer.Exit(Status.FAILED) from None
        _tell(pair, added, house.settings.zone, as_json=as_json)

    in_house(compare, check_log=False)


async def _note_in(house: House, which: str) -> bytes:
    from arbiter.workflow.log.comparing import stored_checkpoint

    return await stored_checkpoint(house, int(which)) if which.isdecimal() else _note_of(which)


def _note_of(which: str) -> bytes:
    if which.isdecimal():
        raise UsageError(
            f"{which}: a size means a checkpoint of this installation's database: not with --key"
        )
    if not is_url(which):
        return Path(which).read_bytes()
    with open_source(which, None) as source:
        return source.checkpoint()


def _opened(notes: tuple[bytes, bytes], verifiers: Sequence[VerifierKey], keep: Path | None) -> _Pair:
    old, new = (open_checkpoint(note, verifiers).checkpoint for note in notes)
    if keep is not None:
        _keep(notes, (old, new), keep)
    if old.origin == new.origin and old.size > new.size:
        raise UsageError(f"OLD has {old.size} entries and NEW {new.size}: expected the older one first")
    return _Pair(notes, old, new)


def _keep(notes: tuple[bytes, bytes], opened: tuple[Checkpoint, Checkpoint], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for note, checkpoint in zip(notes, opened, strict=True):
        path = folder / f"{checkpoint.size}-{checkpoint.root.hex()[:16]}.checkpoint"
        path.write_bytes(note)
        err.print(f"kept {path}", markup=False)


# --- without the database ---------------------------------------------------------------------------------------------


def _diff_outside(
    old: str,
    new: str,
    verifiers: tuple[VerifierKey, ...],
    log: str | None,
    token_file: Path | None,
    keep: Path | None,
    *,
    as_json: bool,
) -> None:
    where = log or next((which for which in (new, old) if is_url(which)), None)
    pair = _opened((_note_of(old), _note_of(new)), verifiers, keep)
    with ExitStack() as stack:
        try:
            if where is None and pair.old.size == pair.new.size and pair.old.origin == pair.new.origin:
                # One size needs no tree: either the roots are one, or they contradict each other.
                compare_under(pair.old, pair.new, pair.new, _no_node)
                _tell(pair, NOTHING, None, as_json=as_json)
                return
            if where is None:
                raise UsageError(
                    "expected --log: where are the tiles of the log that these checkpoints are of?"
                )
            source = stack.enter_context(open_source(where, token_file))
            head = open_checkpoint(source.checkpoint(), verifiers).checkpoint
            nodes = TileNodes(head.size, source.tile)
            compare_under(pair.old, pair.new, head, nodes)
        except ContradictionError as error:
            _cry_out(pair, error, as_json=as_json)
            raise typer.Exit(Status.FAILED) from None
        _tell(pair, _added(pair, source, nodes, head.size), None, as_json=as_json)


def _no_node(level: int, index: int) -> bytes:
    raise AssertionError(f"node {level}, {index} was asked for, and there is no tree")


def _added(pair: _Pair, source: LogSource, nodes: TileNodes, size: int) -> Additions | None:
    """Count the entries between both, or return None where the source shows none."""
    added = AddedEntries(pair.old, Frontier.load(pair.old.size, nodes), FOLLOWED)
    for index in range(pair.old.size // TILE_WIDTH, -(-pair.new.size // TILE_WIDTH)):
        tile = Tile(None, index, tile_width(None, index, size))
        content = source.bundle(tile)
        if content is None:
            return None
        start = index * TILE_WIDTH
        entries = parse_bundle(content, tile.width)
        added.feed(entries[max(0, pair.old.size - start) : pair.new.size - start])
    return added.finish(pair.new)


# --- words ------------------------------------------------------------------------------------------------------------


def _tell(pair: _Pair, added: Additions | None, zone: tzinfo | None, *, as_json: bool) -> None:
    if as_json:
        show_json(
            {"consistent": True, **_heads(pair), "added": None if added is None else _added_record(added)}
        )
        return
    old, new = pair.old, pair.new
    if old.size == new.size:
        out.print(
            f"both checkpoints of {new.origin} have size {new.size} and one root: nothing was added",
            markup=False,
        )
        return
    out.print(
        f"the checkpoint of size {new.size} contains that of size {old.size}; both signed by {new.origin}",
        markup=False,
        style="green",
    )
    if added is None:
        out.print(f"{new.size - old.size} entries were added; without an auditor's token nothing tells which")
        return
    assert added.earliest is not None
    assert added.latest is not None
    out.print(
        f"{added.entries} entries were added, written between {clock(added.earliest, zone)} and {clock(added.latest, zone)}:"
    )
    for kind, count in added.by_type:
        out.print(f"{count:>9}  {said(kind)}", markup=False)
    for kind, cases in added.cases:
        if cases:
            shown = " ".join(cases[:_CASES_SHOWN]) + (" …" if len(cases) > _CASES_SHOWN else "")
            out.print(f"{_VERBS[EntryType(kind)]}: {shown}", markup=False)


def _cry_out(pair: _Pair, error: ContradictionError, *, as_json: bool) -> None:
    if as_json:
        show_json({"consistent": False, **_heads(pair), "contradiction": str(error)})
    err.print("CONTRADICTION: this log has said two things, and signed both", style="bold white on red")
    err.print(f"  {error}", style="bold red", markup=False)
    err.print(
        "  Both notes together are the evidence. Keep them byte for byte, away from this machine and from whoever runs "
        "it: `--keep FOLDER` writes them; `arbiter audit evidence` shows what this house found by itself. Tell whoever audits "
        "the log before anything is restored or changed.",
        markup=False,
    )


def _heads(pair: _Pair) -> dict[str, Any]:
    return {
        "origin": pair.new.origin,
        "old": {"size": pair.old.size, "root": pair.old.root.hex()},
        "new": {"size": pair.new.size, "root": pair.new.root.hex()},
    }


def _added_record(added: Additions) -> dict[str, Any]:
    return {
        "entries": added.entries,
        "earliest": added.earliest,
        "latest": added.latest,
        "by_type": dict(added.by_type),
        "cases": {_VERBS[EntryType(kind)]: list(cases) for kind, cases in added.cases},
    }
