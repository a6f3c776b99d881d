"""`arbiter panel check` and `arbiter panel weights`: what answers in each seat, compared with what the files say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import Status
from arbiter.cli.inside import run
from arbiter.cli.options import AsJson
from arbiter.cli.output import err, show_json, show_rows
from arbiter.cli.panel.group import app
from arbiter.cli.panel.naming import Protocols, Replicas, fleet_of, protocols_of, require_asked, require_known

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arbiter.fleet.checking import Proof

COLUMNS = ("protocol", "seat", "replica", "state", "check", "expected", "came", "what to do")


@app.command(
    "check",
    epilog=examples(
        "arbiter panel check",
        "arbiter panel check ./my-protocol --replica gpu-a-1",
        "arbiter panel check --json",
    ),
)
def panel_check(
    protocols: Protocols = None,
    *,
    replicas: Replicas = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="How long a completion of one token may take.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Prove every seat that a model fills: one real completion through each replica, and what answers compared with the files.

    Compared are the name served, adapter or base, the folders it was started from, the tokens of context, vLLM's version
    (`version` in the fleet file, else all replicas of a server alike) and, where the folder can be read here, the weights'
    hash with the seat's `weights_sha256`. What is `wrong` must not be used, what is `silent` may come back, what is
    `unknown` cannot be told from here.

    Exit status: 0 every seat is proven at every replica, 1 one is not, or no seat asks a model.
    """
    from arbiter.fleet.checking import check, seats_of
    from arbiter.fleet.judging import State
    from arbiter.fleet.token import read_token
    from arbiter.fleet.weights import Hasher
    from arbiter.settings import read_settings

    settings = read_settings()
    fleet, meant = fleet_of(settings), protocols_of(settings, protocols)
    require_asked(fleet, meant)
    seats = seats_of(fleet, meant)
    require_known(replicas, {replica.name for expected in seats for replica in expected.server.replicas})
    proofs = run(
        check(
            seats,
            read_token(settings.model_server_token_file),
            Hasher(),
            only=replicas or (),
            seconds=seconds,
        )
    )
    if as_json:
        show_json([_document(proof) for proof in proofs])
    else:
        _show(proofs)
    if any(proof.state is not State.PROVEN for proof in proofs):
        raise typer.Exit(Status.FAILED)


@app.command(
    "weights",
    epilog=examples(
        "arbiter panel weights ./models/base --adapter ./adapters/respiratory",
        "arbiter panel weights ./models/base --json",
    ),
)
def panel_weights(
    model: Annotated[Path, typer.Argument(help="The folder of a base model.", show_default=False)],
    *,
    adapter: Annotated[
        Path | None,
        typer.Option("--adapter", help="The folder of an adapter on it.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the `weights_sha256` of a seat: the hash of the base's safetensors files and of the adapter's.

    It is `sha256sum adapter/*.safetensors model/*.safetensors | sha256sum` for folders of these names.
    """
    from arbiter.fleet.weights import weights_sha256

    found = weights_sha256(model, adapter)
    if as_json:
        show_json({"weights_sha256": found})
    else:
        typer.echo(found)


def _show(proofs: Sequence[Proof]) -> None:
    from arbiter.errors import counted
    from arbiter.fleet.judging import State

    show_rows(COLUMNS, [row for proof in proofs for row in _rows(proof)], as_json=False)
    counts = {state: sum(proof.state is state for proof in proofs) for state in State}
    told = ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)
    err.print(f"{counted(len(proofs), 'seat')} at their replicas: {told}", markup=False)


def _rows(proof: Proof) -> Iterator[tuple[str, ...]]:
    """Yield a row for what is proven together, and one for each thing that is not."""
    from arbiter.fleet.judging import State

    place = (proof.expected.protocol, proof.expected.member, proof.replica.name)
    proven = [line.check.value for line in proof.lines if line.state is State.PROVEN]
    if proven:
        yield (*place, State.PROVEN.value, ", ".join(proven), "", "", "")
    for line in proof.lines:
        if line.state is not State.PROVEN:
            yield (*place, line.state.value, line.check.value, line.expected, line.came, line.advice)


def _document(proof: Proof) -> dict[str, object]:
    return {
        "protocol": proof.expected.protocol,
        "seat": proof.expected.member,
        "server": proof.expected.server.name,
        "replica": proof.replica.name,
        "url": proof.replica.url,
        "model": proof.expected.model.name,
        "state": proof.state,
        "checks": [
            {
                "check": line.check,
                "state": line.state,
                "expected": line.expected,
                "came": line.came,
                "what_to_do": line.advice,
            }
            for line in proof.lines
        ],
    }
