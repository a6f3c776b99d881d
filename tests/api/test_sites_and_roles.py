"""Every route with every role, at home and from a foreign site, without a token, with one that ended.

The routes come from the application itself: one that is added appears here by itself, and fails until it is said what a
client of another site may see of it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio

from arbiter.api.app import create_app
from arbiter.api.security import PUBLIC_RULE, route_rules
from arbiter.identity.clients import disable_client, register_client
from arbiter.identity.roles import ROLES, Permission, Role
from arbiter.workflow.house import House
from tests.api.bundles import AMEND, MEDIA_TYPE, PARAMETERS, SUBMIT, stable_bundle
from tests.api.conftest import Caller, fact, new_key, stable_case, token_of
from tests.conftest import NOON, SettableClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = route_rules(create_app(cast(House, None)))
GUARDED = [(method, path, rule) for method, path, rule in ROUTES if rule != PUBLIC_RULE]
REASON = {"reason": "as the matrix asks"}
SUBJECT = stable_case()["subject"]
OTHER = {"system": SUBJECT["system"], "value": "M-0815"}

BODIES: Mapping[str, Any] = {
    "/v1/cases/{case}/facts": {"facts": {"heart_rate": fact(80, "/min")}},
    "/v1/cases/{case}/cancel": REASON,
    "/v1/cases/{case}/contest": REASON,
    "/v1/cases/{case}/retract": REASON,
    "/v1/cases/{case}/outcome": {
        "option": "urgent-review",
        "kind": "outcome",
        "observed_at": NOON.isoformat(),
        "source": "discharge-letter",
    },
    "/v1/cases/{case}/break-glass": REASON,
    "/v1/subjects/search": {"subject": SUBJECT},
    "/v1/subjects/merge": {"absorbed": OTHER, "surviving": SUBJECT},
    "/v1/subjects/separate": {"absorbed": OTHER},
}

BUNDLES = "/v1/audit/tile/entries/{path:path}"

# What a client that holds the permission, and acts for another site alone, gets of this site's things.
FOREIGN: Mapping[tuple[str, str], int] = {
    ("POST", "/v1/cases"): 422,
    ("GET", "/v1/cases"): 200,
    **{
        ("GET", f"/v1/cases/{{case}}{part}"): 404
        for part in (
            "",
            "/content",
            "/wanted",
            "/decision",
            "/certificate",
            "/receipt",
            "/events",
            "/proofs",
            "/entries/{seq}",
            "/entries/{seq}/proof",
        )
    },
    **{
        ("POST", f"/v1/cases/{{case}}/{act}"): 404
        for act in ("facts", "cancel", "contest", "outcome", "retract", "acknowledge")
    },
    # Whoever may break the glass does; what that opens has tests of its own.
    ("POST", "/v1/cases/{case}/break-glass"): 200,
    # Bundles hold every site's entries: whoever acts for some sites only gets none.
    ("GET", BUNDLES): 403,
    ("POST", "/v1/audit/exports"): 422,
    ("GET", "/v1/audit/exports/{export}"): 404,
    ("GET", "/v1/audit/exports/{export}/file"): 404,
    ("DELETE", "/v1/audit/exports/{export}"): 404,
    ("GET", "/v1/notices"): 200,
    ("GET", "/v1/protocols"): 200,
    ("GET", "/v1/protocols/{protocol}"): 200,
    ("POST", "/v1/subjects/search"): 200,
    ("POST", "/v1/subjects/merge"): 404,
    ("POST", "/v1/subjects/separate"): 409,
    ("POST", SUBMIT): 422,
    ("POST", AMEND): 404,
}


PARTS = {
    "{protocol}": "deterioration",
    "{seq}": "0",
    "{export}": "e_" + "a" * 24,
    "{path:path}": "000.p/1",
}


@dataclasses.dataclass
class Matrix:
    """A released case at home, and a token for each role here and at another site."""

    case: str
    home: Mapping[Role, str]
    foreign: Mapping[Role, str]
    disabled: str
    expired: str


async def _token(house: House, role: Role, site: str) -> str:
    """Return a token of a client with that role alone, be it one that no client is ever given."""
    principal, token = await register_client(
        house.identities, house.clock, house.chance, "matrix", {Role.INTEGRATION_CLIENT}, {site}
    )
    row = await house.identities.client(principal.id, house.clock.now())
    assert row is not None
    renamed = dataclasses.replace(row, id=principal.id[:-4] + role.value[:2] + "zz", roles=(role.value,))
    await house.identities.add_client(renamed)
    return token.replace(principal.id, renamed.id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def matrix(house: House, caller: Caller, module_clock: SettableClock) -> Matrix:
    made = await caller.submit(stable_case(), Prefer="wait=20")
    assert made.json()["phase"] == "released"
    gone, disabled = await register_client(
        house.identities, house.clock, house.chance, "gone", {Role.INTEGRATION_CLIENT}, {"st-elsewhere"}
    )
    await disable_client(house.identities, house.clock, gone.id)
    _, expired = await register_client(
        house.identities,
        house.clock,
        house.chance,
        "was",
        {Role.INTEGRATION_CLIENT, Role.EMERGENCY_ACCESS},
        {"st-elsewhere"},
        expires_at=module_clock.now() - timedelta(microseconds=1),
    )
    return Matrix(
        case=made.json()["id"],
        home={role: await _token(house, role, "st-elsewhere") for role in Role},
        foreign={role: await _token(house, role, "far-away") for role in Role},
        disabled=disabled,
        expired=expired,
    )


async def call(
    http: httpx.AsyncClient, method: str, path: str, case: str, token: str | None
) -> httpx.Response:
    headers = {"Idempotency-Key": new_key()}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    address = path
    for name, value in {**PARTS, "{case}": case}.items():
        address = address.replace(name, value)
    if path in {SUBMIT, AMEND}:
        parameters = {"case": case} if path == AMEND else PARAMETERS
        headers["Content-Type"] = MEDIA_TYPE
        body = json.dumps(stable_bundle())
        return await http.request(method, address, headers=headers, params=parameters, content=body)
    sent = None if method == "GET" else BODIES.get(path, stable_case())
    return await http.request(method, address, headers=headers, json=sent)


def told(reply: httpx.Response) -> str:
    """What kind of problem was told, in either dialect."""
    body = reply.json()
    if body.get("resourceType") == "OperationOutcome":
        return str(body["issue"][0]["details"]["coding"][0]["code"])
    return str(body["type"]).removeprefix("urn:problem-type:arbiter:")


@pytest.mark.parametrize(("method", "path", "rule"), GUARDED, ids=str)
async def test_a_role_may_do_what_the_table_says_and_nothing_else(
    http: httpx.AsyncClient, matrix: Matrix, method: str, path: str, rule: str
) -> None:
    for role in Role:
        reply = await call(http, method, path, matrix.case, matrix.home[role])
        if Permission(rule) in ROLES[role] and path != BUNDLES:
            assert reply.status_code not in {401, 403}, role
        else:
            assert reply.status_code == 403, role
            assert told(reply) == "forbidden"


@pytest.mark.parametrize(("method", "path", "rule"), GUARDED, ids=str)
async def test_a_foreign_site_sees_none_of_it(
    http: httpx.AsyncClient, matrix: Matrix, house: House, method: str, path: str, rule: str
) -> None:
    assert (method, path) in FOREIGN, "say here what a client of another site gets of this new route"
    for role in Role:
        reply = await call(http, method, path, matrix.case, matrix.foreign[role])
        expected = FOREIGN[method, path] if Permission(rule) in ROLES[role] else 403
        assert reply.status_code == expected, role
        if path != "/v1/cases/{case}/break-glass":
            assert matrix.case not in reply.text.replace(f"no case {matrix.case}", ""), role


@pytest.mark.parametrize(("method", "path", "rule"), GUARDED, ids=str)
async def test_no_token_and_one_that_has_ended_open_nothing(
    http: httpx.AsyncClient, matrix: Matrix, method: str, path: str, rule: str
) -> None:
    for token in (None, matrix.disabled, matrix.expired):
        reply = await call(http, method, path, matrix.case, token)
        assert reply.status_code == 401
        assert told(reply) == "unauthenticated"


async def test_what_needs_no_token_says_nothing_of_a_case(http: httpx.AsyncClient, matrix: Matrix) -> None:
    for method, path, rule in ROUTES:
        if rule == PUBLIC_RULE:
            reply = await call(http, method, path.replace("{path:path}", "0/000.p/1"), matrix.case, None)
            assert reply.status_code in {200, 404}
            assert matrix.case not in reply.text


async def test_a_client_of_two_sites_is_kept_to_the_site_it_names(
    house: House, http: httpx.AsyncClient, matrix: Matrix
) -> None:
    both = Caller(http, await token_of(house, sites=("st-elsewhere", "far-away")))
    listed = (await both.get("/v1/cases?site=far-away")).json()["cases"]
    assert matrix.case not in {case["id"] for case in listed}
