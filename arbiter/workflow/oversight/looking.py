"""The figures of panels and clinicians together, for whoever answers for a policy, audits or keeps the panel running; never for who reviews.

Figures are of the looker's own sites, of sites and protocols and days: of no person, and of no case.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from arbiter.errors import ForbiddenError, NotFoundError, Problem, RefusedError
from arbiter.identity.principals import Principal
from arbiter.store.drifts import DriftAlarm, WindowRow, load_alarms, load_windows
from arbiter.store.review_figures import Chosen, count_concluded, count_reviews
from arbiter.workflow.calibrations.standings import look_for_approved
from arbiter.workflow.house import House
from arbiter.workflow.oversight.measuring import Reviewed, Share, Span, measure
from arbiter.workflow.watching.looking import Looked, looked_at, may_look
from arbiter.workflow.watching.standings import guarantees

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = 366
FIRST_DAY: Final = date(1970, 1, 2)
LAST_DAY: Final = date(9998, 12, 31)
"""In every zone there are days around them."""
_DAYS_SHOWN_SINGLY: Final = 45
_MOST_WINDOWS: Final = 40


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked at: days from `since` to `until`, both included, of a protocol or of all, at a site or at all own ones."""

    since: date
    until: date
    protocol: str | None = None
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Overseen:
    """What was asked and what was found.

    `members` are protocols that state an error rate, `drifted` alarms of drift that stand, `moved` the seats (protocol, member) that
    are not what they were, `windows` how far members agreed beyond chance: all of them of every site, which no case is told from.
    """

    asked: Asked
    spans: tuple[Span, ...]
    reviewed: Reviewed
    members: tuple[Looked, ...]
    drifted: tuple[DriftAlarm, ...]
    moved: tuple[tuple[str, str], ...]
    windows: tuple[WindowRow, ...]

    @property
    def whole(self) -> Share:
        """How many of all concluded cases came to a clinician."""
        shares = [span.escalated for span in self.spans]
        return Share(sum(share.part for share in shares), sum(share.whole for share in shares))


def newest(house: House) -> Asked:
    """Return the last `DEFAULT_DAYS` days, today included, of everything."""
    today = house.clock.now().astimezone(house.settings.zone).date()
    return Asked(today - timedelta(days=DEFAULT_DAYS - 1), today)


async def choices(house: House, principal: Principal) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the protocols and the sites that somebody may ask about, by id with what people call them.

    Raises:
        ForbiddenError: for who reviews, and for whom it is no concern.
    """
    _check_may_look(principal)
    protocols = {name: shelved.protocol.title for name, shelved in house.shelf.current.items()}
    sites = {site: name for site, name in await house.identities.sites() if site in principal.sites}
    return protocols, sites


async def oversee(house: House, principal: Principal, asked: Asked) -> Overseen:
    """Return the figures of what was asked, at the sites that this principal acts for.

    Raises:
        ForbiddenError: for who reviews, and for whom it is no concern. NotFoundError: for a site that is none of the principal's, and for
            a protocol that is not in force.
        RefusedError: for days that do not follow each other, more than `MOST_DAYS`, or beyond `FIRST_DAY` and `LAST_DAY`.
    """
    _check_may_look(principal)
    return await oversee_sites(house, principal.sites, asked)


async def oversee_sites(house: House, sites: frozenset[str], asked: Asked) -> Overseen:
    """Return the figures of what was asked, for whoever is at the machine; raises as `oversee`."""
    if asked.site is not None and asked.site not in sites:
        raise NotFoundError(f"no site {asked.site}")
    if asked.protocol is not None:
        house.shelf.in_force(asked.protocol)
    _check_days(asked)
    edges = _edges(asked, house.settings.zone)
    at = sites if asked.site is None else frozenset({asked.site})
    chosen = Chosen(at, edges[0], edges[-1], asked.protocol)
    # Beside one another: what counts them waits for the database, what is of every site for this process.
    counted, concluded, (members, drifted, windows) = await asyncio.gather(
        count_reviews(house.store, chosen),
        count_concluded(house.store, chosen, edges),
        _of_every_site(house, asked.protocol),
    )
    return Overseen(
        asked=asked,
        spans=_spans(edges, concluded),
        reviewed=measure(counted.alike, counted.patterns, counted.waited),
        members=members,
        drifted=drifted,
        moved=tuple(sorted(seat for seat in house.moved.seats if asked.protocol in {None, seat[0]})),
        windows=windows,
    )


async def _of_every_site(
    house: House, protocol: str | None
) -> tuple[tuple[Looked, ...], tuple[DriftAlarm, ...], tuple[WindowRow, ...]]:
    """Return how members stand, which drifted, and how far they agreed, of a protocol or of all."""
    await look_for_approved(house)
    standings = await guarantees(house)
    alarms = await load_alarms(house.store, standing=True)
    windows = await load_windows(house.store, _MOST_WINDOWS)
    return (
        tuple(looked_at(house, each) for each in standings if protocol in {None, each.protocol}),
        tuple(alarm for alarm in alarms if protocol in {None, alarm.protocol}),
        tuple(row for row in windows if protocol in {None, row.protocol}),
    )


def _check_may_look(principal: Principal) -> None:
    if not may_look(principal):
        raise ForbiddenError(f"{principal.kind} {principal.login or principal.id} may not see these figures")


def _check_days(asked: Asked) -> None:
    if asked.since < FIRST_DAY or asked.until > LAST_DAY:
        detail = f"expected days from {FIRST_DAY} to {LAST_DAY}"
        raise RefusedError("the days are none of this service's", (Problem("/from", "range", detail),))
    if asked.until < asked.since:
        detail = "expected a last day that is not before the first"
        raise RefusedError("the days do not follow each other", (Problem("/to", "order", detail),))
    if (asked.until - asked.since).days >= MOST_DAYS:
        detail = f"expected at most {MOST_DAYS} days"
        raise RefusedError("too many days", (Problem("/from", "too-long", detail),))


def _edges(asked: Asked, zone: tzinfo | None) -> list[datetime]:
    """Return where each span begins, and where the last one ends: days, or weeks where the days are many."""
    days = (asked.until - asked.since).days + 1
    stride = 1 if days <= _DAYS_SHOWN_SINGLY else 7
    starts = [asked.since + timedelta(days=at) for at in range(0, days, stride)]
    return [_midnight(day, zone) for day in (*starts, asked.until + timedelta(days=1))]


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    naive = datetime.combine(day, time.min)
    return naive.astimezone() if zone is None else naive.replace(tzinfo=zone)


def _spans(edges: Sequence[datetime], counted: Sequence[tuple[int, int]]) -> tuple[Span, ...]:
    return tuple(
        Span(since, until, Share(with_human, concluded))
        for (since, until), (concluded, with_human) in zip(itertools.pairwise(edges), counted, strict=True)
    )
