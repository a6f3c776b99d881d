"""What a protocol tells an integrator before the first case, and that it is right."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from arbiter.protocols.loader import shipped
from tests.api.cases import settled
from tests.api.conftest import Caller, stable_case
from tests.conftest import NOON

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_protocol_tells_an_integrator_what_to_send(caller: Caller) -> None:
    summaries = (await caller.get("/v1/protocols")).json()["protocols"]
    assert [summary["id"] for summary in summaries] == list(shipped())
    reply = await caller.get("/v1/protocols/deterioration")
    protocol = reply.json()
    assert protocol["question"] == "Does this inpatient need urgent review?"
    assert [option["id"] for option in protocol["options"]] == ["urgent-review", "continue-monitoring"]
    facts = {spec["name"]: spec for spec in protocol["facts"]}
    assert facts["temperature"]["unit"] == "Cel"
    assert facts["temperature"]["also_accepts"][0]["unit"] == "[degF]"
    assert (facts["heart_rate"]["low"], facts["heart_rate"]["high"]) == ("10", "350")
    assert facts["heart_rate"]["greatest_age_seconds"] == 4 * 3600
    assert facts["consciousness"]["codes"][0] == {"id": "alert", "title": "Alert"}
    assert set(stable_case()["facts"]) <= set(facts)
    assert {seat["member"] for seat in protocol["seats"]} == {"news2", "mews", "cart", "qsofa", "sirs"}
    assert protocol["rules"]
    assert {timers["risk_class"] for timers in protocol["timers"]} == {"routine", "urgent", "emergency"}
    held = await caller.get("/v1/protocols/deterioration", If_None_Match=reply.headers["etag"])
    assert held.status_code == 304
    made = await settled(caller, stable_case())
    assert made["protocol_hash"] == protocol["content_hash"]


@pytest.mark.parametrize("protocol", ["horoscope", "x" * 65, "Deterioration", "%00"])
async def test_an_unknown_protocol_is_not_found(caller: Caller, protocol: str) -> None:
    assert (await caller.get(f"/v1/protocols/{protocol}")).status_code in {400, 404}


async def test_the_documented_example_is_taken_by_its_protocol(caller: Caller) -> None:
    document = (await caller.http.get("/openapi.json")).json()
    (example,) = document["components"]["schemas"]["CaseIn"]["examples"]
    recent = (NOON - timedelta(minutes=5)).isoformat()
    text = re.sub(r"2026-11-22T[0-9:]{8}\+00:00", recent, json.dumps(example))
    made = await settled(caller, json.loads(text))
    assert made["settled"]
