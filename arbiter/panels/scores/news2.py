"""NEWS2, the National Early Warning Score 2.

Source: Royal College of Physicians. National Early Warning Score (NEWS) 2: Standardising the assessment of
acute-illness severity in the NHS. Updated report of a working party. London: RCP, December 2017; chart 1 (the
scoring system), chart 2 (thresholds and triggers), chart 4 (clinical response).

Bands (charts 2 and 4): 0 routine monitoring; 1 to 4 low, ward-based response; a single parameter of 3 is a
low-medium trigger, urgent ward-based response; 5 to 6 medium, key threshold for urgent response; 7 or more high,
urgent or emergency response.

Why it may vote: the report itself ties 5 or more, and 3 in any single parameter, to an urgent review by a clinician.
So `urgent-review` from 5 on or with any single 3; otherwise `continue-monitoring`.

SpO2 scale 2 is for hypercapnic respiratory failure, usually confirmed by blood gas, on the decision of a competent
clinician recorded in the notes; scale 1 is for everybody else. So scale 2 is used only when the fact `spo2_scale`
says `scale-2`, and scale 1 when there is no such fact, which is the report's own default and no guess. A scale on
record that has become too old is neither: the score abstains. The report excludes people under 16 and pregnancy;
the protocol's exclusions keep those from the panel.
"""

from __future__ import annotations

from typing import Final

from arbiter.panels.scores.table import (
    AnyRow,
    CodeRow,
    Facts,
    FlagRow,
    Row,
    Score,
    ScoreResult,
    abstains,
    band,
    lacking,
)

URGENT: Final = "urgent-review"
MONITOR: Final = "continue-monitoring"
URGENT_FROM: Final = 5
SINGLE_PARAMETER: Final = 3

RESPIRATION: Final = Row(
    "respiratory_rate",
    "respiration rate",
    "/min",
    (band(3, None, "8"), band(1, "9", "11"), band(0, "12", "20"), band(2, "21", "24"), band(3, "25")),
)
SPO2_SCALE_1: Final = Row(
    "spo2",
    "SpO2 (scale 1)",
    "%",
    (band(3, None, "91"), band(2, "92", "93"), band(1, "94", "95"), band(0, "96")),
)
_SCALE_2_LOW = (band(3, None, "83"), band(2, "84", "85"), band(1, "86", "87"), band(0, "88", "92"))
SPO2_SCALE_2_AIR: Final = Row("spo2", "SpO2 (scale 2, on air)", "%", (*_SCALE_2_LOW, band(0, "93")))
SPO2_SCALE_2_OXYGEN: Final = Row(
    "spo2",
    "SpO2 (scale 2, on oxygen)",
    "%",
    (*_SCALE_2_LOW, band(1, "93", "94"), band(2, "95", "96"), band(3, "97")),
)
OXYGEN: Final = FlagRow("supplemental_oxygen", "supplemental oxygen", yes=2, no=0)
SYSTOLIC: Final = Row(
    "systolic_bp",
    "systolic blood pressure",
    "mm[Hg]",
    (
        band(3, None, "90"),
        band(2, "91", "100"),
        band(1, "101", "110"),
        band(0, "111", "219"),
        band(3, "220"),
    ),
)
PULSE: Final = Row(
    "heart_rate",
    "pulse",
    "/min",
    (
        band(3, None, "40"),
        band(1, "41", "50"),
        band(0, "51", "90"),
        band(1, "91", "110"),
        band(2, "111", "130"),
        band(3, "131"),
    ),
)
CONSCIOUSNESS: Final = CodeRow(
    "consciousness",
    "consciousness (ACVPU)",
    (("alert", 0), ("confusion", 3), ("voice", 3), ("pain", 3), ("unresponsive", 3)),
)
TEMPERATURE: Final = Row(
    "temperature",
    "temperature",
    "Cel",
    (
        band(3, None, "35.0"),
        band(1, "35.1", "36.0"),
        band(0, "36.1", "38.0"),
        band(1, "38.1", "39.0"),
        band(2, "39.1"),
    ),
)
SCALES: Final = CodeRow("spo2_scale", "SpO2 scale", (("scale-1", 0), ("scale-2", 0)))

NEEDS: Final = (
    "respiratory_rate",
    "spo2",
    "supplemental_oxygen",
    "systolic_bp",
    "heart_rate",
    "consciousness",
    "temperature",
)


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return NEWS2 for the facts, or an abstention that names what is missing or too old.

    Raises:
        TypeError: when a fact is of a kind or code the chart does not know.
    """
    missing = lacking(NEEDS, facts)
    if SCALES.fact in too_old:
        missing = (*missing, SCALES.fact)
    if missing:
        return abstains("NEWS2", missing)
    rows: tuple[AnyRow, ...] = (
        RESPIRATION,
        _spo2_row(facts),
        OXYGEN,
        SYSTOLIC,
        PULSE,
        CONSCIOUSNESS,
        TEMPERATURE,
    )
    components = tuple(row.read(facts[row.fact]) for row in rows)
    total = sum(component.points for component in components)
    single = any(component.points == SINGLE_PARAMETER for component in components)
    option = URGENT if total >= URGENT_FROM or single else MONITOR
    summary = f"NEWS2 {total}"
    if single and total < URGENT_FROM:
        summary += ", with 3 in a single parameter"
    return ScoreResult(total, components, option, (), summary)


def _spo2_row(facts: Facts) -> Row:
    if SCALES.fact not in facts or SCALES.read(facts[SCALES.fact]).value == "scale-1":
        return SPO2_SCALE_1
    return SPO2_SCALE_2_OXYGEN if facts[OXYGEN.fact] is True else SPO2_SCALE_2_AIR


SCORE: Final = Score(
    name="news2",
    version="2017",
    title="NEWS2",
    source="Royal College of Physicians, National Early Warning Score (NEWS) 2, London, December 2017",
    rows=(
        RESPIRATION,
        SPO2_SCALE_1,
        SPO2_SCALE_2_AIR,
        SPO2_SCALE_2_OXYGEN,
        SCALES,
        OXYGEN,
        SYSTOLIC,
        PULSE,
        CONSCIOUSNESS,
        TEMPERATURE,
    ),
    needs=NEEDS,
    wants=(SCALES.fact,),
    thresholds=(("urgent-from", URGENT_FROM), ("single-parameter", SINGLE_PARAMETER)),
    options=(URGENT, MONITOR),
    assess=assess,
)
