"""`arbiter labels import`: a hospital's labelled cases become a file that `arbiter evaluate` and `arbiter calibrate` read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.hearing import ProtocolName, bundle_of
from arbiter.cli.labels.group import app
from arbiter.cli.options import AsJson
from arbiter.cli.output import err, out, show_json
from arbiter.labels.reading import FILE_LIMIT_BYTES, Beside, Format, format_of
from arbiter.model import RiskClass

if TYPE_CHECKING:
    from arbiter.labels.importing import Imported
    from arbiter.labels.needing import Lacking

_PLACES_SHOWN = 10


@app.command(
    "import",
    epilog=examples(
        "arbiter labels import deterioration ward.csv --out cases.jsonl",
        "arbiter labels import deterioration ward.csv --check --observed-at-column charted_at --source ward-chart",
        "arbiter labels import ./my-protocol records.ndjson --format fhir --risk-class routine --out cases.jsonl",
    ),
)
def labels_import(
    protocol: ProtocolName,
    file: Annotated[
        Path, typer.Argument(help="The labelled cases: CSV, JSON or FHIR Bundles.", show_default=False)
    ],
    *,
    target: Annotated[
        Path | None, typer.Option("--out", help="The file of cases to write.", show_default=False)
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read and judge the file, and write nothing.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what --out names.")] = False,
    kind: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="What the file is; else its name says: .csv, .json, .fhir.json.",
            show_default=False,
        ),
    ] = None,
    risk_class: Annotated[
        RiskClass | None,
        typer.Option("--risk-class", help="That of cases that name none.", show_default=False),
    ] = None,
    observed_at_column: Annotated[
        str | None,
        typer.Option(
            "--observed-at-column",
            help="CSV: the column that says when facts without an observed_at of their own were observed.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="CSV: where facts come from that name no source.", show_default=False),
    ] = None,
    ignored: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore-column",
            help="CSV: a column that is of no concern; may be given more than once.",
            show_default=False,
        ),
    ] = None,
    subject_system: Annotated[
        str | None,
        typer.Option(
            "--subject-system",
            help="FHIR: the system of the Patient's number that counts.",
            show_default=False,
        ),
    ] = None,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Let invented labels pass; they stay synthetic.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a hospital's labelled cases into the file that `arbiter evaluate` and `arbiter calibrate` read.

    Each case says when the question would have been put (taken_at), what was known by then (facts with units and instants, judged
    as at the door), and its label: the option, its kind (outcome, independent reader or blind opinion), its source and its date.
    A decision taken after seeing the panel is no label and is refused. The file written holds ids and facts of patients, their
    numbers not: keep it as you keep records. The README's section Labels has the columns, members and parameters.

    Exit status: 0 the cases are fit (and written), 1 they are not, 2 the command line does not fit.
    """
    from arbiter.clock import SystemClock
    from arbiter.labels.cases_file import content_of, keep_cases
    from arbiter.labels.importing import import_labels
    from arbiter.labels.needing import lacking

    chosen = kind or format_of(file.name)
    if chosen is None:
        raise UsageError(
            f"{file}: expected a name that ends in .csv, .json, .jsonl, .ndjson or .fhir.json, or --format"
        )
    beside = Beside(
        risk_class, observed_at_column, source, frozenset(ignored or ()), subject_system, synthetic
    )
    _require_fitting(chosen, beside)
    _require_target(file, target, check=check, force=force)
    bundle = bundle_of(protocol)
    # A file's name need not be UTF-8.
    name = file.name.encode(errors="replace").decode()
    imported = import_labels(name, _read(file), chosen, bundle, beside, SystemClock().now())
    written = None if check or target is None else target
    content = content_of(imported.cases, bundle.protocol.question, str(target or file.name))
    if written is not None:
        keep_cases(written, content, force=force)
    wanted = lacking(bundle.protocol, imported.cases)
    if as_json:
        show_json(_document(imported, wanted, written))
        return
    for line in _warnings(imported):
        err.print(line, markup=False)
    for line in (*_told(imported), *_wanted(wanted)):
        out.print(line, markup=False)
    out.print(f"{written}: for its owner alone" if written else "checked; nothing was written", markup=False)


def _require_fitting(chosen: Format, beside: Beside) -> None:
    """Refuse what is said for another format: who says it believes that it counts."""
    of_csv = {
        "--observed-at-column": beside.observed_at_column,
        "--source": beside.source,
        "--ignore-column": beside.ignored,
    }
    of_fhir = {"--subject-system": beside.subject_system}
    stray = ({} if chosen is Format.CSV else of_csv) | ({} if chosen is Format.FHIR else of_fhir)
    given = [option for option, value in stray.items() if value]
    if given:
        raise UsageError(f"expected no {', '.join(given)} with {chosen.value}, which says it case by case")


def _require_target(file: Path, target: Path | None, *, check: bool, force: bool) -> None:
    if target is None:
        if not check:
            raise UsageError("expected --out FILE for the cases, or --check to write nothing")
        return
    if not target.parent.is_dir():
        raise UsageError(f"{target}: expected a folder for it at {target.parent}, none is there")
    if target.exists() and file.exists() and target.samefile(file):
        raise UsageError("expected another file for --out than the one that is read")
    if target.exists() and not force and not check:
        raise UsageError(f"{target} is there already: expected another name, or --force to replace it")


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(FILE_LIMIT_BYTES + 1)


def _told(imported: Imported) -> Iterator[str]:
    from arbiter.errors import counted

    yield counted(len(imported.cases), "labelled case")
    yield f"labels: {_counts(imported.labels)}"
    yield f"from: {_counts(imported.kinds)}"


def _counts(counts: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts)


def _warnings(imported: Imported) -> Iterator[str]:
    from arbiter.calibration import is_synthetic

    if any(is_synthetic(kind) for kind, _ in imported.kinds):
        yield "SYNTHETIC: a generator invented some of these labels; what is made of them counts in a demonstration alone"
    for pairs, words in (
        (imported.contradicting, "the facts of an earlier case and another label"),
        (imported.repeated, "the facts and the label of an earlier case; one patient twice counts as two"),
    ):
        if pairs:
            shown = ", ".join(f"{later} as {earlier}" for later, earlier in pairs[:_PLACES_SHOWN])
            more = "" if len(pairs) <= _PLACES_SHOWN else f" and {len(pairs) - _PLACES_SHOWN:,} more"
            yield f"{len(pairs):,} with {words}: {shown}{more}"
    if imported.of_same_patient:
        yield (
            f"{imported.of_same_patient:,} of a patient who has an earlier one here: certificates take cases for independent, "
            "and those are not"
        )
    if imported.preliminary:
        yield f"{imported.preliminary:,} facts were preliminary; an evaluation hears every fact as final"
    for reason, count in imported.left_out:
        yield f"left out {count:,} times, {reason}"


def _wanted(wanted: tuple[Lacking, ...]) -> Iterator[str]:
    for one in wanted:
        there = f"{one.labelled:,} labelled so, {one.held_out:,} of them held out"
        if one.more:
            yield (
                f"{one.option}: {there}; to be certified it takes at least {one.least:,} held out that the panel decides so, "
                f"none of them wrong: label some {2 * one.more:,} more"
            )
        else:
            yield f"{one.option}: {there}; {one.least:,} held out that the panel decides so are enough if none is wrong"


def _document(imported: Imported, wanted: tuple[Lacking, ...], written: Path | None) -> dict[str, Any]:
    return {
        "cases": len(imported.cases),
        "labels": dict(imported.labels),
        "provenance": dict(imported.kinds),
        "same_facts_other_label": [list(pair) for pair in imported.contradicting],
        "same_facts_same_label": [list(pair) for pair in imported.repeated],
        "of_same_patient": imported.of_same_patient,
        "preliminary_facts": imported.preliminary,
        "left_out": dict(imported.left_out),
        "to_certify": {
            one.option: {"labelled": one.labelled, "held_out": one.held_out, "least_held_out": one.least}
            for one in wanted
        },
        "written": None if written is None else str(written),
    }
