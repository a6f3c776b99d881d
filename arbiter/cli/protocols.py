"""`arbiter protocol`: what a bundle asks, of whom, and under which rules; and whether it checks out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.cli.examples import examples
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_json, show_rows

if TYPE_CHECKING:
    from rich.table import Table

    from arbiter.protocols.bundle import Bundle
    from arbiter.question import FactSpec, Protocol

app = typer.Typer(
    no_args_is_help=True,
    help="Protocol bundles: the question, the panel, the policy.",
    epilog=examples(
        "arbiter protocol list", "arbiter protocol show deterioration", "arbiter protocol check ./my-protocol"
    ),
)


@app.command("list", epilog=examples("arbiter protocol list", "arbiter protocol list --json"))
def protocol_list(*, as_json: AsJson = False) -> None:
    """List the shipped protocols."""
    from arbiter.protocols.loader import read_shipped, shipped

    bundles = [read_shipped(name) for name in shipped()]
    show_rows(
        ("id", "version", "title", "examples"),
        ((b.protocol.id, b.protocol.version, b.protocol.title, len(b.examples)) for b in bundles),
        as_json=as_json,
    )


@app.command(
    "show",
    epilog=examples("arbiter protocol show deterioration", "arbiter protocol show ./my-protocol --json"),
)
def protocol_show(
    protocol: Annotated[str, typer.Argument(help="A shipped protocol's id, or a bundle's folder.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show a protocol: the question, its facts with units and greatest ages, the seats, the rules, the examples."""
    bundle = _read(protocol)
    if as_json:
        show_json(_as_json(bundle))
        return
    shown = bundle.protocol
    out.print(f"[bold]{shown.id} {shown.version}[/]: {_plain(shown.title)}")
    out.print(f"content hash {shown.content_hash}; escalates to {_plain(shown.duty_group)}\n")
    out.print(f"[bold]{_plain(shown.question.text)}[/]")
    for option in shown.question.options:
        out.print(f"  {option.id}: {option.title}", markup=False)
    out.print(f"\n{_decided_alone(shown)}\n")
    for table in (_facts(shown), _exclusions(shown), _seats(shown), _rules(shown), _examples(bundle)):
        out.print(table, soft_wrap=False)


@app.command("check", epilog=examples("arbiter protocol check ./my-protocol"))
def protocol_check(folder: Path, *, as_json: AsJson = False) -> None:
    """Check a protocol bundle: structure, references, conditions, and the rules' own tests."""
    from arbiter.workflow.protocol_checking import check_bundle

    checked = check_bundle(folder)
    shown = checked.protocol
    counts = {
        "facts": len(shown.question.facts),
        "seats": len(shown.seats),
        "rules": len(shown.rules),
        "examples": len(checked.examples),
    }
    if as_json:
        alone = _alone_as_json(shown)
        named = {"id": shown.id, "version": shown.version, "content_hash": shown.content_hash}
        show_json({**named, **counts, "decided_alone": alone})
        return
    out.print(f"{shown.id} {shown.version}: {', '.join(f'{n} {what}' for what, n in counts.items())}")
    out.print(f"content hash {shown.content_hash}")
    out.print(_decided_alone(shown), markup=False)


def _decided_alone(protocol: Protocol) -> str:
    """Return in one sentence what is decided without a clinician, and how often that may be wrong."""
    settings = protocol.adjudication
    if not settings.automatic:
        return "decided alone: nothing, a clinician decides every case"
    if settings.guarantee is None:
        return (
            f"decided alone: nothing in production, where every case escalates: no error rate is stated for the strategy "
            f"{settings.strategy.value}"
        )
    rates = dict(settings.guarantee.error_rates)
    told = ", ".join(
        f"{option} {(rates[option] * 100).normalize():f}%"
        for option in protocol.question.option_ids()
        if option in rates
    )
    return f"decided alone: what a calibration certifies; of these decisions may be wrong: {told}"


def _alone_as_json(protocol: Protocol) -> dict[str, Any]:
    settings = protocol.adjudication
    stated = settings.guarantee
    return {
        "automatic": settings.automatic,
        "strategy": settings.strategy.value,
        "error_rates": None if stated is None else {name: float(rate) for name, rate in stated.error_rates},
    }


def _read(protocol: str) -> Bundle:
    from arbiter.cli.failing import UsageError
    from arbiter.protocols.loader import read_bundle, read_shipped, shipped

    if protocol in shipped():
        return read_shipped(protocol)
    if Path(protocol).is_dir():
        return read_bundle(Path(protocol))
    raise UsageError(
        f"expected one of the shipped protocols {', '.join(shipped())} or a bundle's folder; {protocol[:80]} is neither"
    )


def _facts(protocol: Protocol) -> Table:
    table = _table("Facts", "name", "meaning", "value", "also in", "greatest age", "usual in adults")
    for spec in protocol.question.facts:
        also = ", ".join(conversion.unit for conversion in spec.conversions)
        _row(table, spec.name, spec.title, _values(spec), also, duration(spec.greatest_age), _usual(spec))
    return table


def _usual(spec: FactSpec) -> str:
    """Return the reference range in words with whose it is, or nothing where the protocol states none."""
    if spec.reference is None:
        return ""
    low, high = spec.reference.low, spec.reference.high
    if low is None or high is None:
        end = f"at least {low}" if high is None else f"at most {high}"
    else:
        end = f"{low} to {high}"
    return f"{end} ({spec.reference.source})"


def _values(spec: FactSpec) -> str:
    if spec.codes:
        return ", ".join(code for code, _ in spec.codes)
    if spec.low is None or spec.high is None:
        return spec.kind.value if spec.unit is None else f"{spec.kind.value} in {spec.unit}"
    return f"{spec.low} to {spec.high} {spec.unit or ''}".rstrip()


def _exclusions(protocol: Protocol) -> Table:
    table = _table("Exclusions: no member is asked, a clinician is", "id", "when", "because")
    for exclusion in protocol.question.exclusions:
        _row(table, exclusion.id, exclusion.when, exclusion.rationale)
    return table


def _seats(protocol: Protocol) -> Table:
    table = _table("Seats", "member", "title", "role", "answers", "family", "weight", "required", "vetoes")
    for seat in protocol.seats:
        required = "yes" if seat.required else ""
        vetoes = ", ".join(seat.veto)
        role = seat.role or ""
        _row(table, seat.member, seat.title, role, seat.asks, seat.family, str(seat.weight), required, vetoes)
    return table


def _rules(protocol: Protocol) -> Table:
    table = _table("Rules: all are evaluated", "id", "when", "effect", "options", "because", "owner")
    for rule in protocol.rules:
        options = ", ".join(rule.options)
        _row(table, rule.id, rule.when, rule.effect.value, options, rule.rationale, rule.owner)
    return table


def _examples(bundle: Bundle) -> Table:
    title = f"Examples: arbiter submit --example {bundle.protocol.id}/ID"
    table = _table(title, "id", "title", "risk class", "expected")
    for example in bundle.examples:
        _row(table, example.id, example.title, example.risk_class.value, example.expect or "")
    return table


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_lines=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(_plain(cell) for cell in cells))


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def duration(age: timedelta | None) -> str:
    """Return a duration in the largest unit that holds it whole: `4 h`, `90 min`, `7 d`."""
    if age is None:
        return ""
    seconds = int(age.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _as_json(bundle: Bundle) -> dict[str, Any]:
    shown = bundle.protocol
    return {
        "id": shown.id,
        "version": shown.version,
        "title": shown.title,
        "content_hash": shown.content_hash,
        "duty_group": shown.duty_group,
        "question": shown.question.text,
        "options": {option.id: option.title for option in shown.question.options},
        "facts": [
            {
                "name": spec.name,
                "title": spec.title,
                "kind": spec.kind,
                "unit": spec.unit,
                "also_in": [conversion.unit for conversion in spec.conversions],
                "low": None if spec.low is None else float(spec.low),
                "high": None if spec.high is None else float(spec.high),
                "codes": [code for code, _ in spec.codes],
                "greatest_age_seconds": None
                if spec.greatest_age is None
                else spec.greatest_age.total_seconds(),
                "reference": None
                if spec.reference is None
                else {
                    "low": None if spec.reference.low is None else float(spec.reference.low),
                    "high": None if spec.reference.high is None else float(spec.reference.high),
                    "source": spec.reference.source,
                },
            }
            for spec in shown.question.facts
        ],
        "exclusions": [
            {"id": exclusion.id, "when": exclusion.when, "because": exclusion.rationale}
            for exclusion in shown.question.exclusions
        ],
        "decided_alone": _alone_as_json(shown),
        "seats": [
            {
                "member": seat.member,
                "title": seat.title,
                "role": seat.role,
                "answers": seat.asks,
                "family": seat.family,
                "weight": float(seat.weight),
                "required": seat.required,
                "vetoes": seat.veto,
            }
            for seat in shown.seats
        ],
        "rules": [
            {
                "id": rule.id,
                "when": rule.when,
                "effect": rule.effect,
                "options": rule.options,
                "because": rule.rationale,
                "owner": rule.owner,
            }
            for rule in shown.rules
        ],
        "examples": [
            {"id": example.id, "title": example.title, "expect": example.expect}
            for example in bundle.examples
        ],
    }
