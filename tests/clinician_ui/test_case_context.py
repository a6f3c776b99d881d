"""Trends, texts and the timeline on the blind page: what is drawn is what was measured, and no text ever becomes markup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from arbiter.protocols.context import RawContext
from arbiter.question import Reference
from clinician_ui.presenters.trends import HEIGHT, WIDTH, range_words, trend
from tests.clinician_ui.conftest import SPLIT, Ward
from tests.clinician_ui.contexts import HOSTILE, earlier, note, told_case
from tests.clinician_ui.visits import address, chromium, log_in, visit

__all__ = ["address", "chromium"]

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
USUAL = Reference(Decimal(12), Decimal(20), "a guideline")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((18, 20, 24), "3 values over 2 hours, rising from 18 to 24 per minute; usual: 12 to 20"),
        ((24, 18), "2 values over 1 hour, falling from 24 to 18 per minute; usual: 12 to 20"),
        (
            (18, 30, 18),
            "3 values over 2 hours, 18 at both ends per minute; between 18 and 30; usual: 12 to 20",
        ),
    ],
)
def test_a_plot_says_in_words_what_it_draws(values: tuple[int, ...], words: str) -> None:
    points = [(NOON + timedelta(hours=hour), Decimal(value)) for hour, value in enumerate(values)]
    found = trend(points, "per minute", USUAL)
    assert found is not None
    assert found.words.replace("\u00a0", " ") == words


@given(
    values=st.lists(st.tuples(st.integers(0, 10_000), st.integers(-500, 500)), min_size=2, max_size=40),
    low=st.integers(-600, 0),
    span=st.integers(1, 600),
)
def test_every_point_stands_where_its_time_and_value_say(
    values: list[tuple[int, int]], low: int, span: int
) -> None:
    points = [(NOON + timedelta(minutes=minute), Decimal(value)) for minute, value in values]
    found = trend(points, "", Reference(Decimal(low), Decimal(low + span), "x"))
    times = sorted(minute for minute, _ in values)
    if times[0] == times[-1]:
        assert found is None
        return
    assert found is not None
    drawn = [tuple(map(float, each.split())) for each in found.line[1:].split("L")]
    # Independent of the presenter: linear in floating point over the ends of values and range, tried by each point.
    ends = [value for _, value in values] + [low, low + span]
    for (minute, value), (x, y) in zip(sorted(values), drawn, strict=True):
        assert x == pytest.approx(4 + 122 * (minute - times[0]) / (times[-1] - times[0]), abs=0.06)
        assert y == pytest.approx(31 - 26 * (value - min(ends)) / (max(ends) - min(ends)), abs=0.06)
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
    assert (found.last_x, found.last_y) == drawn[-1]


def test_one_instant_is_no_trend_and_an_open_end_reaches_the_plots() -> None:
    assert trend([(NOON, Decimal(1)), (NOON, Decimal(2))], "", None) is None
    assert trend([], "", None) is None
    points = [(NOON, Decimal(90)), (NOON + timedelta(hours=1), Decimal(98))]
    found = trend(points, "%", Reference(Decimal(96), None, "x"))
    assert found is not None
    assert found.band is not None
    assert found.band.y == 0
    assert [
        range_words(Reference(low, high, "x")) for low, high in ((Decimal(96), None), (None, Decimal("2.0")))
    ] == [
        "96 or more",
        "2 or less",
    ]


class Seen(HTMLParser):
    """The names of a page's elements, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"], tag
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


async def blind_page(ward: Ward, context: RawContext) -> str:
    case = await told_case(ward, context)
    browser = await ward.claimed(case)
    return (await browser.get(f"/cases/{case}")).text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_text_of_the_record_is_read_as_it_was_written_and_never_becomes_markup(
    ward: Ward, hostile: str
) -> None:
    now = ward.clock.now()
    plain = Seen(await blind_page(ward, RawContext((), (note(now, "quiet", "Plain"),))))
    found = Seen(await blind_page(ward, RawContext((), (note(now, hostile, hostile[:200]),))))
    assert found.tags == plain.tags
    assert hostile in found.text
    assert hostile[:200] in found.text


@pytest.mark.asyncio(loop_scope="module")
async def test_a_reviewer_reads_trends_texts_and_timeline(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    for scripted in (True, False):
        now = ward.clock.now()
        context = RawContext(earlier(now), (note(now), note(now, "\n".join(HOSTILE), "Hostile")))
        case = await told_case(ward, context, SPLIT)
        async with visit(chromium, address, scripted=scripted) as visited:
            await log_in(visited)
            await visited.press(f"Claim case {case}")
            page = visited.page
            plot = page.get_by_role("img", name="6 values over 11 hours 55 minutes, rising from 18 to 24")
            await expect(plot).to_be_visible()
            await expect(page.get_by_text("Above range").first).to_be_visible()
            for summary in ("All 6 values", "Timeline:", "Hostile", "Earlier values of Blood lactate"):
                await page.locator("summary", has_text=summary).first.click()
            await expect(page.get_by_text("W" * 10_000)).to_be_visible()
            await visited.look("a blind case with everything opened")
