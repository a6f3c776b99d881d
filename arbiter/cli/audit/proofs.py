"""`arbiter audit show`, `proof` and `verify-proof`: one entry looked at, and proofs made here that are checked anywhere."""

from __future__ import annotations

from datetime import timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.cli.audit.group import app
from arbiter.cli.audit.words import clock, said
from arbiter.cli.examples import examples
from arbiter.cli.failing import Status, UsageError
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import err, out, show_json
from arbiter.errors import VerificationError

if TYPE_CHECKING:
    from arbiter.audit.case_proofs import VerifiedCase
    from arbiter.audit.note import VerifierKey
    from arbiter.workflow.house import House
    from arbiter.workflow.log.inspecting import Inspected

MOST_ENTRIES = 20_000
MOST_SEQ = 2**31 - 1
_PROOF_MARK = b"c2sp.org/tlog-proof@"
_MILLISECONDS_BELOW = timedelta(seconds=10)

Keys = Annotated[
    list[str],
    typer.Option(
        "--key", help="The log's verifier key, from somewhere you trust; may be given more than once."
    ),
]


@app.command(
    "show",
    epilog=examples(
        "arbiter audit show 1042",
        "arbiter audit show c_4jnoc5hb37oz5irylzg747rv 3",
        "arbiter audit show 1042 --json",
    ),
)
def audit_show(
    which: Annotated[str, typer.Argument(metavar="INDEX|CASE", help="A place in the log, or a case.")],
    seq: Annotated[
        int | None, typer.Argument(min=0, max=MOST_SEQ, help="The entry's number in its case.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show one entry: its fields, its proof, how long it waited for its seal, and what it commits to.

    Says of each commitment whether its content is still kept and fits; shows none of it. Exit status 1 when anything does not fit.
    """
    if seq is None and not which.isdecimal():
        raise UsageError("expected an index of the log, or a case and the number of its entry")

    async def look(house: House) -> tuple[Inspected, tzinfo | None]:
        from arbiter.workflow.log.inspecting import inspect_chain_entry, inspect_leaf

        zone = house.settings.zone
        if seq is None:
            return await inspect_leaf(house, int(which)), zone
        return await inspect_chain_entry(house, which, seq), zone

    seen, zone = in_house(look, check_log=False)
    if as_json:
        show_json(_record(seen))
    else:
        _print_inspected(seen, zone)
    if seen.fault is not None or any(standing.name == "OTHER" for _, _, standing in seen.commitments):
        raise typer.Exit(Status.FAILED)


def _record(seen: Inspected) -> dict[str, Any]:
    entry, first = seen.entry, seen.first_covered_by
    return {
        "index": seen.index,
        "type": entry.type,
        "says": said(entry.type),
        "case": entry.case,
        "seq": entry.seq,
        "count": entry.count,
        "at": entry.at,
        "actor": entry.actor,
        "trace": entry.trace,
        "prev": entry.prev,
        "versions": dict(entry.versions),
        "commits": [
            {"name": name, "commitment": commitment, "standing": standing.name.lower()}
            for name, commitment, standing in seen.commitments
        ],
        "entry": seen.body.decode("ascii"),
        "proof": None if seen.proof is None else seen.proof.encode().decode("utf-8"),
        "proof_verified": None if seen.index is None else seen.fault is None,
        "fault": seen.fault,
        "sealed": None
        if first is None or seen.waited is None
        else {
            "at": first.sealed_at,
            "checkpoint_size": first.size,
            "waited_seconds": seen.waited.total_seconds(),
        },
    }


def _print_inspected(seen: Inspected, zone: tzinfo | None) -> None:
    entry = seen.entry
    lines: list[tuple[str, str]] = [
        ("says", said(entry.type)),
        ("type", entry.type),
        ("case", f"{entry.case}, entry {entry.seq}"),
        ("written", f"{clock(entry.at, zone)} ({entry.at.isoformat()})"),
        ("actor", entry.actor),
        *(("version", f"{name} {value}") for name, value in entry.versions),
        ("trace", entry.trace or "none"),
        ("follows", entry.prev if entry.seq else "nothing: it begins its chain"),
    ]
    if entry.count is not None:
        lines.append(("closes", f"the case, whose entries are now {entry.count}"))
    for name, value in lines:
        out.print(f"{name:<9} {value}", markup=False)
    for name, commitment, standing in seen.commitments:
        out.print(f"{'commits':<9} {name} {commitment}", markup=False)
        styled = {"OPENS": "green", "OTHER": "bold red"}.get(standing.name, "yellow")
        out.print(f"{'':<9} {standing}", markup=False, style=styled)
    _print_seal(seen, zone)


def _print_seal(seen: Inspected, zone: tzinfo | None) -> None:
    if seen.index is None or seen.proof is None:
        out.print(f"{'sealed':<9} not yet: it waits for the next seal", style="yellow")
        return
    first, waited = seen.first_covered_by, seen.waited
    out.print(f"{'index':<9} {seen.index}")
    if first is not None and waited is not None:
        out.print(
            f"{'sealed':<9} {clock(first.sealed_at, zone)}, {_short(waited)} after it was written, "
            f"under the checkpoint of size {first.size}"
        )
    if seen.fault is not None:
        out.print(f"{'proof':<9} DOES NOT VERIFY: {seen.fault}", style="bold red", markup=False)
        return
    hashes = len(seen.proof.hashes)
    out.print(
        f"{'proof':<9} verified: {hashes} {'hash leads' if hashes == 1 else 'hashes lead'} to the root of the "
        f"checkpoint of size {seen.covered_size}",
        style="green",
    )


def _short(waited: timedelta) -> str:
    seconds = waited.total_seconds()
    return f"{seconds * 1000:.0f} ms" if abs(waited) < _MILLISECONDS_BELOW else f"{seconds:.0f} s"


@app.command(
    "proof",
    epilog=examples(
        "arbiter audit proof c_4jnoc5hb37oz5irylzg747rv 3 -o decision.tlog-proof",
        "arbiter audit proof c_4jnoc5hb37oz5irylzg747rv -o case.json",
    ),
)
def audit_proof(
    case: Annotated[str, typer.Argument(help="The case, or another chain such as `house`.")],
    seq: Annotated[
        int | None, typer.Argument(min=0, max=MOST_SEQ, help="One entry's number; without it, all.")
    ] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; it must not exist yet.")],
) -> None:
    """Write proof that the log holds an entry of a case, or all of them, under the newest checkpoint.

    With SEQ, a C2SP tlog-proof, and the entry beside it in a file that ends in `.entry.json`. Without it, one JSON file
    with every sealed entry. `arbiter audit verify-proof` checks either anywhere. Neither holds anything of the patient's.
    """
    from arbiter.workflow.log import proving

    async def prove_all(house: House) -> proving.ProofsPage:
        async with house.store.read() as transaction:
            return await proving.prove_chain(transaction, case, -1, MOST_ENTRIES)

    async def prove_one(house: House) -> tuple[bytes, bytes]:
        from arbiter.workflow.log.inspecting import inspect_chain_entry

        seen = await inspect_chain_entry(house, case, seq or 0)
        if seen.proof is None:
            raise VerificationError(f"entry {seq} of case {case} is not sealed yet: try again in a moment")
        return seen.proof.encode(), seen.body

    if seq is None:
        page = in_house(prove_all, check_log=False)
        _write(output, page.proofs.encode())
        out.print(f"{len(page.proofs.entries)} entries of {case}: {output}", markup=False)
        if page.unsealed or page.next_after is not None:
            err.print(
                f"not in it: {page.unsealed} not sealed yet, and any after {MOST_ENTRIES}", style="yellow"
            )
        return
    proof, entry = in_house(prove_one, check_log=False)
    beside = output.with_suffix(".entry.json")
    _write(output, proof)
    _write(beside, entry)
    out.print(f"{output}\n{beside}", markup=False)


@app.command(
    "verify-proof",
    epilog=examples(
        "arbiter audit verify-proof decision.tlog-proof decision.entry.json --key log.hospital.example/arbiter+f41aaf94+AXzM3tnp",
        "arbiter audit verify-proof case.json --key log.hospital.example/arbiter+f41aaf94+AXzM3tnp",
    ),
)
def audit_verify_proof(
    file: Annotated[Path, typer.Argument(help="A C2SP tlog-proof, or a case's proofs as JSON.")],
    entry: Annotated[Path | None, typer.Argument(help="The entry that a tlog-proof is about.")] = None,
    *,
    key: Keys,
    as_json: AsJson = False,
) -> None:
    """Verify proofs offline: no database, no network, nothing of Arbiter's but the verifier key."""
    from arbiter.audit.case_proofs import verify_case_proofs
    from arbiter.audit.note import parse_keys

    verifiers = tuple(one for text in key for one in parse_keys(text))
    data = file.read_bytes()
    if not data.startswith(_PROOF_MARK):
        if entry is not None:
            raise UsageError(f"{file} holds its entries: expected no ENTRY beside it")
        _tell_case(verify_case_proofs(data, verifiers), as_json=as_json)
        return
    if entry is None:
        raise UsageError(f"{file} proves one entry: expected its file as ENTRY")
    _verify_one(data, entry.read_bytes(), verifiers, as_json=as_json)


def _verify_one(data: bytes, body: bytes, verifiers: tuple[VerifierKey, ...], *, as_json: bool) -> None:
    from arbiter.audit.entry import Entry
    from arbiter.audit.merkle import leaf_hash
    from arbiter.audit.proof import TlogProof, verify_proof

    proof = TlogProof.parse(data)
    opened = verify_proof(proof, leaf_hash(body), verifiers)
    found, under = Entry.from_bytes(body), opened.checkpoint
    if as_json:
        show_json(
            {
                "verified": True,
                "index": proof.index,
                "type": found.type,
                "case": found.case,
                "seq": found.seq,
                "at": found.at,
                "checkpoint": {"origin": under.origin, "size": under.size},
            }
        )
        return
    out.print(
        f"{said(found.type)}: entry {found.seq} of case {found.case} at {found.at.isoformat()}, index {proof.index} "
        f"under a checkpoint of {under.size} entries signed by {under.origin}",
        markup=False,
    )


def _tell_case(verified: VerifiedCase, *, as_json: bool) -> None:
    under = verified.opened.checkpoint
    if as_json:
        show_json(
            {
                "verified": True,
                "case": verified.case,
                "from_start": verified.from_start,
                "closed": verified.closed,
                "entries": [
                    {"index": index, "seq": found.seq, "type": found.type, "at": found.at}
                    for index, found in verified.entries
                ],
                "checkpoint": {"origin": under.origin, "size": under.size},
            }
        )
        return
    for index, found in verified.entries:
        out.print(f"{index:>9}  {found.seq:>3}  {found.at.isoformat()}  {said(found.type)}", markup=False)
    begins = "from its first entry on" if verified.from_start else "from a later entry on"
    ends = "closed among them" if verified.closed else "not closed"
    out.print(
        f"verified {len(verified.entries)} entries of case {verified.case} {begins}, none missing between them, {ends}; "
        f"under a checkpoint of {under.size} entries signed by {under.origin}",
        markup=False,
    )


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
