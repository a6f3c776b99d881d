"""`arbiter labels gather`: labelled cases from what became of the cases here, to calibrate a panel on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.inside import in_house
from arbiter.cli.labels.group import app
from arbiter.cli.options import AsJson
from arbiter.cli.output import count_bar, out, show_json
from arbiter.cli.persons import PasswordsStdin, ask_passwords, prove

if TYPE_CHECKING:
    from arbiter.evaluation.gathered import Written
    from arbiter.workflow.house import House


@app.command(
    "gather",
    epilog=examples(
        "arbiter labels gather deterioration --out ./labelled --as otto",
        "arbiter labels gather deterioration --out ./again --until 48213 --as otto --json",
    ),
)
def labels_gather(
    protocol: Annotated[str, typer.Argument(help="Id of a protocol in force.", show_default=False)],
    *,
    folder: Annotated[
        Path,
        typer.Option(
            "--out", help="The folder for the cases, the opinions and the manifest.", show_default=False
        ),
    ],
    login: Annotated[
        str,
        typer.Option(
            "--as",
            help="Your login; you need the role policy-author, and every site where the protocol has cases.",
            show_default=False,
        ),
    ],
    until: Annotated[
        int | None,
        typer.Option(
            "--until",
            min=1,
            help="As of the checkpoint of that size, as a manifest names it. Else as of the newest.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what an earlier run left in the folder.")
    ] = False,
    password_stdin: PasswordsStdin = False,
    as_json: AsJson = False,
) -> None:
    """Gather the labelled cases of a protocol's version in force: `cases.jsonl`, `opinions.jsonl` and `manifest.json`.

    A label is an outcome, else an independent reader's word, else a clinician's own opinion from before the panel was shown; never a
    decision taken after that. Decisions are audited by chance, so cases labelled more often than others are thinned: the sample
    is one of all cases. `arbiter calibrate PROTOCOL DIR/cases.jsonl --out DIR` uses what the panel said then, and asks nobody.
    The same log up to the same checkpoint gives the same files.

    The files hold facts of patients and are to be kept as the cases are. Each case that is read, and the run, is an entry of the log.
    Nothing is decided otherwise by it: a calibration still is proposed by one person and approved by another.

    Exit status: 0 the files are written, 1 it cannot be done, 2 the command line does not fit.
    """
    from arbiter.evaluation.gathered import CASES_FILE, MANIFEST_FILE, OPINIONS_FILE

    names = (CASES_FILE, OPINIONS_FILE, MANIFEST_FILE)
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise UsageError(
            f"{folder} holds {', '.join(there)} already: name another --out, or replace what is there with --force"
        )
    passwords = ask_passwords([login], from_stdin=password_stdin)
    written = in_house(lambda house: _gather(house, login, passwords, protocol, until, folder))
    manifest = _told_by(written)
    if as_json:
        show_json(manifest)
        return
    for line in _lines(manifest):
        out.print(line, markup=False)
    out.print(f"{folder / CASES_FILE}: sha256 {manifest['files'][CASES_FILE]}", markup=False)


async def _gather(
    house: House, login: str, passwords: list[str], protocol: str, until: int | None, folder: Path
) -> Written:
    import asyncio

    from arbiter.evaluation.gathered import CASES_FILE, MANIFEST_FILE, OPINIONS_FILE, write
    from arbiter.evaluation.opinions_file import alone
    from arbiter.evaluation.replacing import write_together
    from arbiter.model import CaseId
    from arbiter.workflow.labels.gathering import gather, note_gathered

    (principal,) = await prove(house, [login], passwords)
    with alone(folder):
        with count_bar() as bar:
            gathered = await gather(house, principal, protocol, until, lambda done: bar("cases", done, None))
        written = await asyncio.to_thread(write, gathered)
        await note_gathered(house, principal, tuple(CaseId(case) for case in written.kept), written.manifest)
        texts = {CASES_FILE: written.cases, OPINIONS_FILE: written.opinions, MANIFEST_FILE: written.manifest}
        write_together({folder / name: content.decode() for name, content in texts.items()})
    return written


def _told_by(written: Written) -> dict[str, Any]:
    import json

    told: dict[str, Any] = json.loads(written.manifest)
    return told


def _lines(manifest: dict[str, Any]) -> Iterator[str]:
    """Yield the manifest in words."""
    from arbiter.errors import counted

    protocol, checkpoint = manifest["protocol"], manifest["checkpoint"]
    yield (
        f"{protocol['id']} {protocol['version']}: {counted(manifest['cases'], 'labelled case')} under the checkpoint of "
        f"{checkpoint['size']} entries"
    )
    for kind, counts in manifest["labels"].items():
        yield f"  {kind}: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    if manifest["contradicted"]:
        yield f"  {counted(manifest['contradicted'], 'label')} that somebody else who counts contradicts"
    left_out = ", ".join(f"{count} {why}" for why, count in manifest["left_out"].items() if count)
    yield f"left out: {left_out or 'none'}"
    if manifest["left_out"]["thinned"]:
        yield (
            f"thinned: a case is there with probability {manifest['least_probability']}, the least of all those labelled, "
            "so that the sample is one of all cases"
        )
