"""What holds for every score, whatever the values."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.model import FactValue
from arbiter.panels.scores.table import AnyRow, CodeRow, FlagRow, Row, Score, SlopeRow
from arbiter.panels.seating import SCORES

# The normal value of each number: points never fall on the way from it in either direction.
CENTRES = {
    "respiratory_rate": "13", "spo2": "98", "systolic_bp": "130", "heart_rate": "70", "temperature": "37.0",
    "diastolic_bp": "80", "age": "20", "white_cell_count": "7", "immature_neutrophils": "0", "paco2": "40",
    "egfr": "100", "haemoglobin": "15", "haematocrit": "45", "alcohol": "0", "time_in_therapeutic_range": "80",
    "creatinine": "80", "spo2_on_air": "98", "planned_duration": "60", "body_mass_index": "24",
    "neck_circumference": "34",
}  # fmt: skip

# Scores whose guideline leaves a band to individual judgement: there the total stands and no option is named.
LEAVE_A_BAND = {"cha2ds2-va", "cha2ds2-vasc", "atria-stroke"}

# Published rows in which points do not only rise: by oxygen above the target, and by age after a stroke.
BOTH_WAYS = {"SpO2 (scale 2, on oxygen)", "age (with an earlier stroke)"}


def values_for(row: AnyRow) -> st.SearchStrategy[FactValue]:
    match row:
        case Row() | SlopeRow():
            return st.decimals("0", "400", places=2, allow_nan=False)
        case CodeRow():
            return st.sampled_from([code for code, _ in row.codes])
        case FlagRow():
            return st.booleans()


@st.composite
def complete_facts(draw: st.DrawFn, score: Score) -> dict[str, FactValue]:
    return {row.fact: draw(values_for(row)) for row in score.rows}


@pytest.mark.parametrize("name", sorted(SCORES))
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_the_total_is_the_sum_of_its_components_and_the_option_is_offered(
    name: str, data: st.DataObject
) -> None:
    score = SCORES[name]
    result = score.assess(data.draw(complete_facts(score)), frozenset())
    assert result.total == sum(component.points for component in result.components)
    assert result.missing == ()
    if result.option is None:
        assert name in LEAVE_A_BAND
        assert "leave" in result.summary
    else:
        assert result.option in score.options


@pytest.mark.parametrize("name", sorted(SCORES))
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_one_more_condition_never_lowers_the_total(name: str, data: st.DataObject) -> None:
    score = SCORES[name]
    facts = data.draw(complete_facts(score))
    for row in score.rows:
        if isinstance(row, FlagRow) and row.yes >= row.no:
            without = score.assess({**facts, row.fact: False}, frozenset()).total
            having = score.assess({**facts, row.fact: True}, frozenset()).total
            assert without is not None
            assert having is not None
            assert having >= without


@pytest.mark.parametrize("name", sorted(SCORES))
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_needed_input_left_out_makes_it_abstain_and_is_named(name: str, data: st.DataObject) -> None:
    score = SCORES[name]
    facts = data.draw(complete_facts(score))
    left_out = data.draw(st.sets(st.sampled_from(sorted(facts))))
    result = score.assess({k: v for k, v in facts.items() if k not in left_out}, frozenset())
    needed = left_out.intersection(score.needs)
    if needed:
        assert result.option is None
        assert needed <= set(result.missing) <= needed.union(score.wants)
    assert left_out.issuperset(result.missing)


@pytest.mark.parametrize(
    ("score", "row"),
    [
        pytest.param(name, row, id=f"{name}-{row.fact}-{index}")
        for name in sorted(SCORES)
        for index, row in enumerate(SCORES[name].rows)
        if isinstance(row, Row) and row.title not in BOTH_WAYS
    ],
)
def test_points_never_fall_away_from_the_normal_value(score: str, row: Row) -> None:
    # Scale 2 has no single normal value above its range on air, so it starts at its middle.
    centre = Decimal(90) if "scale 2" in row.title else Decimal(CENTRES[row.fact])
    for step in (Decimal("0.5"), Decimal("-0.5")):
        points = [row.read(centre + step * n).points for n in range(600) if centre + step * n >= 0]
        assert points == sorted(points), score


@pytest.mark.parametrize(
    ("score", "row"),
    [
        pytest.param(name, row, id=f"{name}-{row.fact}")
        for name in sorted(SCORES)
        for row in SCORES[name].rows
        if isinstance(row, SlopeRow)
    ],
)
def test_points_of_a_slope_rise_with_the_value_and_a_part_of_one_counts_whole(
    score: str, row: SlopeRow
) -> None:
    points = [row.read(Decimal(tenths) / 10).points for tenths in range(1_300)]
    assert points == sorted(points), score
    for tenths, whole in enumerate(points):
        assert 0 <= whole - row.per_unit * tenths / 10 < 1


@pytest.mark.parametrize("name", sorted(SCORES))
def test_every_hundredth_has_points_and_lies_in_at_most_one_band(name: str) -> None:
    for row in SCORES[name].rows:
        if not isinstance(row, Row):
            continue
        for hundredths in range(0, 26_000, 10):
            value = Decimal(hundredths) / 100
            assert sum(band.holds(value) for band in row.bands) <= 1
            row.read(value)


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", sorted(SCORES))
def test_what_is_no_finite_number_is_refused(name: str, text: str) -> None:
    for row in SCORES[name].rows:
        if isinstance(row, Row | SlopeRow):
            with pytest.raises(TypeError, match=row.fact):
                row.read(Decimal(text))


@pytest.mark.parametrize("value", [True, "20", 20, 20.0, None])
def test_what_is_no_decimal_is_refused(value: Any) -> None:
    for score in SCORES.values():
        for row in score.rows:
            if isinstance(row, Row | SlopeRow):
                with pytest.raises(TypeError, match=row.fact):
                    row.read(value)


def test_every_score_has_a_digest_of_its_own_that_stays_put() -> None:
    digests = {score.name: score.digest() for score in SCORES.values()}
    assert len(set(digests.values())) == len(digests)
    assert digests == {score.name: score.digest() for score in SCORES.values()}
