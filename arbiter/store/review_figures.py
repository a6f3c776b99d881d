"""What came of reviews, a row a signed one, what was told of it later, and how many cases came to a clinician: counted, never named."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from arbiter.errors import UnavailableError
from arbiter.model import CaseId, RiskClass
from arbiter.store.tables.cases import BY_PANEL, WITH_HUMAN
from arbiter.store.transaction import Store, Where, driver_connection, each_alone, run

TIMEOUT_MS = 5_000

_MAYBE = (False, True, None)
_NOT_TOLD = (None, None, None)


@dataclass(frozen=True, slots=True)
class ReviewFigure:
    """A signed review, without what anybody answered.

    `escalated_at` is when the case came to the clinicians, for the last time before it was signed; `claimed_at` when one of them
    first took it after that. `own_is_final` and so on tell whether two answers were the same: the signer's own before the panel, the
    panel's leading option, the signed one; None where one of them is not there. `families` has, by family and member, 0 for the
    leading option and another number for each other one. `reasons` are the codes by which the case was escalated.
    """

    case: CaseId
    site: str
    protocol: str
    protocol_hash: str
    risk_class: RiskClass
    training: bool
    planted: bool
    escalated_at: datetime
    claimed_at: datetime
    signed_at: datetime
    overdue: bool
    own_is_final: bool | None
    leading_is_final: bool | None
    own_is_leading: bool | None
    reasons: tuple[str, ...]
    families: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class ReviewOutcome:
    """Which answers of a signed review turned out right, None for one that was not given, and how that is known."""

    source: str
    own_right: bool | None
    leading_right: bool | None
    final_right: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Alike:
    """How many signed `reviews` are alike in what clinicians did, and in who turned out right.

    Each value is as in `ReviewFigure`, the last three as in `ReviewOutcome`; `final_right` is None where nothing is known of that.
    """

    reviews: int
    risk_class: RiskClass
    planted: bool
    overdue: bool
    own_is_final: bool | None
    leading_is_final: bool | None
    own_is_leading: bool | None
    own_right: bool | None = None
    leading_right: bool | None = None
    final_right: bool | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """How many signed `reviews` came for the same reasons from members that stood so to one another; as in `ReviewFigure`.

    Planted ones are none of them.
    """

    reviews: int
    reasons: tuple[str, ...]
    families: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Waited:
    """How long the signed `reviews` of a risk class took, by quantiles: 0.5, 0.9 and 0.95.

    `to_claim` is from the escalation to the claim, `to_decision` to the signature. Planted ones are none of them.
    """

    reviews: int
    risk_class: RiskClass
    to_claim: tuple[timedelta, timedelta, timedelta]
    to_decision: tuple[timedelta, timedelta, timedelta]


@dataclass(frozen=True, slots=True)
class CountedReviews:
    """All that is counted of signed reviews: what clinicians did, how members stood, and how long it took."""

    alike: tuple[Alike, ...]
    patterns: tuple[Pattern, ...]
    waited: tuple[Waited, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which cases: of these sites, from an instant up to another, of one protocol or of all."""

    sites: frozenset[str]
    since: datetime
    until: datetime
    protocol: str | None = None


_ADD = """
INSERT INTO review_figure (case_id, site_id, protocol_id, protocol_hash, risk_class, training, planted, escalated_at, claimed_at,
    signed_at, overdue, own_is_final, leading_is_final, own_is_leading, reasons, families)
VALUES (%(case)s, %(site)s, %(protocol)s, %(protocol_hash)s, %(risk_class)s, %(training)s, %(planted)s, %(escalated_at)s,
    %(claimed_at)s, %(signed_at)s, %(overdue)s, %(own_is_final)s, %(leading_is_final)s, %(own_is_leading)s, %(reasons)s::jsonb,
    %(families)s::jsonb)
RETURNING id
"""
# What it is found and counted by is the review's.
_ADD_OUTCOME = """
INSERT INTO review_outcome (figure_id, source, own_right, leading_right, final_right, at, site_id, protocol_id, risk_class, signed_at,
    relations)
SELECT f.id, %(source)s, %(own_right)s, %(leading_right)s, %(final_right)s, %(at)s, f.site_id, f.protocol_id, f.risk_class, f.signed_at,
    f.relations
FROM review_figure AS f WHERE f.case_id = %(case)s ORDER BY f.id DESC LIMIT 1
RETURNING id
"""
_AT = "site_id = ANY(%(sites)s) AND (%(protocol)s::text IS NULL OR protocol_id = %(protocol)s::text)"
_CHOSEN = f"{_AT} AND signed_at >= %(since)s AND signed_at < %(until)s"
# Each class is a few spans of `ix_review_figure_counted`, which holds all that is asked here.
_CLASSES = "unnest(%(classes)s::text[]) AS classes (class)"
# By the lowest bits of `relations`: no practice at all, and practice that is not planted.
_REAL, _PRACTICE = "relations & 1 = 0", "relations & 3 = 1"
# What happened to the patient counts before what another reader thought.
_NEWEST = f"""
SELECT DISTINCT ON (figure_id) figure_id, risk_class, relations, own_right, leading_right, final_right FROM review_outcome
WHERE {_CHOSEN} ORDER BY figure_id, source = 'independent reader', id DESC
"""  # noqa: S608 - constants of this module alone
# Counted where they lie, in one go, and then what was counted: all by what clinicians did, those of whom something was told by who was right
# as well, and by how members stood. Any one of the reviews that are of a pattern has its words.
_COUNTED = f"""
WITH counted AS MATERIALIZED (
    SELECT class, of_class.* FROM {_CLASSES}, LATERAL (
        SELECT relations, pattern, count(*) AS reviews, min(id) AS any_id FROM review_figure WHERE risk_class = class AND {_CHOSEN}
        GROUP BY relations, pattern OFFSET 0
    ) AS of_class
)
SELECT sum(reviews)::bigint, class, relations, NULL::boolean, NULL::boolean, NULL::boolean, NULL::jsonb, NULL::jsonb
FROM counted WHERE NOT {_PRACTICE} GROUP BY class, relations
UNION ALL SELECT count(*), risk_class, relations, own_right, leading_right, final_right, NULL, NULL
FROM ({_NEWEST}) AS told WHERE NOT {_PRACTICE} GROUP BY risk_class, relations, own_right, leading_right, final_right
UNION ALL SELECT reviews, NULL, NULL, NULL, NULL, NULL, words.* FROM (
    SELECT sum(reviews)::bigint AS reviews, min(any_id) AS any_id FROM counted WHERE {_REAL} GROUP BY pattern
) AS patterns, LATERAL (SELECT reasons, families FROM review_figure WHERE id = any_id OFFSET 0) AS words
"""  # noqa: S608 - constants of this module alone
# Interpolated between the two nearest ranks: type 7 of Hyndman and Fan (1996, The American Statistician 50:361). All classes together
# would be sorted by their classes first.
_QUANTILES = "percentile_cont(ARRAY[0.5, 0.9, 0.95]) WITHIN GROUP (ORDER BY {})"
_WAITED = f"""
SELECT quantiles.reviews, class, to_claim, to_decision FROM {_CLASSES}, LATERAL (
    SELECT count(*) AS reviews, {_QUANTILES.format("to_claim")} AS to_claim, {_QUANTILES.format("to_decision")} AS to_decision
    FROM review_figure WHERE risk_class = class AND {_CHOSEN} AND NOT training HAVING count(*) > 0
) AS quantiles
"""  # noqa: S608 - constants of this module alone
# By when they were taken in, so that a case counts on one day whatever becomes of it: from indexes, by site and span.
_IN_SPAN = f"(SELECT count(*) FROM case_file WHERE {_AT} AND created_at >= span.since AND created_at < span.until AND {{}})"  # noqa: S608
_CONCLUDED = f"""
SELECT {_IN_SPAN.format(WITH_HUMAN)}, {_IN_SPAN.format(BY_PANEL)}
FROM unnest(%(since)s::timestamptz[], %(until)s::timestamptz[]) WITH ORDINALITY AS span (since, until, number)
ORDER BY span.number
"""  # noqa: S608 - constants of this module and of the tables


# PostgreSQL takes it to be dearer to read a year of reviews in the index than to read their table, which took 13 ms when the index took 3;
# and it would compile such statements, each time anew, where it can.
_CAREFULLY = """
SELECT set_config('statement_timeout', %(timeout)s, true), set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)
"""


async def add_review(where: Where, figure: ReviewFigure) -> int:
    """Keep what came of a review; return its order."""
    parameters = {
        "case": figure.case,
        "site": figure.site,
        "protocol": figure.protocol,
        "protocol_hash": figure.protocol_hash,
        "risk_class": figure.risk_class.value,
        "training": figure.training,
        "planted": figure.planted,
        "escalated_at": figure.escalated_at,
        "claimed_at": figure.claimed_at,
        "signed_at": figure.signed_at,
        "overdue": figure.overdue,
        "own_is_final": figure.own_is_final,
        "leading_is_final": figure.leading_is_final,
        "own_is_leading": figure.own_is_leading,
        "reasons": json.dumps(list(figure.reasons)),
        "families": json.dumps({family: dict(answers) for family, answers in figure.families.items()}),
    }
    return int((await run(where, _ADD, parameters))[0][0])


async def add_review_outcome(where: Where, case: CaseId, outcome: ReviewOutcome) -> bool:
    """Keep what is known of a case's newest signed review; return False where there is none."""
    parameters = {
        "case": case,
        "source": outcome.source,
        "own_right": outcome.own_right,
        "leading_right": outcome.leading_right,
        "final_right": outcome.final_right,
        "at": outcome.at,
    }
    return bool(await run(where, _ADD_OUTCOME, parameters))


async def count_reviews(store: Store, chosen: Chosen) -> CountedReviews:
    """Return what is counted of real cases' reviews and of planted ones'; of no other practice.

    How long it took is counted beside the rest: a review that is signed meanwhile may be in one and not in the other yet.

    Raises:
        UnavailableError: when it takes more than some seconds, for figures never cost what they count; or when the database does not
            answer.
    """
    asked = _parameters(chosen)
    counted, waited = await asyncio.gather(*(_count(store, each, asked) for each in (_COUNTED, _WAITED)))
    return CountedReviews(
        alike=_alike([row[:-2] for row in counted if row[1] is not None]),
        patterns=tuple(
            Pattern(reviews, tuple(reasons), families)
            for reviews, risk_class, *_, reasons, families in counted
            if risk_class is None
        ),
        waited=tuple(map(_waited, waited)),
    )


async def count_concluded(
    store: Store, chosen: Chosen, edges: Sequence[datetime]
) -> tuple[tuple[int, int], ...]:
    """Return, for each span between two ascending edges, how many cases concluded and how many of them with a clinician.

    Concluded is a case that the panel decided, or that waits for, is with or was with a clinician; a decision that was contested
    counts as one with a clinician. Practice does not count. Raises as `count_reviews`.
    """
    spans = _parameters(chosen) | {"since": list(edges[:-1]), "until": list(edges[1:])}
    concluded = await _count(store, _CONCLUDED, spans)
    return tuple((int(with_human) + int(by_panel), int(with_human)) for with_human, by_panel in concluded)


async def _count(store: Store, statement: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
    """Return the rows of a statement, planned for what is asked: a plan for any protocol could not count from the indexes alone."""
    try:
        async with each_alone(store.engine) as connection:
            # INVARIANT: both go in one message, which is a transaction: in two, nothing would be left of what is set.
            cursor = psycopg.AsyncClientCursor(await driver_connection(connection))
            await cursor.execute(
                f"{_CAREFULLY};{statement}".encode(), {**parameters, "timeout": str(TIMEOUT_MS)}
            )
            cursor.nextset()
            return await cursor.fetchall()
    except psycopg.OperationalError as error:
        raise UnavailableError("the figures could not be counted, or not in time") from error


def _parameters(chosen: Chosen) -> dict[str, Any]:
    return {
        "sites": sorted(chosen.sites),
        "classes": [risk_class.value for risk_class in RiskClass],
        "since": chosen.since,
        "until": chosen.until,
        "protocol": chosen.protocol,
    }


def _alike(rows: Sequence[Sequence[Any]]) -> tuple[Alike, ...]:
    """Return what was counted: of whom something was told is none of whom nothing was."""
    counted: Counter[tuple[str, int, tuple[bool | None, ...]]] = Counter()
    for reviews, risk_class, relations, *told in rows:
        right = tuple(told)
        counted[risk_class, relations, right] += reviews
        if right != _NOT_TOLD:
            counted[risk_class, relations, _NOT_TOLD] -= reviews
    return tuple(
        Alike(reviews, RiskClass(risk_class), *_relations(relations), *right)
        for (risk_class, relations, right), reviews in counted.items()
        if reviews
    )


def _relations(code: int) -> tuple[bool, bool, bool | None, bool | None, bool | None]:
    """Return whether it was planted and overdue, and which answers were the same, of the bits that PostgreSQL made of them."""
    own_is_final, leading_is_final, own_is_leading = (_MAYBE[code >> shift & 3] for shift in (3, 5, 7))
    return bool(code & 2), bool(code & 4), own_is_final, leading_is_final, own_is_leading


def _waited(row: Sequence[Any]) -> Waited:
    reviews, risk_class, to_claim, to_decision = row
    return Waited(int(reviews), RiskClass(risk_class), _durations(to_claim), _durations(to_decision))


def _durations(seconds: Sequence[float]) -> tuple[timedelta, timedelta, timedelta]:
    half, nine_tenths, most = (timedelta(seconds=each) for each in seconds)
    return half, nine_tenths, most
