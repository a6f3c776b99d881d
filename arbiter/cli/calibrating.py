"""`arbiter calibrate`: what a panel may decide alone, and how often it may then be wrong, from labelled cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.hearing import (
    CasesFile,
    Fresh,
    Parallel,
    ProtocolName,
    bundle_of,
    hear,
    require_extra,
    spare_rings,
)
from arbiter.cli.inside import run
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_json

if TYPE_CHECKING:
    from decimal import Decimal

    from arbiter.calibration import Calibration, Stratum

EXAMPLES = examples(
    "arbiter calibrate deterioration cases.jsonl --out ./evaluation",
    "arbiter calibrate ./my-protocol cases.jsonl --out ./evaluation --look 1",
    "arbiter calibrate ./my-protocol cases.jsonl --out ./evaluation --json",
)


def calibrate(
    protocol: ProtocolName,
    cases: CasesFile,
    *,
    folder: Annotated[
        Path, typer.Option("--out", help="The folder for opinions and calibration.", show_default=False)
    ],
    look: Annotated[
        int | None,
        typer.Option(
            "--look",
            min=1,
            max=100,
            help="Which look at these cases this is, where more may come. Not given: the only one.",
            show_default=False,
        ),
    ] = None,
    fresh: Fresh = False,
    parallel: Parallel = 8,
    as_json: AsJson = False,
) -> None:
    """Make a protocol's calibration from labelled cases: `calibration.json` in the folder.

    Opinions are asked for and kept as `arbiter evaluate` does; what it kept is used again. By their ids 40 % of the cases fit
    the members' reliability, 10 % the temperature, and on the rest each option's error rate is certified by Learn-then-Test.
    `arbiter calibration propose` puts it before a second person; laid into the bundle's folder it counts in a demonstration
    alone. Another version of the protocol, or another member, needs another one.

    What is certified may be wrong with the chance that the protocol states as delta, over all looks at the same cases together.
    The only look spends all of it. `--look 1` spends a half and leaves the rest for later ones: look N spends delta / (N (N + 1)).

    Exit status: 0 the calibration is written, 1 the cases or the protocol are unfit, 2 the command line does not fit.
    """
    from arbiter.cli.calibration_words import document, told
    from arbiter.documents.calibrations import calibration_bytes, calibration_from
    from arbiter.evaluation.cases import read_cases
    from arbiter.evaluation.opinions_file import alone
    from arbiter.protocols.bundle import CALIBRATION_FILE
    from arbiter.workflow.shelf import shelve

    require_extra("numpy")
    from arbiter.evaluation.calibrating import calibrate as calibrated
    from arbiter.evaluation.calibrating import require_posterior

    spare_rings()
    bundle = bundle_of(protocol)
    promised = require_posterior(bundle.protocol).delta
    read = read_cases(cases, bundle.protocol.question)
    with alone(folder):
        heard, servers = run(hear(bundle, read, folder, parallel, fresh=fresh))
        made = calibrated(shelve(bundle, servers), read, heard, look)
        content = calibration_bytes(made)
        before = _held(folder / CALIBRATION_FILE)
        # What nobody could read is told now, not when somebody proposes it.
        calibration_from(content)
        target = folder / CALIBRATION_FILE
        beside = target.with_suffix(".new")
        beside.write_bytes(content)
        beside.replace(target)
    if as_json:
        show_json(document(made))
        return
    for line in (*told(made), _looked(made, look, promised), *_looked_before(made, before), *_wanting(made)):
        out.print(line, markup=False)
    out.print(f"{target}: {made.content_hash}", markup=False)


def _looked(made: Calibration, look: int | None, promised: Decimal) -> str:
    """Return what this look spends of the protocol's delta, and what that leaves."""
    from arbiter.documents.scalars import decimal_text

    if look is None:
        return f"the only look at these cases: it spends all of delta, {decimal_text(promised)}; `--look 1` leaves some for others"
    return (
        f"look {look} at these cases: it spends {decimal_text(made.delta)} of delta, {decimal_text(promised)}"
    )


def _held(file: Path) -> Calibration | None:
    """Return the calibration that an earlier run left, None where there is none or it cannot be read."""
    from arbiter.documents.calibrations import calibration_from
    from arbiter.errors import ArbiterError

    try:
        return calibration_from(file.read_bytes())
    except (OSError, ArbiterError):
        return None


def _looked_before(made: Calibration, before: Calibration | None) -> Iterator[str]:
    """Yield that an earlier run in this folder looked at the same cases, where it came to something else."""
    from arbiter.calibrating.looks import spent
    from arbiter.documents.scalars import decimal_text

    if before is None or before.protocol != made.protocol or before.content_hash == made.content_hash:
        return
    looks, delta = spent(made, [before])
    if looks:
        yield (
            f"ANOTHER LOOK: what this folder held, {before.content_hash}, was certified on the same cases at {decimal_text(delta)}; "
            "what both spend is to stay within delta, proposed or not"
        )


def _wanting(made: Calibration) -> Iterator[str]:
    """Yield what more labelled cases are wanted for, as far as can be told from those there are."""
    from arbiter.calibrating.temperature import HIGHEST, LOWEST

    if float(made.temperature) in {LOWEST, HIGHEST}:
        yield "the temperature is at its bound: too few cases tempered it, or none of them was wrong; label more"
    for stratum in made.strata:
        if stratum.certified is None:
            yield f"{stratum.option}: to be certified it takes {_lacking(stratum, made)}"


def _lacking(stratum: Stratum, made: Calibration) -> str:
    from arbiter.calibrating.binomial import fewest
    from arbiter.calibrating.guarantee import Tested
    from arbiter.calibrating.needing import needed

    alpha, delta, labels = float(stratum.alpha), float(made.delta), made.labels
    if not stratum.tested or not stratum.tested[0].accepted:
        return f"at least {fewest(0, alpha, delta)} cases to certify on that would be decided so, none of them wrong"
    first = stratum.tested[0]
    tested = Tested(float(first.threshold), first.accepted, first.errors, float(first.bound))
    more = needed(tested, labels.fitting + labels.tempering + labels.guarantee, alpha, delta)
    if more is None:
        return "fewer errors: more labelled cases like these would not do"
    return (
        f"some {more.cases:,} more labelled cases like these, {more.accepted:,} of them decided so; certify on cases that no "
        "earlier run has certified on, or count the looks: who looks again and again at the same ones with all of delta is wrong "
        "more often than it says"
    )
