"""The specialists in the demonstration: the fleet file that serves them, and the table of what they did.

The table is made from the sealed opinions as the house keeps them, so it shows what was counted and what was refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.table import Table

from arbiter.model import CaseId, MemberStatus, Opinion
from arbiter.specialists.rules import SPECIALISTS
from arbiter.specialists.shipped import ADAPTERS, BASE, CONTEXT
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.house import House

SERVER: Final = "specialists"
"""The server's name in the protocol's seats."""

FLEET_FILE: Final = "fleet.yaml"
MEMBERS: Final = tuple(rule.name for rule in SPECIALISTS)


def write_fleet(folder: Path, python: Path, port: int) -> Path:
    """Write the fleet file that serves the specialists with vLLM's CPU build, and return its path."""
    serve = {
        "build": "cpu",
        "python": str(python.absolute()),
        "model": str(BASE),
        "adapters": {name: str(ADAPTERS / name) for name in MEMBERS},
        "context": CONTEXT,
    }
    replica = {"name": f"{SERVER}-1", "url": f"http://127.0.0.1:{port}"}
    # JSON is YAML, and needs no care about what a path may hold.
    document = {"servers": [{"name": SERVER, "replicas": [replica], "serve": serve}]}
    path = folder / FLEET_FILE
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Heard:
    """What the models said about one case, by member, and the case's title and outcome."""

    title: str
    outcome: str
    models: Mapping[str, Opinion]

    def options(self) -> set[str | None]:
        """Return the options that sound opinions lead with."""
        return {
            opinion.leading_option()
            for opinion in self.models.values()
            if opinion.status is MemberStatus.VALID
        }

    def refused(self) -> int:
        """Return how many drawn answers did not count, in members that did not abstain."""
        return sum(
            opinion.samples - opinion.valid_samples
            for opinion in self.models.values()
            if opinion.status in {MemberStatus.VALID, MemberStatus.INVALID}
        )

    @property
    def divided(self) -> bool:
        """True when the models named different options."""
        return len(self.options()) > 1

    @property
    def ungrounded(self) -> bool:
        """True when a model's whole opinion was refused."""
        return any(opinion.status is MemberStatus.INVALID for opinion in self.models.values())


async def heard(house: House, case: str, title: str, outcome: str) -> Heard:
    """Return what the models said about a case."""
    async with house.store.read() as transaction:
        dossier = await load_dossier(house, transaction, CaseId(case))
    models = {
        str(opinion.member): opinion for opinion in dossier.opinions() if opinion.identity.kind == "vllm"
    }
    return Heard(title, outcome, models)


def heard_table(cases: Sequence[Heard]) -> Table:
    """Return a row for each case that the models were asked about."""
    table = Table(
        "case", *MEMBERS, "outcome", title="what the models said (answers that counted of those drawn)"
    )
    for case in cases:
        if case.models:
            table.add_row(case.title, *(_cell(case.models.get(name)) for name in MEMBERS), case.outcome)
    return table


def _cell(opinion: Opinion | None) -> str:
    if opinion is None:
        return "-"
    match opinion.status:
        case MemberStatus.VALID:
            return f"{opinion.leading_option() or 'divided'} {opinion.valid_samples}/{opinion.samples}"
        case MemberStatus.ABSTAINED:
            return "abstains"
        case MemberStatus.INVALID:
            return f"[red]{opinion.rationale}[/red]"
        case MemberStatus.DOWN | MemberStatus.TIMED_OUT:
            return f"[yellow]{opinion.status.value}[/yellow]"


def told(cases: Sequence[Heard]) -> str:
    """Return in a few lines how many cases the models divided, and how many answers were refused."""
    with_models = [case for case in cases if case.models]
    to_people = [case for case in with_models if not case.outcome.startswith("decided")]
    divided = sum(case.divided for case in to_people)
    ungrounded = sum(case.ungrounded for case in to_people)
    refused = sum(case.refused() for case in with_models)
    drawn = sum(opinion.samples for case in with_models for opinion in case.models.values())
    return (
        f"{len(with_models)} cases were put to the three models; {len(to_people)} went to a clinician\n"
        f"  the models disagreed with each other in {divided} of these\n"
        f"  an opinion was refused because it did not hold against the case in {ungrounded} of these\n"
        f"  {refused} of {drawn} drawn answers did not count"
    )
