"""Who is on duty, to the minute, on the days the clocks change too.

The instants of change are those the zones' authorities announced: the United Kingdom's clocks go forward on 29 March 2026
and back on 25 October 2026, both at 01:00 UTC; Lord Howe Island's go forward by half an hour on 4 October 2026.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.duty.loader import load_duty
from arbiter.duty.roster import WEEK, Group, minute_words, overlap_of
from arbiter.errors import InvalidDutyError
from tests.duty.small import DUTY, spoiled

OUTREACH = load_duty("duty.yaml", DUTY).groups["outreach"]


def on(group: Group, text: str) -> list[str]:
    return [contact.id for contact in group.on_duty(datetime.fromisoformat(text))]


def rota(zone: str, *shifts: str) -> Group:
    """A group whose rota has these shifts, `days from to contact`; `day` and `night` are its contacts."""
    written = "".join(
        f"        - {{days: [{days}], from: '{begins}', to: '{ends}', contacts: [{contact}]}}\n"
        for days, begins, ends, contact in (shift.split() for shift in shifts)
    )
    source = f"""\
groups:
  - id: g
    title: G
    contacts:
      - {{id: day, mail: day@h.example}}
      - {{id: night, mail: night@h.example}}
    rota:
      zone: {zone}
      shifts:
{written}
ladders:
  - duty_groups: [g]
    routine: [{{group: g, acknowledge_within: 60}}]
    urgent: [{{group: g, acknowledge_within: 60}}]
    emergency: [{{group: g, acknowledge_within: 60}}]
"""
    return load_duty("duty.yaml", source.encode()).groups["g"]


ALL_DAYS = "mon,tue,wed,thu,fri,sat,sun"


@pytest.mark.parametrize(
    ("instant", "contacts"),
    [
        ("2026-01-05T07:59:59+00:00", ["pager"]),  # a Monday; the night before it is nobody's
        ("2026-01-05T08:00:00+00:00", ["day-bleep", "pager"]),
        ("2026-01-05T19:59:59+00:00", ["day-bleep", "pager"]),
        ("2026-01-05T20:00:00+00:00", ["night-bleep"]),
        ("2026-01-06T07:59:59+00:00", ["night-bleep"]),
        ("2026-01-06T08:00:00+00:00", ["day-bleep", "pager"]),
        ("2026-01-09T19:59:59+00:00", ["day-bleep", "pager"]),
        ("2026-01-09T20:00:00+00:00", ["pager"]),  # Friday evening: the gap begins
        ("2026-01-11T12:00:00+00:00", ["pager"]),
        ("2026-07-06T07:00:00+00:00", ["day-bleep", "pager"]),  # 08:00 in summer
        ("2026-07-06T19:00:00+00:00", ["night-bleep"]),
        ("2026-07-06T15:00:00-05:00", ["night-bleep"]),  # whatever zone the instant is told in
    ],
)
def test_a_shift_begins_and_ends_to_the_minute(instant: str, contacts: list[str]) -> None:
    assert on(OUTREACH, instant) == contacts


def test_a_group_without_a_rota_is_always_on_duty_together() -> None:
    assert on(load_duty("duty.yaml", DUTY).groups["registrar"], "2026-03-29T01:00:00+00:00") == ["phone"]


def minutes_of(group: Group, contact: str, begin: str, end: str) -> int:
    """How many minutes of real time that contact is on duty between two instants."""
    return sum(contact in {c.id for c in group.on_duty(at)} for at in _minutes(begin, end))


def _minutes(begin: str, end: str) -> Iterator[datetime]:
    at, until = datetime.fromisoformat(begin), datetime.fromisoformat(end)
    while at < until:
        yield at
        at += timedelta(minutes=1)


@pytest.mark.parametrize(
    ("zone", "begin", "end", "hours"),
    [
        ("Europe/London", "2026-03-28T12:00+00:00", "2026-03-29T12:00+00:00", 11),
        ("Europe/London", "2026-10-24T12:00+00:00", "2026-10-25T12:00+00:00", 13),
        ("Europe/London", "2026-11-24T12:00+00:00", "2026-11-25T12:00+00:00", 12),
        ("Australia/Lord_Howe", "2026-10-03T01:30+00:00", "2026-10-04T01:00+00:00", 11.5),
    ],
)
def test_the_night_in_which_the_clocks_change_is_worked_by_whoever_is_on(
    zone: str, begin: str, end: str, hours: float
) -> None:
    group = rota(zone, f"{ALL_DAYS} 08:00 20:00 day", f"{ALL_DAYS} 20:00 08:00 night")
    assert minutes_of(group, "night", begin, end) == hours * 60
    assert all(len(group.on_duty(at)) == 1 for at in _minutes(begin, end))


def test_a_shift_that_ends_in_the_hour_that_comes_twice_is_worked_twice_and_leaves_no_gap() -> None:
    group = rota("Europe/London", f"{ALL_DAYS} 01:30 13:30 day", f"{ALL_DAYS} 13:30 01:30 night")
    told = [
        (on(group, f"2026-10-25T{hour:02}:{minute:02}+00:00")[0]) for hour in (0, 1) for minute in (0, 30)
    ]
    # 01:00 and 01:30 BST, then 01:00 and 01:30 GMT.
    assert told == ["night", "day", "night", "day"]


def test_a_shift_that_begins_in_the_hour_that_is_missing_begins_when_the_clock_passes_it() -> None:
    group = rota("Europe/London", f"{ALL_DAYS} 01:30 13:30 day", f"{ALL_DAYS} 13:30 01:30 night")
    assert on(group, "2026-03-29T00:59:59+00:00") == ["night"]
    assert on(group, "2026-03-29T01:00:00+00:00") == ["day"]


@pytest.mark.parametrize(
    "shifts",
    [
        (f"{ALL_DAYS} 00:00 24:00 day",),
        (f"{ALL_DAYS} 08:00 08:00 day",),
        (
            "mon 00:00 24:00 day",
            "tue,wed,thu,fri,sat,sun 00:00 12:00 day",
            "tue,wed,thu,fri,sat,sun 12:00 24:00 night",
        ),
        ("sun 12:00 12:00 night", "mon,tue,wed,thu,fri,sat 12:00 12:00 day"),
    ],
)
def test_a_week_without_a_gap_is_taken(shifts: tuple[str, ...]) -> None:
    group = rota("UTC", *shifts)
    week = [datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=minute) for minute in range(WEEK)]
    assert all(group.on_duty(at) for at in week)


@pytest.mark.parametrize(
    ("shifts", "gap"),
    [
        ((f"{ALL_DAYS} 08:00 20:00 day",), "mon 00:00"),
        ((f"{ALL_DAYS} 00:00 20:00 day",), "mon 20:00"),
        ((f"{ALL_DAYS} 00:00 23:59 day",), "mon 23:59"),
        (("mon,tue,wed,thu,fri,sat 00:00 24:00 day",), "sun 00:00"),
        ((f"{ALL_DAYS} 08:00 07:59 day",), "mon 07:59"),
        (("mon,tue,wed,thu,fri,sat 12:00 12:00 day",), "mon 00:00"),
    ],
)
def test_a_gap_is_named_by_its_first_minute(shifts: tuple[str, ...], gap: str) -> None:
    with pytest.raises(InvalidDutyError) as caught:
        rota("UTC", *shifts)
    assert [problem.detail.rsplit("from ", 1)[1] for problem in caught.value.problems] == [gap]


@given(
    at=st.integers(1_577_836_800, 2_114_380_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    zone=st.sampled_from(
        ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
    ),
)
def test_somebody_is_called_at_every_instant(at: datetime, zone: str) -> None:
    source = spoiled("Europe/London", zone)
    assert load_duty("duty.yaml", source).groups["outreach"].on_duty(at)


# --- now and next ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instant", "on_now", "until", "following"),
    [
        ("2026-01-05T12:00:30+00:00", {"day-bleep", "pager"}, "2026-01-05T20:00:00+00:00", {"night-bleep"}),
        ("2026-01-05T20:00:00+00:00", {"night-bleep"}, "2026-01-06T08:00:00+00:00", {"day-bleep", "pager"}),
        # From Friday's evening to Monday's morning it is nobody's shift, and the pager's.
        ("2026-01-10T03:00:00+00:00", {"pager"}, "2026-01-12T08:00:00+00:00", {"day-bleep", "pager"}),
        # Over the night in which the clocks go forward the shift still ends at eight on the wall.
        ("2026-03-28T22:00:00+00:00", {"pager"}, "2026-03-30T08:00:00+01:00", {"day-bleep", "pager"}),
    ],
)
def test_who_is_on_until_when_and_who_comes_then(
    instant: str, on_now: set[str], until: str, following: set[str]
) -> None:
    spell = OUTREACH.spell(datetime.fromisoformat(instant))
    assert {each.id for each in spell.contacts} == on_now
    assert spell.until == datetime.fromisoformat(until)
    assert {each.id for each in spell.following} == following


@given(st.integers(0, 365 * 24 * 3600))
def test_at_its_end_a_spell_gives_way_to_whom_it_names(seconds: int) -> None:
    instant = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    spell = OUTREACH.spell(instant)
    assert set(spell.contacts) == set(OUTREACH.on_duty(instant))
    assert spell.until is not None
    assert spell.until > instant
    assert set(OUTREACH.on_duty(spell.until)) == set(spell.following)
    assert set(OUTREACH.on_duty(spell.until - timedelta(seconds=1))) == set(spell.contacts)


def test_without_a_rota_or_with_one_shift_all_week_nobody_comes_next() -> None:
    registrar = load_duty("duty.yaml", DUTY).groups["registrar"]
    always = rota("Europe/London", f"{ALL_DAYS} 00:00 24:00 day")
    for group in (registrar, always):
        spell = group.spell(datetime(2026, 1, 5, tzinfo=UTC))
        assert (spell.until, spell.following) == (None, ())
        assert spell.contacts == group.on_duty(datetime(2026, 1, 5, tzinfo=UTC))


def test_two_shifts_at_once_are_found_also_where_one_runs_past_midnight() -> None:
    apart = rota("UTC", f"{ALL_DAYS} 08:00 20:00 day", f"{ALL_DAYS} 20:00 08:00 night").rota
    at_once = rota("UTC", f"{ALL_DAYS} 08:00 20:00 day", f"{ALL_DAYS} 20:00 08:01 night").rota
    assert apart is not None
    assert at_once is not None
    assert overlap_of(apart.shifts) is None
    assert minute_words(overlap_of(at_once.shifts) or 0) == "mon 08:00"
