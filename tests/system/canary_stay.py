"""A patient's way through the house: handed in, decided, contested, reviewed, cancelled, retracted and spoilt."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import httpx

from arbiter.identity.accounts import create_account
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.protocols.loader import read_shipped, shipped
from arbiter.workflow.endpoints import register_endpoint
from tests.houses import PASSWORD
from tests.system.canaries import NUMBERS, WORDS, example_numbers
from tests.system.canary_patient import Visitor, bundle_of_canaries, incomplete, patient
from tests.system.canary_refusals import spoil, wander
from tests.system.service import until
from tests.system.sinks import Run


async def live(run: Run) -> None:
    """Everything a case full of canaries can go through."""
    async with run.service.house() as house:
        if not await house.identities.sites() or "south" not in dict(await house.identities.sites()):
            await add_site(house.identities, "south", "South Hospital")
            await register_endpoint(house, run.told.hook_url, client=run.service.token.split("_")[1])
            _, away = await register_client(
                house.identities, house.clock, house.chance, "away",
                {Role.INTEGRATION_CLIENT, Role.EMERGENCY_ACCESS}, {"south"},
            )  # fmt: skip
            _, index = await register_client(
                house.identities, house.clock, house.chance, "index", {Role.PATIENT_INDEX}, {"north"}
            )
        if "anna" not in {account.login for account in await house.identities.accounts()}:
            await create_account(
                house.identities, house.clock, house.chance, "anna", "Anna", PASSWORD,
                frozenset({Role.REVIEWER}), frozenset({"north"}),
            )  # fmt: skip
    async with (
        run.service.door() as door,
        httpx.AsyncClient(base_url=run.service.url, trust_env=False, timeout=30) as page,
    ):
        client, reviewer = Visitor(run, door), Visitor(run, page)
        run.case = await client.hand_in(1, patient())
        await _read_everything(client, run.case)
        await _find_and_join(client, index)
        await _break_the_glass(client, run.case, away)
        await _by_fhir(client)
        contested = await client.call(
            "POST", f"/v1/cases/{run.case}/contest", json={"reason": WORDS["contest"]}
        )
        assert contested.status_code == 200, contested.text
        await _review(reviewer, run.case)
        retracted = await client.call(
            "POST", f"/v1/cases/{run.case}/retract", json={"reason": WORDS["retract"]}
        )
        assert retracted.status_code == 200, retracted.text
        waiting = await client.hand_in(2, incomplete())
        amended = await client.call("POST", f"/v1/cases/{waiting}/facts", json={"facts": patient()["facts"]})
        assert amended.status_code in {200, 202}, amended.text
        excluded = patient()
        excluded["facts"]["pregnant"]["value"] = True
        cancelled = await client.hand_in(3, excluded)
        assert (
            await client.call("POST", f"/v1/cases/{cancelled}/cancel", json={"reason": WORDS["cancel"]})
        ).status_code == 200
        assert (
            await client.call("POST", f"/v1/cases/{cancelled}/contest", json={"reason": WORDS["contest"]})
        ).status_code == 409
        await _hand_in_examples(client)
        await spoil(client)
        await wander(client, reviewer)
        async with httpx.AsyncClient(base_url=run.service.url, trust_env=False) as nobody:
            await wander(Visitor(run, nobody), Visitor(run, nobody))


def _as(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _find_and_join(client: Visitor, index: str) -> None:
    """The patient is looked for by number, joined to another number and parted again."""
    known = {"system": WORDS["system"], "value": WORDS["subject"]}
    other = {"system": WORDS["system"], "value": f"{WORDS['subject']}-2"}
    found = await client.call("POST", "/v1/subjects/search", json={"subject": known})
    assert found.json()["cases"], "the canary is found by its number"
    for path, body, status in (
        ("merge", {"absorbed": other, "surviving": known}, 200),
        ("separate", {"absorbed": other}, 200),
        ("separate", {"absorbed": other}, 409),
        ("merge", {"absorbed": known, "surviving": known}, 409),
    ):
        reply = await client.call("POST", f"/v1/subjects/{path}", json=body, headers=_as(index))
        assert reply.status_code == status, reply.text


async def _break_the_glass(client: Visitor, case: str, away: str) -> None:
    reason = {"reason": WORDS["glass"]}
    broken = await client.call("POST", f"/v1/cases/{case}/break-glass", json=reason, headers=_as(away))
    assert broken.status_code == 200, broken.text
    assert (await client.call("GET", f"/v1/cases/{case}/content", headers=_as(away))).status_code == 200
    assert (await client.call("GET", "/v1/notices", params={"after": 0})).status_code == 200


async def _by_fhir(client: Visitor) -> None:
    """The same patient as a Bundle, whole and spoilt."""
    good = json.dumps(bundle_of_canaries())
    query = {"protocol": "deterioration", "site": "north", "risk-class": "urgent"}
    spoilt = (
        good.replace('"Patient"', f'"{WORDS["refused"]}"'),
        good.replace("http://loinc.org", WORDS["system"]),
        good.replace('"birthDate"', f'"{WORDS["refused"]}"'),
        good[:-30],
        good.replace('"final"', f'"{WORDS["refused"]}"'),
    )
    for number, bundle in enumerate((good, *spoilt)):
        reply = await client.call(
            "POST",
            "/fhir/Bundle/$submit-case",
            params=query,
            content=bundle,
            headers={"Content-Type": "application/fhir+json", "Idempotency-Key": f"bundle-{number}"},
        )
        assert reply.status_code < (500 if number else 300), reply.text
    await client.call("POST", f"/fhir/Patient/{WORDS['path']}", content=good, params={"name": WORDS["query"]})


async def _hand_in_examples(client: Visitor) -> None:
    """The shipped examples that have numbers to look for."""
    told = set(example_numbers())
    examples = [(name, example) for name in shipped() for example in read_shipped(name).examples]
    telling = [each for each in examples if told & {str(fact.value) for fact in each[1].facts}]
    for number, (protocol, example) in enumerate(telling):
        facts = {
            name: {
                "value": float(raw.value) if isinstance(raw.value, Decimal) else raw.value,
                **({} if raw.unit is None else {"unit": raw.unit}),
                "observed_at": raw.observed_at.isoformat(),
                "status": raw.status,
                "source": WORDS["source"],
            }
            for name, raw in example.raw_facts(datetime.now(UTC)).items()
        }
        subject = {"system": WORDS["system"], "value": f"{WORDS['subject']}-{number}"}
        await client.hand_in(100 + number, patient(protocol=protocol, subject=subject, facts=facts))


async def _read_everything(client: Visitor, case: str) -> None:
    content = await client.call("GET", f"/v1/cases/{case}/content")
    for name in ("subject", "system", "encounter", "source"):
        assert WORDS[name] in content.text, "the canary was not kept at all"
    assert NUMBERS["white_cell_count"] in content.text
    await until(lambda: _ok(client, f"/v1/cases/{case}/certificate"))
    for part in ("", "/decision", "/receipt", "/events"):
        assert (await client.call("GET", f"/v1/cases/{case}{part}")).status_code == 200


async def _ok(client: Visitor, path: str) -> bool:
    return (await client.call("GET", path)).status_code == 200


async def _review(reviewer: Visitor, case: str) -> None:
    """A clinician's whole way through the pages, with notes and mistakes."""
    await reviewer.call("GET", "/login", params={"next": WORDS["query"]})
    wrong = await reviewer.form("/login", login=WORDS["login"], password="wrong")
    assert wrong.status_code >= 400
    assert (await reviewer.form("/login", login="anna", password=PASSWORD)).status_code == 303
    await reviewer.call("GET", "/worklist")
    assert (await reviewer.form(f"/worklist/{case}/claim")).status_code == 303
    shown = await reviewer.call("GET", f"/cases/{case}")
    assert WORDS["subject"] in shown.text
    bad = await reviewer.form(
        f"/cases/{case}/opinion", option=WORDS["refused"], confidence="x", note=WORDS["note"]
    )
    assert bad.status_code >= 400
    opinion = {"option": "continue-monitoring", "confidence": "80", "note": WORDS["note"]}
    assert (await reviewer.form(f"/cases/{case}/opinion", **opinion)).status_code == 303
    assert (await reviewer.form(f"/cases/{case}/reveal")).status_code == 303
    page = (await reviewer.call("GET", f"/cases/{case}")).text
    (hash_of_page,) = re.findall(r'name="shown" value="([0-9a-f]{64})"', page)
    signature = {"option": "urgent-review", "reason": WORDS["sign"], "shown": hash_of_page, "login": "anna"}
    assert (await reviewer.form(f"/cases/{case}/sign", **signature, password="wrong")).status_code == 422
    signed = await reviewer.form(f"/cases/{case}/sign", **signature, password=PASSWORD)
    assert signed.status_code == 303, signed.text
    await reviewer.call("GET", f"/cases/{case}/done")
