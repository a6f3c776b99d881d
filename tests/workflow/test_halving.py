"""A span of time as a span of the log: nothing that fits stands outside it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.entry import Entry
from arbiter.workflow.log.timeline import OUT_OF_ORDER, Sought, place_of

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
STEPS = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 59), st.booleans()), max_size=60)


def times_of(steps: list[tuple[int, int, bool]]) -> list[datetime | None]:
    """Entries in the order of writing, each said to be up to an hour older than its place, some unreadable."""
    written, times = BEGIN, list[datetime | None]()
    for step, late, readable in steps:
        written += timedelta(minutes=step)
        times.append(written - timedelta(minutes=late) if readable else None)
    return times


def halve(times: list[datetime | None], instant: datetime, *, unreadable_as_earlier: bool) -> int:
    asked: list[int] = []

    async def at(index: int) -> datetime | None:
        asked.append(index)
        return times[index]

    place = asyncio.run(place_of(len(times), at, instant, unreadable_as_earlier=unreadable_as_earlier))
    assert len(asked) <= len(times).bit_length()
    return place


@given(STEPS, st.integers(-60, 40_000))
def test_nothing_that_fits_stands_outside_the_span(steps: list[tuple[int, int, bool]], minute: int) -> None:
    times, instant = times_of(steps), BEGIN + timedelta(minutes=minute)
    first = halve(times, instant - OUT_OF_ORDER, unreadable_as_earlier=False)
    assert [time for time in times[:first] if time is not None and time >= instant] == []
    end = halve(times, instant + OUT_OF_ORDER, unreadable_as_earlier=True)
    assert [time for time in times[end:] if time is not None and time < instant] == []


@given(STEPS, st.integers(-60, 40_000))
def test_where_all_is_in_order_and_readable_the_place_is_exact(
    steps: list[tuple[int, int, bool]], minute: int
) -> None:
    times, instant = times_of([(step, 0, True) for step, _, _ in steps]), BEGIN + timedelta(minutes=minute)
    before = sum(time is not None and time < instant for time in times)
    for unreadable_as_earlier in (False, True):
        assert halve(times, instant, unreadable_as_earlier=unreadable_as_earlier) == before


def test_a_kind_fits_itself_and_what_begins_with_it_up_to_a_dot() -> None:
    entry = Entry("case.decided", "c_1", 0, "0" * 64, BEGIN, "arbiter", "", (("code", "1"),), ())
    for kinds, fits in (
        (("case.decided",), True),
        (("case",), True),
        (("cas",), False),
        (("case.dec",), False),
    ):
        assert Sought(kinds=kinds).fits(entry) is fits
    assert Sought(since=BEGIN).fits(entry)
    assert not Sought(until=BEGIN).fits(entry)
