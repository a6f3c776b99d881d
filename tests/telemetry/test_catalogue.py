"""The catalogue: by convention, without gaps, and printed as it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from arbiter.model import MemberStatus, ReasonCode
from arbiter.telemetry.catalogue import ATTRIBUTES, CASE, ERROR_TYPE, SPANS, Attribute, SpanKindOf
from arbiter.telemetry.documentation import attributes_table, metrics_table, spans_table
from arbiter.telemetry.metrics import METRICS, Instrument, Metric

PAGE = Path(__file__).parents[2] / "compliance" / "telemetry.md"


@pytest.mark.parametrize(
    ("mark", "right"),
    [("spans", spans_table), ("metrics", metrics_table), ("attributes", attributes_table)],
    ids=["spans", "metrics", "attributes"],
)
def test_a_table_of_the_page_is_the_codes(mark: str, right: Callable[[], str]) -> None:
    found = re.search(rf"^<!-- {mark} -->\n((?:\|.*\n)+)", PAGE.read_text("utf-8"), re.MULTILINE)
    assert found is not None
    if found[1] != right():
        pytest.fail(f"the table of {mark} is not the code's, which is:\n\n{right()}", pytrace=False)


def test_names_are_unique_and_as_the_conventions_want_them() -> None:
    for names in ([a.name for a in ATTRIBUTES], [m.name for m in METRICS], [s.name for s in SPANS]):
        assert len(set(names)) == len(names)
    for name in (*(a.name for a in ATTRIBUTES), *(m.name for m in METRICS)):
        assert re.fullmatch(r"[a-z]+(?:[._][a-z]+)*", name), name
    for metric in METRICS:
        # UCUM: seconds, or a thing counted in braces; the unit is no part of the name.
        assert re.fullmatch(r"s|\{[a-z]+\}", metric.unit), metric.name
        assert (
            not re.search(r"seconds|_s$|total|count$", metric.name)
            or metric.name == "db.client.connection.count"
        )
        assert bool(metric.buckets) == (metric.instrument is Instrument.HISTOGRAM)


def test_every_attribute_is_used_and_every_one_used_is_listed() -> None:
    kinds: tuple[SpanKindOf | Metric, ...] = (*SPANS, *METRICS)
    used = {each for kind in kinds for each in kind.attributes}
    assert used <= set(ATTRIBUTES)
    assert {each.name for each in set(ATTRIBUTES) - used} == {"exception.type", "arbiter.exception.place"}


def test_no_metric_is_split_by_case() -> None:
    """A series a case would be a list of the cases, and without end."""
    assert not [metric.name for metric in METRICS if CASE in metric.attributes]


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda attribute: attribute.name)
@pytest.mark.parametrize(
    "value", ["Jones", "Mrs Jones", "12.03.1987", "612.37", 612.37, "", None, b"x", ["x"], "a\nb"]
)
def test_no_attribute_takes_a_persons_words_or_a_measured_number(attribute: Attribute, value: object) -> None:
    # A class and a model's name may look like a person's or a number; both come from code and protocol files alone.
    if attribute.name == "gen_ai.request.model" or (
        value == "Jones" and attribute.values is ERROR_TYPE.values
    ):
        return
    assert not attribute.values.take(value)


def test_the_words_of_enumerations_are_taken_whole() -> None:
    by_name = {attribute.name: attribute.values for attribute in ATTRIBUTES}
    assert all(by_name["arbiter.reason.code"].take(code.value) for code in ReasonCode)
    assert all(by_name["arbiter.member.status"].take(status.value) for status in MemberStatus)
