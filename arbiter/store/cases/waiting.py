"""What waits for a clinician, chosen by urgency where it lies: a page of it, its counts, who is next, and whether it has changed.

A decision drawn for an audit stands here as a routine escalation does: its risk class, its deadline and whether it is held are
masked before anything is chosen, ordered or counted, so that no filter, order or number tells the one from the other. Every
statement does the same work whether there are audits or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from arbiter.lifecycle.states import ENDS, WITH_HUMANS
from arbiter.model import ActorId, CaseId, RiskClass
from arbiter.store.cases.heads import HEADS, CaseRow, head_from
from arbiter.store.transaction import Where, run
from arbiter.telemetry.catalogue import Statement
from arbiter.telemetry.spans import as_statement


@dataclass(frozen=True, slots=True)
class Looking:
    """Who looks, and when: at their sites' cases, with at most `audits` to be read of each protocol, due `within` from the draw.

    `arbitrates`: cases can be referred to them.
    """

    reader: ActorId
    sites: frozenset[str]
    now: datetime
    within: timedelta
    audits: int
    arbitrates: bool


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What of the waiting cases is wanted; None and False ask for nothing."""

    site: str | None = None
    protocol: str | None = None
    risk_class: RiskClass | None = None
    overdue: bool = False
    unacknowledged: bool = False


EVERYTHING = Narrowing()


@dataclass(frozen=True, slots=True)
class Counted:
    """How many cases wait that are alike in all that one can ask for."""

    site: str
    protocol: str
    risk_class: RiskClass
    overdue: bool
    unacknowledged: bool
    cases: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The cases that wait, by what one can ask for; how many this reader holds, and how many are others'.

    Others' are those that a colleague holds, and those that wait for somebody else than this reader.
    """

    waiting: tuple[Counted, ...]
    mine: int
    with_others: int


_RANK = "CASE {} WHEN 'emergency' THEN 0 WHEN 'urgent' THEN 1 ELSE 2 END"
_OPEN = "state #>> '{audit,stage}' IN ('drawn', 'doubted')"


def _names(people: str) -> str:
    return f"coalesce(state -> '{people}' @> to_jsonb(%(reader)s::text), false)"


_READINGS = "coalesce(jsonb_array_length(state -> 'readings'), 0)"
_READERS = "coalesce((state ->> 'readers_needed')::int, 1)"
# What `arbiter.lifecycle.readers.may_take_up` says of a case that waits; a test holds the two together.
TAKEABLE = f"""
NOT ({_names("conflicted")} OR {_names("referrers")}) AND CASE
    WHEN coalesce((state ->> 'wants_arbiter')::boolean, false) THEN %(arbitrates)s::boolean
        AND ({_names("arbiters")} OR NOT ({_names("readings")} OR {_names("seen_by")}))
    ELSE {_READERS} < 2 OR NOT ({_names("readings")} AND {_READINGS} < {_READERS})
        AND ({_names("readings")} OR NOT {_names("seen_by")})
END
"""
_SET_ASIDE = "coalesce((state #>> '{ladder,rung}')::int, 0) < 0"
_READABLE = f"""
{_OPEN} AND phase = ANY(%(ends)s::text[]) AND state ->> 'erasure' IS NULL AND site_id = ANY(%(sites)s::text[])
    AND NOT state #> '{{audit,readers}}' @> to_jsonb(%(reader)s::text)
"""
# The protocols that have audits come one by one from the index, and of each the oldest: never all that were drawn.
_LISTED = f"""
WITH RECURSIVE audited_protocol (id) AS (
    (SELECT protocol_id FROM case_file WHERE {_OPEN} ORDER BY protocol_id LIMIT 1)
    UNION ALL
    SELECT (SELECT protocol_id FROM case_file WHERE {_OPEN} AND protocol_id > p.id ORDER BY protocol_id LIMIT 1)
    FROM audited_protocol AS p WHERE p.id IS NOT NULL
), to_read AS (
    SELECT id FROM case_file WHERE reviewer_id = %(reader)s AND {_READABLE}
    UNION
    SELECT oldest.id FROM audited_protocol AS p CROSS JOIN LATERAL (
        SELECT id FROM case_file WHERE protocol_id = p.id AND {_READABLE}
        ORDER BY created_at, id LIMIT %(audits)s::int
    ) AS oldest
), standing AS MATERIALIZED (
    SELECT id, site_id, protocol_id, risk_class, (state ->> 'due_at')::timestamptz AS due_at,
        (state ->> 'overdue')::boolean AS marked, phase = 'escalated' AND {TAKEABLE} AS waits,
        reviewer_id IS NOT DISTINCT FROM %(reader)s::text AS mine, (state #>> '{{claim,until}}')::timestamptz AS until,
        phase = 'escalated' AND coalesce(jsonb_array_length(state #> '{{ladder,waits}}'), 0) > 0
            AND state #>> '{{ladder,acknowledged_by}}' IS NULL AND NOT {_SET_ASIDE} AS unacknowledged, {_SET_ASIDE} AS aside
    FROM case_file WHERE phase = ANY(%(phases)s::text[]) AND site_id = ANY(%(sites)s::text[])
    UNION ALL
    SELECT id, site_id, protocol_id, 'routine', (state #>> '{{audit,drawn_at}}')::timestamptz + %(within)s::interval,
        false, NOT held.now, held.now AND reviewer_id = %(reader)s::text, (state #>> '{{claim,until}}')::timestamptz, false, false
    FROM case_file CROSS JOIN LATERAL (
        SELECT coalesce((state #>> '{{claim,until}}')::timestamptz > %(now)s::timestamptz, false) AS now
    ) AS held WHERE id = ANY(ARRAY(SELECT id FROM to_read))
), listed AS (
    SELECT *, marked OR coalesce(due_at <= %(now)s::timestamptz, false) AS overdue, {_RANK.format("risk_class")} AS rank
    FROM standing
)
"""  # noqa: S608 - constants of this module alone
_WANTED = """
waits AND NOT mine AND (%(site)s::text IS NULL OR site_id = %(site)s::text)
    AND (%(protocol)s::text IS NULL OR protocol_id = %(protocol)s::text)
    AND (%(risk_class)s::text IS NULL OR risk_class = %(risk_class)s::text)
    AND (NOT %(overdue)s::boolean OR overdue) AND (NOT %(unacknowledged)s::boolean OR unacknowledged)
"""
_BY_URGENCY = 'rank, due_at NULLS LAST, id COLLATE "C"'
_PAGE = f"""{_LISTED}
, chosen AS MATERIALIZED (
    (SELECT id, 0 AS part, row_number() OVER (ORDER BY until, {_BY_URGENCY}) AS place FROM listed WHERE mine
        ORDER BY place LIMIT %(most_mine)s::int)
    UNION ALL
    (SELECT id, 1, row_number() OVER (ORDER BY {_BY_URGENCY}) AS place FROM listed WHERE {_WANTED}
        ORDER BY place LIMIT %(limit)s::int OFFSET %(offset)s::int)
), head AS MATERIALIZED ({HEADS} WHERE c.id = ANY(ARRAY(SELECT id FROM chosen)))
SELECT head.* FROM chosen JOIN head ON head.id = chosen.id ORDER BY chosen.part, chosen.place
"""  # noqa: S608 - constants of this module alone
_COUNTS = (
    _LISTED
    + """
SELECT site_id, protocol_id, risk_class, overdue, unacknowledged,
    CASE WHEN mine THEN 'mine' WHEN waits THEN 'waiting' ELSE 'others' END, count(*)
FROM listed GROUP BY 1, 2, 3, 4, 5, 6
"""
)
_NEXT = (
    _LISTED
    + f"""
SELECT id FROM listed WHERE {_WANTED} AND NOT aside AND NOT id = ANY(%(without)s::text[]) ORDER BY {_BY_URGENCY} LIMIT %(limit)s::int
"""  # noqa: S608 - constants of this module alone
)
_EVERY_SITE = (
    HEADS
    + f"""
WHERE c.phase = ANY(%(phases)s::text[]) AND c.site_id = ANY(%(sites)s::text[])
ORDER BY {_RANK.format("c.risk_class")}, (c.state ->> 'due_at')::timestamptz NULLS LAST, c.id COLLATE "C" LIMIT %(limit)s::int
"""
)
# Each row's id with its version, in no order: whatever comes, moves or goes changes the sum.
_MARKS = f"""
SELECT site_id, count(*)::text || ':' || sum(hashtextextended(id, version))::text FROM (
    SELECT id, site_id, version FROM case_file WHERE phase = ANY(%(phases)s::text[])
    UNION ALL SELECT id, site_id, version FROM case_file WHERE {_OPEN}
) AS standing GROUP BY site_id
"""  # noqa: S608 - constants of this module alone


def _asked(looking: Looking, narrowing: Narrowing) -> dict[str, Any]:
    return {
        "reader": looking.reader,
        "sites": sorted(looking.sites),
        "now": looking.now,
        "within": looking.within,
        "audits": looking.audits,
        "arbitrates": looking.arbitrates,
        "phases": _PHASES,
        "ends": sorted(phase.value for phase in ENDS),
        "site": narrowing.site,
        "protocol": narrowing.protocol,
        "risk_class": None if narrowing.risk_class is None else narrowing.risk_class.value,
        "overdue": narrowing.overdue,
        "unacknowledged": narrowing.unacknowledged,
    }


_PHASES = sorted(phase.value for phase in WITH_HUMANS)


@as_statement(Statement.LIST)
async def list_waiting(
    where: Where, looking: Looking, narrowing: Narrowing, *, most_mine: int, limit: int, offset: int
) -> tuple[CaseRow, ...]:
    """Return heads as they are stored: first those the reader holds, by the end of their lease; then a part of those that wait.

    The first are never narrowed; of the others, by urgency, `offset` are left out. What a head of an audit may show is the
    caller's to mask.
    """
    bounds = {"most_mine": most_mine, "limit": limit, "offset": offset}
    rows = await run(where, _PAGE, {**_asked(looking, narrowing), **bounds})
    return tuple(head_from(row) for row in rows)


@as_statement(Statement.LIST)
async def count_waiting(where: Where, looking: Looking) -> Counts:
    """Return how many cases wait, by all that one can ask for."""
    waiting, held = [], {"mine": 0, "others": 0}
    for site, protocol, risk_class, overdue, unacknowledged, standing, cases in await run(
        where, _COUNTS, _asked(looking, EVERYTHING)
    ):
        if standing == "waiting":
            waiting.append(
                Counted(site, protocol, RiskClass(risk_class), overdue, unacknowledged, int(cases))
            )
        else:
            held[standing] += int(cases)
    return Counts(tuple(waiting), held["mine"], held["others"])


@as_statement(Statement.LIST)
async def next_waiting(
    where: Where, looking: Looking, narrowing: Narrowing, without: Iterable[CaseId], limit: int
) -> tuple[CaseId, ...]:
    """Return the cases that wait, the most urgent first, without those named and those that somebody has set aside."""
    asked = {**_asked(looking, narrowing), "without": sorted(without), "limit": limit}
    return tuple(CaseId(row[0]) for row in await run(where, _NEXT, asked))


@as_statement(Statement.LIST)
async def list_with_humans(where: Where, sites: Iterable[str], limit: int) -> tuple[CaseRow, ...]:
    """Return the most urgent heads that are with clinicians at these sites, held or not; no audit is among them."""
    asked = {"phases": _PHASES, "sites": sorted(sites), "limit": limit}
    return tuple(head_from(row) for row in await run(where, _EVERY_SITE, asked))


@as_statement(Statement.LIST)
async def standing_marks(where: Where) -> Mapping[str, str]:
    """Return a mark for each site where anything waits or is held; it is another one after any move there.

    A mark says nothing but that.
    """
    return {row[0]: row[1] for row in await run(where, _MARKS, {"phases": _PHASES})}
