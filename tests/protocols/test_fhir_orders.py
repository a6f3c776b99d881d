"""What an order states: a drug in force, or nothing; and a whole medication list, what is not taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.fhir_resources import (
    ATC,
    BY_ORDER,
    CODED,
    CODED_ABSENT,
    ago,
    coded,
    codes,
    medications,
    order,
    pulse,
    refusal,
    take,
    value,
)


def test_an_active_order_is_true() -> None:
    assert value(BY_ORDER, "fasting", order()) is True


@pytest.mark.parametrize(
    ("members", "beside_a_list"),
    [
        ({"status": "stopped"}, False),
        ({"status": "completed"}, False),
        ({"status": "cancelled"}, False),
        ({"status": "entered-in-error"}, False),
        ({"doNotPerform": True}, False),
        ({"status": "on-hold"}, None),
        ({"status": "draft"}, None),
        ({"status": "unknown"}, None),
        ({"intent": "plan"}, None),
        ({"intent": "proposal"}, None),
    ],
    ids=str,
)
def test_an_order_not_in_force_is_no_fact(members: dict[str, Any], beside_a_list: bool | None) -> None:
    assert value(BY_ORDER, "fasting", order(**members)) is None
    assert value(BY_ORDER, "fasting", order(**members), medications()) is beside_a_list


def test_an_order_of_an_unheard_of_status_refuses() -> None:
    assert [one.code for one in refusal(BY_ORDER, order(status="given"))] == ["status"]


def test_a_whole_medication_list_says_what_is_not_taken() -> None:
    listed = order("C03CA01", id="m")
    assert value(BY_ORDER, "fasting", listed, medications("MedicationRequest/m")) is False
    group = order("B01A", id="m")
    assert value(BY_ORDER, "fasting", group, medications("MedicationRequest/m")) is None


@pytest.mark.parametrize("where", ["entry", "contained"])
def test_an_order_may_point_to_its_drug(where: str) -> None:
    drug = {"resourceType": "Medication", "id": "w", "code": coded((ATC, "B01AA03"))}
    made = order(medicationReference={"reference": "#w" if where == "contained" else "Medication/w"})
    del made["medicationCodeableConcept"]
    if where == "contained":
        assert value(BY_ORDER, "fasting", made | {"contained": [drug]}) is True
        assert value(BY_ORDER, "fasting", made) is None
    else:
        assert value(BY_ORDER, "fasting", made, drug) is True
        assert value(BY_ORDER, "fasting", made, drug | {"status": "entered-in-error"}) is None


def test_an_order_for_an_unknown_drug_keeps_a_whole_list_from_excluding() -> None:
    made = order(id="m", medicationReference={"reference": "Medication/elsewhere"})
    del made["medicationCodeableConcept"]
    assert value(BY_ORDER, "fasting", made, medications("MedicationRequest/m")) is None


def test_orders_that_mean_different_codes_at_once_give_none() -> None:
    assert value(CODED, "mood", order("B01AA03")) == "calm"
    assert value(CODED, "mood", order("B01AB05", authoredOn=ago(days=1))) == "upset"
    taken = take(CODED, pulse(), order("B01AA03"), order("B01AB05", authoredOn=ago(days=1)))
    assert "mood" not in taken.facts
    assert [code for _, code in codes(taken)] == ["several", "several"]


def test_absence_means_a_code_only_where_the_mapping_says_which() -> None:
    assert value(CODED, "mood", medications()) is None
    assert value(CODED_ABSENT, "mood", medications()) == "calm"
    listed = order("B01AB05", id="m")
    assert value(CODED_ABSENT, "mood", listed, medications("MedicationRequest/m")) == "upset"
