"""The specialists in the demonstration: the fleet file that serves them, and the table of what they did.

The table is made from the sealed opinions as the house keeps them, so it shows what was counted and what was refused.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from rich.table import Table
from rich.text import Text

from arbiter.model import CaseId, MemberStatus, Opinion
from arbiter.question import VLLM
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


def beside(fleet: Path, protocols: Path) -> str:
    """Return what a shell must say so that commands beside the demonstration see the models that it runs."""
    return (
        "arbiter panel … in another shell sees these models after\n"
        f"  export ARBITER_FLEET={shlex.quote(str(fleet.absolute()))}\n"
        f"  export ARBITER_PROTOCOLS={shlex.quote(str(protocols.absolute()))}"
    )


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

    def drawn(self) -> int:
        """Return how many answers were drawn from members that did not abstain as a whole."""
        return sum(opinion.samples for opinion in self._speaking())

    def counted(self) -> int:
        """Return how many of these named an option and held against the case."""
        return sum(opinion.valid_samples for opinion in self._speaking())

    def _speaking(self) -> list[Opinion]:
        speaking = {MemberStatus.VALID, MemberStatus.INVALID}
        return [opinion for opinion in self.models.values() if opinion.status in speaking]

    @property
    def divided(self) -> bool:
        """True when the models named different options."""
        return len(self.options()) > 1

    @property
    def has_refused(self) -> bool:
        """True when a model's whole opinion was refused."""
        return any(opinion.status is MemberStatus.INVALID for opinion in self.models.values())


async def heard(house: House, case: str, title: str, outcome: str) -> Heard:
    """Return what the models said about a case."""
    async with house.store.read() as transaction:
        dossier = await load_dossier(house, transaction, CaseId(case))
    models = {str(opinion.member): opinion for opinion in dossier.opinions() if opinion.identity.kind == VLLM}
    return Heard(title, outcome, models)


def heard_table(cases: Sequence[Heard]) -> Table:
    """Return a row for each case that the models were asked about."""
    table = Table(
        "case", *MEMBERS, "outcome", title="what the models said (answers that counted of those drawn)"
    )
    for case in cases:
        if case.models:
            cells = (_cell(case.models.get(name)) for name in MEMBERS)
            table.add_row(Text(case.title), *cells, Text(case.outcome))
    return table


def _cell(opinion: Opinion | None) -> Text:
    if opinion is None:
        return Text("-")
    match opinion.status:
        case MemberStatus.VALID:
            return Text(f"{opinion.leading_option() or 'divided'} {opinion.valid_samples}/{opinion.samples}")
        case MemberStatus.ABSTAINED:
            return Text("abstains")
        case MemberStatus.INVALID:
            return Text(opinion.rationale, style="red")
        case MemberStatus.DOWN | MemberStatus.TIMED_OUT:
            return Text(opinion.status.value, style="yellow")
        case _:
            assert_never(opinion.status)


def told(cases: Sequence[Heard]) -> str:
    """Return in a few lines how many cases the models divided, and how many answers were refused."""
    with_models = [case for case in cases if case.models]
    to_people = [case for case in with_models if not case.outcome.startswith("decided")]
    divided = sum(case.divided for case in to_people)
    refused = sum(case.has_refused for case in to_people)
    drawn = sum(case.drawn() for case in with_models)
    counted = sum(case.counted() for case in with_models)
    return (
        f"{len(with_models)} cases were put to the three models; {len(to_people)} were not decided by the panel\n"
        f"  the models disagreed with each other in {divided} of these\n"
        f"  a model's opinion was refused in {refused} of these, unreadable or not held by the case\n"
        f"  {drawn - counted} of {drawn} drawn answers gave no vote, whole abstentions left out"
    )
