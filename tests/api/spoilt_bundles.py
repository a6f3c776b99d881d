"""Bundles spoilt in one place, and what their refusal says.

Every Bundle has a marker planted in what is personal or clinical about it; it must be in no reply and no log.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.bundles import MEDIA_TYPE, index_of, observation, patient, stable_bundle

MARK = "zq7-Mrs-Jones"
NUMBER = 8675309
HEART = "8867-4"
LAST = len(stable_bundle()["entry"])
"""The index of an entry that is added to the stable patient's."""
HR = f"Bundle.entry[{index_of(stable_bundle(), HEART)}].resource"

Change = Callable[[dict[str, Any]], Any]
"""Spoils a Bundle in place, or returns what to send instead."""


def marked_bundle() -> dict[str, Any]:
    """A Bundle that would be taken, with the marker wherever a Bundle is personal."""
    bundle = stable_bundle()
    patient(bundle).update(
        {
            "id": MARK,
            "name": [{"family": MARK}],
            "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{MARK}</div>'},
        }
    )
    patient(bundle)["identifier"][0]["value"] = MARK
    for entry in bundle["entry"][1:]:
        entry["resource"]["id"] = f"{MARK}-{entry['fullUrl'][-3:]}"
        entry["resource"]["note"] = [{"text": MARK}]
        entry["resource"]["performer"] = [{"display": MARK}]
    return bundle


def on_heart(**members: Any) -> Change:
    """Change members of the heart rate's Observation; `...` takes one away."""

    def change(bundle: dict[str, Any]) -> None:
        _put(observation(bundle, HEART), members)

    return change


def on_quantity(**members: Any) -> Change:
    return lambda bundle: _put(observation(bundle, HEART)["valueQuantity"], members)


def on_patient(**members: Any) -> Change:
    return lambda bundle: _put(patient(bundle), members)


def on_bundle(**members: Any) -> Change:
    return lambda bundle: _put(bundle, members)


def _put(place: dict[str, Any], members: dict[str, Any]) -> None:
    for name, value in members.items():
        if value is ...:
            del place[name]
        else:
            place[name] = value


def add(**resource: Any) -> Change:
    def change(bundle: dict[str, Any]) -> None:
        bundle["entry"].append({"resource": resource})

    return change


def alone(*codes: str) -> Change:
    """Nothing but the patient, without a birth date, and the Observations named."""

    def change(bundle: dict[str, Any]) -> None:
        kept = [bundle["entry"][index_of(bundle, code)] for code in codes]
        del patient(bundle)["birthDate"]
        bundle["entry"] = [bundle["entry"][0], *kept]

    return change


def both(first: Change, second: Change) -> Change:
    def change(bundle: dict[str, Any]) -> None:
        first(bundle)
        second(bundle)

    return change


def twin(**members: Any) -> Change:
    def change(bundle: dict[str, Any]) -> None:
        made = copy.deepcopy(observation(bundle, HEART))
        _put(made, members)
        bundle["entry"].append({"resource": made})

    return change


def on_two_servers(bundle: dict[str, Any]) -> None:
    """The patient of one server, and an Observation of another server's patient of the same id."""
    bundle["entry"][0]["fullUrl"] = "https://a.example/Patient/p"
    patient(bundle)["id"] = "p"
    for entry in bundle["entry"][1:]:
        entry["resource"]["subject"] = {"reference": "https://a.example/Patient/p"}
    heart = bundle["entry"][index_of(bundle, HEART)]
    heart["fullUrl"] = "https://b.example/Observation/o"
    heart["resource"].update({"id": "o", "subject": {"reference": "Patient/p"}})


def nothing(_: dict[str, Any]) -> None:
    """Leave the Bundle as it is."""


def check_outcome(reply: httpx.Response, status: int, expression: str, code: str, kind: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == MEDIA_TYPE
    body = reply.json()
    assert body["resourceType"] == "OperationOutcome"
    issue = body["issue"][0]
    assert (issue["severity"], issue["code"]) == ("error", kind), body
    assert issue["details"]["coding"][0]["code"] == code, body
    assert issue["expression"] == [expression], body
    assert issue["diagnostics"]


def check_told_nothing(reply: httpx.Response, caplog: pytest.LogCaptureFixture) -> None:
    for record in caplog.records:
        if record.name.startswith("httpx"):
            continue  # the test's own client, which logs the address that it asks
        assert MARK not in record.getMessage() + str(record.exc_info), record
        assert str(NUMBER) not in record.getMessage()
    assert MARK not in reply.text
    assert str(NUMBER) not in reply.text
