"""What the demonstration tells of its models: counted from opinions as the panel makes them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from arbiter.model import MemberStatus, Opinion
from arbiter.specialists.demonstration import MEMBERS, Heard, beside, heard_table, told
from arbiter.specialists.seated import read_seated
from arbiter.workflow.shelf import shelve
from tests.protocols.shipping import run_with
from tests.specialists.by_rule import seated_by_rule

SEATED: Final = shelve(read_seated())
EXAMPLES: Final = {case.id: case for case in SEATED.bundle.examples}


async def said(case: str, outcome: str = "", **other: int) -> Heard:
    ended, _, opinions = await run_with(SEATED, seated_by_rule(SEATED, **other), EXAMPLES[case])
    models: dict[str, Opinion] = {
        str(opinion.member): opinion for opinion in opinions if opinion.member in MEMBERS
    }
    return Heard(EXAMPLES[case].title, outcome or ended, models)


def with_opinion(case: Heard, member: str, status: MemberStatus, rationale: str = "") -> Heard:
    changed = replace(case.models[member], status=status, votes=(), rationale=rationale)
    return replace(case, models={**case.models, member: changed})


def shown(*cases: Heard) -> str:
    console = Console(width=200, force_terminal=False)
    with console.capture() as captured:
        console.print(heard_table(cases))
    return captured.get()


def test_a_shell_takes_in_what_commands_beside_the_demonstration_need(tmp_path: Path) -> None:
    fleet, protocols = tmp_path / "it's here" / "fleet.yaml", tmp_path / "the protocols"
    first, *lines = beside(fleet, protocols).splitlines()
    assert "another shell" in first
    script = "\n".join([*lines, 'printf "%s\\n" "$ARBITER_FLEET" "$ARBITER_PROTOCOLS"'])
    ran = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True, env={})
    assert ran.stdout.splitlines() == [str(fleet), str(protocols)]


async def test_division_refusals_and_draws_are_counted_apart() -> None:
    agreed = await said("stable-after-hip")
    divided = await said("hypertensive-oedema")
    refused = with_opinion(
        await said("slow-pulse"), "infection", MemberStatus.INVALID, "refused: it is not so"
    )
    abstained = await said("breathing-not-observed")
    assert told([agreed, divided, refused, abstained, replace(agreed, models={})]).splitlines() == [
        "4 cases were put to the three models; 3 were not decided by the panel",
        "  the models disagreed with each other in 2 of these",
        "  a model's opinion was refused in 1 of these, unreadable or not held by the case",
        # 12 opinions of 5 draws, less the one that abstains; the refused one gave none.
        "  5 of 55 drawn answers gave no vote, whole abstentions left out",
    ]


async def test_a_model_that_was_refused_or_away_is_no_voice_in_a_disagreement() -> None:
    divided = await said("hypertensive-oedema")
    assert divided.divided
    for status in (MemberStatus.INVALID, MemberStatus.DOWN, MemberStatus.TIMED_OUT, MemberStatus.ABSTAINED):
        assert not with_opinion(divided, "infection", status).divided


async def test_the_table_says_how_many_draws_counted_and_why_an_opinion_did_not() -> None:
    refused = with_opinion(
        await said("hypertensive-oedema", "[red]escalated[/red]", circulation=2),
        "infection",
        MemberStatus.INVALID,
        "refused: cites a value [that] the case does not hold",
    )
    table = " ".join(shown(refused).split())
    for words in ("urgent-review 5/5", "[red]escalated[/red]", "[that]"):
        assert words in table


async def test_a_case_that_no_model_was_asked_about_has_no_row() -> None:
    assert "Excluded" not in shown(Heard("Excluded", "escalated", {}))
