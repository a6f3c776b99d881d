"""`arbiter oversight` and `arbiter plant`: how panels and clinicians work together, and cases planted to measure it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import Status, UsageError
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_rows
from arbiter.cli.persons import PasswordsStdin, ask_passwords, prove

if TYPE_CHECKING:
    from arbiter.errors import Problem
    from arbiter.model import CaseId
    from arbiter.workflow.house import House
    from arbiter.workflow.oversight.looking import Overseen
    from arbiter.workflow.oversight.measuring import Share
    from arbiter.workflow.oversight.planting import Planted

OVERSIGHT_EXAMPLES = examples(
    "arbiter oversight", "arbiter oversight --site north --from 2026-03-01 --to 2026-03-31 --json"
)
PLANT_EXAMPLES = examples(
    "arbiter plant /srv/planted/march.jsonl --case quiet-sepsis --protocol deterioration --site north "
    '--client cabcdefghijklmnop --patient "urn:example:patients|7714403" --source "ward 7" --as paula'
)
_COLUMNS = ("measure", "part", "of", "share", "low", "high", "seconds")


def oversight(
    *,
    protocol: Annotated[str | None, typer.Option("--protocol", help="This protocol alone.")] = None,
    site: Annotated[str | None, typer.Option("--site", help="This site alone.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="The first day, as 2026-03-01.")] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="The last day; today where it is not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how often cases come to clinicians, how long they take, how often they overrule the panel or leave their own judgement for it.

    Shares are with their 95% interval, times in seconds; of fewer than five cases neither is told. No figure is of a person. Without days
    it is the last 30.
    """

    async def work(house: House) -> Overseen:
        from arbiter.workflow.oversight.looking import Asked, newest, oversee_sites

        default = newest(house)
        asked = Asked(_day(since, default.since), _day(until, default.until), protocol, site)
        return await oversee_sites(house, frozenset(dict(await house.identities.sites())), asked)

    overseen = in_house(work)
    rows = [_row(name, share) for name, share in _shares(overseen)]
    show_rows(_COLUMNS, [*rows, *_times(overseen)], as_json=as_json)


def plant(
    file: Annotated[Path, typer.Argument(help="Invented cases, one a line, as a protocol's examples.jsonl.")],
    *,
    case: Annotated[str, typer.Option("--case", help="The id of the line to plant.")],
    protocol: Annotated[str, typer.Option("--protocol", help="The protocol's id.")],
    site: Annotated[str, typer.Option("--site", help="The site's id.")],
    client: Annotated[str, typer.Option("--client", help="The id of the client as whose case it comes.")],
    patient: Annotated[str, typer.Option("--patient", help="An invented patient, SYSTEM|NUMBER.")],
    source: Annotated[str, typer.Option("--source", help="What its facts' source is called.")],
    login: Annotated[str, typer.Option("--as", help="Your login; you need the role policy-approver.")],
    encounter: Annotated[str | None, typer.Option("--encounter", help="Its encounter.")] = None,
    password_stdin: PasswordsStdin = False,
) -> None:
    """Plant an invented case with a known answer; it comes on the work list only where the panel is wrong about it.

    ARBITER_PLANTED_CASES names the file, or its folder, that the department has consented to. The truth is the line's `label`.

    Exit status: 0 it is on the work list, 1 the panel was not wrong and the case has ended.
    """
    passwords = ask_passwords([login], from_stdin=password_stdin)

    async def work(house: House) -> tuple[CaseId, Planted]:
        from arbiter.protocols.examples import read_examples
        from arbiter.workflow.oversight.planting import Wanted, may_be_planted
        from arbiter.workflow.oversight.planting import plant as plant_case
        from arbiter.workflow.subjects import SubjectRef

        if not may_be_planted(house.settings.planted_cases, file):
            raise UsageError("expected a file that ARBITER_PLANTED_CASES names or holds; this is none")
        (planter,) = await prove(house, [login], passwords)
        question = house.shelf.in_force(protocol).protocol.question
        problems: list[Problem] = []
        found = read_examples(file.read_bytes(), question, problems, file.name)
        line = next((each for each in found if each.id == case), None)
        if problems or line is None:
            raise UsageError(
                f"{file.name}: "
                + (f"{problems[0].pointer}: {problems[0].detail}" if problems else f"no case {case} is in it")
            )
        system, _, number = patient.rpartition("|")
        if not system or not number:
            raise UsageError("--patient: expected SYSTEM|NUMBER")
        wanted = Wanted(protocol, site, client, SubjectRef(system, number), source, encounter)
        return await plant_case(house, planter, line, wanted)

    planted, became = in_house(work)
    out.print(f"{planted}: {became.value}", markup=False)
    if became.name != "ON_THE_LIST":
        raise typer.Exit(Status.FAILED)


def _shares(overseen: Overseen) -> list[tuple[str, Share]]:
    judging, reliance = overseen.reviewed.judging, overseen.reviewed.reliance
    return [
        ("escalated", overseen.whole),
        *((f"reason {code}", share) for code, share in overseen.reviewed.reasons),
        *((f"overdue {times.risk_class.value}", times.overdue) for times in overseen.reviewed.times),
        *((f"agreed {pair.one} {pair.other}", pair.agreed) for pair in overseen.reviewed.pairs),
        ("override", judging.overridden),
        ("switch", judging.switched),
        ("toward_panel", judging.toward),
        ("away_from_panel", judging.away),
        ("elsewhere", judging.elsewhere),
        ("switch_to_right", judging.mended),
        ("switch_to_wrong", judging.spoilt),
        ("own_right", judging.own_right),
        ("panel_right", judging.panel_right),
        ("signed_right", judging.signed_right),
        ("over_reliance", reliance.followed),
        ("planted_right_before", reliance.before),
        ("planted_right_after", reliance.after),
    ]


def _row(name: str, share: Share) -> tuple[object, ...]:
    if share.rate is None or share.interval is None:
        return name, None, None, None, None, None, None
    low, high = share.interval
    return name, share.part, share.whole, round(share.rate, 6), round(low, 6), round(high, 6), None


def _times(overseen: Overseen) -> Iterator[tuple[object, ...]]:
    for times in overseen.reviewed.times:
        for until, quantiles in (("taken", times.to_claim), ("signed", times.to_decision)):
            for part in ("p50", "p90", "p95"):
                told = None if quantiles is None else getattr(quantiles, part).total_seconds()
                whole = None if told is None else times.cases
                yield f"{until} {part} {times.risk_class.value}", None, whole, None, None, None, told


def _day(text: str | None, otherwise: date) -> date:
    try:
        return otherwise if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"expected a day such as 2026-03-01, came {text}") from None
