"""Nothing a patient could be known by stands in the clear anywhere on the disk: tables, indexes, WAL, logs."""

from __future__ import annotations

import asyncio

import pytest

from tests.system.canaries import files_with, table_dumps
from tests.system.service import Service, case_body, until

CANARIES = {
    "subject": "canary-subject-7714403",
    "system": "urn:canary:system-5190",
    "encounter": "canary-encounter-2238",
    "source": "canary-monitor-6641",
    "reason": "canary reason: the daughter called",
    "value": "612.37",
    "refused": "canary-refused-9925",
}


async def live_through(service: Service) -> str:
    """Hand in, read, contest and spoil a case full of canaries; return its id."""
    body = case_body(encounter=CANARIES["encounter"])
    body["subject"] = {"system": CANARIES["system"], "value": CANARIES["subject"]}
    for fact in body["facts"].values():
        fact["source"] = CANARIES["source"]
    body["facts"]["white_cell_count"]["value"] = float(CANARIES["value"])
    async with service.door() as door:
        headers = {"Idempotency-Key": "canary", "Prefer": "wait=20"}
        posted = await door.post("/v1/cases", json=body, headers=headers)
        assert posted.status_code == 201, posted.text
        case: str = posted.json()["id"]
        content = (await door.get(f"/v1/cases/{case}/content")).raise_for_status().text
        for name in ("subject", "system", "encounter", "source", "value"):
            assert CANARIES[name] in content, "the canary was not kept at all"
        await until(lambda: has_certificate(service, case))
        amended = {"facts": {"heart_rate": {**body["facts"]["heart_rate"], "source": CANARIES["source"]}}}
        await door.post(f"/v1/cases/{case}/facts", json=amended)
        retracted = await door.post(f"/v1/cases/{case}/retract", json={"reason": CANARIES["reason"]})
        assert retracted.status_code == 200, retracted.text
        for spoilt in (
            {**body, "risk_class": CANARIES["refused"]},
            {**body, "facts": {CANARIES["refused"]: body["facts"]["age"]}},
            {
                **body,
                "facts": {"consciousness": {**body["facts"]["consciousness"], "value": CANARIES["refused"]}},
            },
        ):
            reply = await door.post("/v1/cases", json=spoilt, headers={"Idempotency-Key": "spoilt"})
            assert reply.status_code == 422
        assert (await door.get(f"/v1/cases/{CANARIES['refused']}")).status_code == 404
    return case


async def has_certificate(service: Service, case: str) -> bool:
    async with service.door() as door:
        return (await door.get(f"/v1/cases/{case}/certificate")).status_code == 200


@pytest.mark.timeout(60)
def test_no_file_of_the_data_folder_holds_a_patients_words(service: Service) -> None:
    case = asyncio.run(live_through(service))
    for table, told in table_dumps(service):
        for name, canary in CANARIES.items():
            assert canary.encode() not in told, (table, name)
            assert canary.encode().hex().encode() not in told, (table, name)
    words = {name: canary.encode() for name, canary in CANARIES.items()} | {"case": case.encode()}
    found = files_with(service.data, words)
    # The case's id stands there by design: it shows that the search finds what there is.
    assert found.keys() == {"case"}, found
    assert not [canary for canary in CANARIES.values() if canary in service.log]
    assert f"/v1/cases/{case}" in service.log
