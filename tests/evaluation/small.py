"""Panels drawn by chance, small and seeded, and the shipped protocols put to cases of their generators."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from arbiter.evaluation.ballots import Ballots, leading
from arbiter.evaluation.cases import Cases, read_cases
from arbiter.evaluation.figures.report import Report
from arbiter.evaluation.reporting import report_of
from arbiter.evaluation.running import Heard, run_panel
from arbiter.model import MemberId
from arbiter.protocols.anticoagulation import generator as anticoagulation
from arbiter.protocols.deterioration import generator as deterioration
from arbiter.protocols.loader import read_shipped
from arbiter.protocols.surgery_readiness import generator as surgery_readiness
from arbiter.question import QUESTION, Option, Seat
from arbiter.workflow.shelf import Shelved, shelve

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
GENERATORS = {
    "deterioration": deterioration.generate,
    "anticoagulation": anticoagulation.generate,
    "surgery-readiness": surgery_readiness.generate,
}


def seats(*families: str, weights: tuple[str, ...] = ()) -> tuple[Seat, ...]:
    given = weights or ("1",) * len(families)
    return tuple(
        Seat(MemberId(f"m{at}"), f"Member {at}", QUESTION, "score", "s", family, Decimal(weight), False, ())
        for at, (family, weight) in enumerate(zip(families, given, strict=True))
    )


def options(number: int) -> tuple[Option, ...]:
    return tuple(Option(f"o{at}", f"Option {at}") for at in range(number))


def drawn(
    seed: int, cases: int, own: tuple[Seat, ...], number: int, samples: int = 1, absent: float = 0.15
) -> Ballots:
    """Members that are right more often than not, and tend to err together."""
    random = Random(seed)
    truths = [random.randrange(number) for _ in range(cases)]
    shares = np.zeros((cases, len(own), number))
    for row, truth in enumerate(truths):
        misled = random.random() < 0.15
        for member in range(len(own)):
            if random.random() < absent:
                continue
            for _ in range(samples):
                wrong = random.random() < (0.8 if misled else 0.15 + 0.03 * member)
                said = random.randrange(number) if wrong else truth
                shares[row, member, said] += 1 / samples
    valid = shares.sum(axis=2) > 0
    ids = tuple(f"case-{at}" for at in range(cases))
    return Ballots(ids, own, options(number), np.array(truths), shares, valid, leading(shares, valid))


@cache
def shelved(protocol: str) -> Shelved:
    return shelve(read_shipped(protocol))


def invented(protocol: str, cases: int, seed: int = 3) -> list[dict[str, Any]]:
    return list(GENERATORS[protocol](seed, cases))


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def heard(protocol: str, lines: list[dict[str, Any]], folder: Path) -> tuple[Cases, Heard]:
    own = shelved(protocol)
    cases = read_cases(write(folder / "cases.jsonl", lines), own.protocol.question)
    return cases, asyncio.run(run_panel(own, cases, folder, parallel=4))


def reported(protocol: str, number: int, folder: Path) -> Report:
    cases, own = heard(protocol, invented(protocol, number), folder)
    return report_of(shelved(protocol), cases, "cases.jsonl", own, NOW)
