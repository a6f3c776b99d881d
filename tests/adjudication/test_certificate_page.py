"""`compliance/certificate.md` names every field that a certificate can have, and none that it cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from arbiter.adjudication import FORMAT, certificate, decide
from arbiter.adjudication.certificate import Signature
from arbiter.documents.canonical import decode
from arbiter.documents.signing import Fate, Way
from arbiter.model import ActorId, CaseId, ReasonCode
from tests.adjudication.recorded import opened, record
from tests.adjudication.small import AT, FAILS, PERMITS, SAFETY, abstains, always, bench, opinions
from tests.pages import ROOT, text_of

PAGE = ROOT / "compliance" / "certificate.md"
OF_A_KIND = {
    "votes": "{option}",
    "error_rates": "{option}",
    "facets": "{facet}",
    "details": "{name}",
}
"""Objects whose keys are names of things, and how the page writes such a key."""


def fields(value: object, place: str = "") -> Iterator[str]:
    """Yield the place of everything in a document that holds no more, as the page writes it."""
    name = place.rpartition(".")[2]
    if isinstance(value, dict):
        for key, inner in value.items():
            own = OF_A_KIND.get(name, str(key))
            yield from fields(inner, f"{place}.{own}" if place else own)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, f"{place}[]")
    else:
        yield place


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every way in which a case can end, and what those lack."""
    path = tmp_path_factory.mktemp("recorded") / "certificates.json"
    path.write_text(record(), encoding="utf-8")
    found = [decode(kept.content) for case in opened(path) for kept in case.certificates()]
    unruly = bench(*SAFETY, asks_for_facts=True)
    signature = Signature(
        ActorId("a_anna"), "watch", "act", "I judged.", "0" * 64, AT, Fate.ADOPTED, Way.PASSKEY, "0" * 64
    )
    for outcome, given in (
        (FAILS, opinions("watch", "watch", "watch")),
        (None, [*opinions("watch"), abstains("b", "lactate"), abstains("c", "lactate")]),
    ):
        asking = bench(asks_for_facts=True, facts_on=(ReasonCode.DISAGREEMENT_WITHIN,))
        court = replace(unruly, needs_error_rate=True, stopped=True) if outcome is not None else asking
        verdict = decide(court, given, always(outcome or PERMITS))
        found.append(
            certificate(
                case=CaseId("case-1"),
                bench=court,
                facts_version=1,
                opinions=given,
                outcome=outcome,
                verdict=verdict,
                code_version="0",
                concluded_at=AT,
                signature=signature,
            )
        )
    return found


def told(heading: str) -> list[str]:
    """Return what the first column of the table below a heading names."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text_of(PAGE), re.MULTILINE | re.DOTALL)
    assert section is not None
    rows = re.findall(r"^\| (`.*?`) \|", section[1], re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_every_field_of_a_certificate_stands_there_and_no_other(certificates: list[dict[str, Any]]) -> None:
    had = {field for document in certificates for field in fields(document)}
    assert set(told("Fields")) == had


def test_every_number_stands_there_and_no_other(certificates: list[dict[str, Any]]) -> None:
    kinds = {"share": "{option}", "posterior": "{option}", "weight": "{member}", "consistency": "{member}"}
    had = set()
    for document in certificates:
        for number in document["verdict"]["numbers"]:
            kind, _, rest = number["name"].partition(".")
            had.add(f"{kind}.{kinds[kind]}" if kind in kinds else kind + ("." + rest if rest else ""))
    assert set(told("Numbers")) == had


@pytest.mark.parametrize("heading", ["Fields", "Numbers"])
def test_nothing_stands_there_twice(heading: str) -> None:
    assert len(told(heading)) == len(set(told(heading)))


def test_each_row_says_what_it_is() -> None:
    rows = [line for line in text_of(PAGE).splitlines() if line.startswith("| `")]
    assert [row for row in rows if not re.fullmatch(r"\| [^|]+ \| [^|]+ \|(?:[^|]* \|){1,2}", row)] == []
    assert f"`{FORMAT}`" in text_of(PAGE)


def test_a_field_that_the_page_does_not_know_is_found(certificates: list[dict[str, Any]]) -> None:
    document = {**certificates[0], "calibration": {"secret": {"of": [{"some": "kind"}]}}}
    assert set(fields(document)) - set(told("Fields")) == {"calibration.secret.of[].some"}
