"""MEWS, the Modified Early Warning Score.

Source: Subbe CP, Kruger M, Rutherford P, Gemmel L. Validation of a modified Early Warning Score in medical
admissions. QJM: An International Journal of Medicine 2001; 94(10): 521-526, doi 10.1093/qjmed/94.10.521; table 1.

Bands: the paper names a score of 5 or more the critical score, associated with death (odds ratio 5.4, 95% interval
2.8 to 10.7), intensive care (10.9, 2.2 to 55.6) and high-dependency admission (3.3, 1.2 to 9.2).

Why it may vote: the paper proposes that high scores start a clinical pathway in which critical care staff respond;
5 or more is its own cut-off. So `urgent-review` from 5 on, otherwise `continue-monitoring`.

Two readings of the printed table, both towards more points. It prints `<70` and `71-80` for systolic pressure and
`<40` and `41-50` for heart rate, and so leaves 70 and 40 without points: a value between two printed bands takes the
worse one here. Its AVPU scale has no word for new confusion: a person newly confused is not `Alert` and gets the
fewest points the table gives to anyone who is not.
"""

from __future__ import annotations

from typing import Final

from arbiter.panels.scores.table import (
    AnyRow,
    CodeRow,
    Facts,
    Row,
    Score,
    ScoreResult,
    abstains,
    band,
    below,
    lacking,
)

URGENT: Final = "urgent-review"
MONITOR: Final = "continue-monitoring"
URGENT_FROM: Final = 5

SYSTOLIC: Final = Row(
    "systolic_bp",
    "systolic blood pressure",
    "mm[Hg]",
    (below(3, "70"), band(2, "71", "80"), band(1, "81", "100"), band(0, "101", "199"), band(2, "200")),
)
HEART_RATE: Final = Row(
    "heart_rate",
    "heart rate",
    "/min",
    (
        below(2, "40"),
        band(1, "41", "50"),
        band(0, "51", "100"),
        band(1, "101", "110"),
        band(2, "111", "129"),
        band(3, "130"),
    ),
)
RESPIRATION: Final = Row(
    "respiratory_rate",
    "respiratory rate",
    "/min",
    (below(2, "9"), band(0, "9", "14"), band(1, "15", "20"), band(2, "21", "29"), band(3, "30")),
)
TEMPERATURE: Final = Row(
    "temperature",
    "temperature",
    "Cel",
    (below(2, "35"), band(0, "35", "38.4"), band(2, "38.5")),
)
CONSCIOUSNESS: Final = CodeRow(
    "consciousness",
    "consciousness (AVPU)",
    (("alert", 0), ("confusion", 1), ("voice", 1), ("pain", 2), ("unresponsive", 3)),
)
ROWS: Final[tuple[AnyRow, ...]] = (SYSTOLIC, HEART_RATE, RESPIRATION, TEMPERATURE, CONSCIOUSNESS)
NEEDS: Final = tuple(row.fact for row in ROWS)


def assess(facts: Facts, too_old: frozenset[str] = frozenset()) -> ScoreResult:
    """Return MEWS for the facts, or an abstention that names what is missing or too old.

    Raises:
        TypeError: when a fact is of a kind or code the table does not know.
    """
    del too_old
    missing = lacking(NEEDS, facts)
    if missing:
        return abstains("MEWS", missing)
    components = tuple(row.read(facts[row.fact]) for row in ROWS)
    total = sum(component.points for component in components)
    option = URGENT if total >= URGENT_FROM else MONITOR
    return ScoreResult(total, components, option, (), f"MEWS {total}")


SCORE: Final = Score(
    name="mews",
    version="2001",
    title="MEWS",
    source="Subbe et al., QJM 2001; 94: 521-526",
    rows=ROWS,
    needs=NEEDS,
    wants=(),
    thresholds=(("urgent-from", URGENT_FROM),),
    options=(URGENT, MONITOR),
    assess=assess,
)
