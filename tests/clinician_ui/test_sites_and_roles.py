"""Every page with every role, at home and from a foreign site, without a session, with one that ended.

The routes come from the pages themselves: one that is added appears here by itself, and fails until the table below says
who gets what of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Route

from arbiter.identity.accounts import account_principal, disable_account, list_accounts
from arbiter.identity.roles import ACCOUNT_ROLES, ROLES, Permission
from arbiter.identity.sites import add_site
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.house import House
from arbiter.workflow.reading import view_case
from clinician_ui.desk import Desk
from clinician_ui.downtime import DowntimeFile
from clinician_ui.pages import page_routes
from clinician_ui.rendering import Renderer
from clinician_ui.session import Doorkeeper
from tests.clinician_ui.conftest import SUBJECT, Browser, Ward
from tests.houses import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")

_NOBODYS = Desk(cast(House, None), cast(Doorkeeper, None), cast(Renderer, None), cast(DowntimeFile, None))
ROUTES = sorted(
    (method, route.path)
    for route in cast(Sequence[Route], page_routes(_NOBODYS))
    for method in route.methods or ()
    if method != "HEAD"
)

PUBLIC = {("GET", "/"), ("GET", "/login"), ("POST", "/login")}
"""What needs no session; `test_doors` says what each of them does."""


@dataclass(frozen=True)
class Gets:
    """The status for who may review at the waiting case's site, for who may at another, for who watches the fleet, for who answers
    for a policy, for everybody else, and for who audits at the waiting case's site and at another where that differs."""

    home: int
    foreign: int
    others: int = 403
    watchers: int = 403
    policy: int = 403
    auditors: tuple[int, int] | None = None


BACK = Gets(303, 303, 303, 303, 303)
"""Leads to an address that asks again who is there."""

ASIDE = ("refer", "defer", "ask-facts", "conflict", "attendance")

TABLE: Mapping[tuple[str, str], Gets] = {
    ("POST", "/logout"): BACK,
    ("GET", "/worklist"): Gets(200, 200),
    ("GET", "/worklist/list"): Gets(200, 200),
    ("GET", "/worklist/print"): Gets(200, 200),
    ("GET", "/worklist/events"): Gets(200, 200),
    ("POST", "/worklist/next"): Gets(303, 303),
    ("POST", "/worklist/{case}/claim"): Gets(303, 404),
    ("POST", "/worklist/{case}/acknowledge"): Gets(303, 404),
    ("GET", "/fleet"): Gets(403, 403, watchers=200),
    ("GET", "/fleet/now"): Gets(403, 403, watchers=200),
    ("GET", "/watch"): Gets(403, 403, watchers=200, policy=200),
    ("GET", "/oversight"): Gets(403, 403, watchers=200, policy=200),
    # The matrix names no table.
    ("GET", "/oversight/figures.csv"): Gets(403, 403, watchers=404, policy=404),
    ("POST", "/cases/{case}/draft"): Gets(409, 404),
    ("GET", "/cases/{case}/draft"): BACK,
    # It lists the places that its visitor has, and those are asked for above.
    ("GET", "/keys"): Gets(200, 200, 200, 200, 200),
    **{
        ("GET", path): Gets(200, 200)
        for path in ("/duty", "/duty/rota", "/duty/handover", "/duty/handover/print", "/mine")
    },
    # The matrix's house has no teaching: nobody finds it there.
    **{("GET", path): Gets(404, 404, 404, 404, 404) for path in ("/teaching", "/teaching/{case}")},
    ("POST", "/duty/take-over"): Gets(303, 303),
    # Nothing is ticked in the matrix's form.
    ("POST", "/duty/handover"): Gets(422, 422),
    ("GET", "/duty/{case}"): Gets(200, 404),
    ("POST", "/duty/{case}/acknowledge"): Gets(303, 404),
    ("POST", "/duty/{case}/claim"): Gets(303, 404),
    **{
        ("GET", path): Gets(403, 403, auditors=(200, 200))
        for path in ("/audit", "/audit/entries", "/audit/receipt", "/audit/exports")
    },
    ("GET", "/audit/cases/{case}"): Gets(403, 403, auditors=(200, 404)),
    # Nothing is typed into the matrix's forms, but for an export, which may be of all there is.
    ("GET", "/audit/find"): BACK,
    ("POST", "/audit/find"): Gets(403, 403, auditors=(422, 422)),
    ("POST", "/audit/receipt"): Gets(403, 403, auditors=(422, 422)),
    ("POST", "/audit/exports"): Gets(403, 403, auditors=(303, 303)),
    ("GET", "/audit/exports/{export}/file"): Gets(403, 403, auditors=(404, 404)),
    ("POST", "/audit/exports/{export}/delete"): Gets(403, 403, auditors=(404, 404)),
    # Who holds both rights has tests of its own.
    ("GET", "/glass"): Gets(403, 403),
    ("POST", "/glass"): Gets(403, 403),
    # One's own account is everybody's to see; what is sent here is wrong, and nothing comes of it.
    ("GET", "/account"): Gets(200, 200, 200, 200, 200),
    **{("GET", f"/account/{act}"): BACK for act in ("passkeys", "passkeys/ask", "passkeys/remove")},
    **{
        ("POST", f"/account/{act}"): Gets(422, 422, 422, 422, 422)
        for act in ("passkeys", "passkeys/ask", "passkeys/remove")
    },
    ("POST", "/cases/{case}/sign/passkey"): Gets(422, 404),
    ("GET", "/cases/{case}/sign/passkey"): BACK,
    ("GET", "/cases/{case}"): Gets(200, 404),
    ("GET", "/cases/{case}/done"): Gets(409, 404),
    ("GET", "/cases/{case}/read"): Gets(409, 404),
    **{("POST", f"/cases/{{case}}/{act}"): Gets(409, 404) for act in ("opinion", "reveal", "sign", "renew")},
    # What is not held is handed back already.
    ("POST", "/cases/{case}/hand-back"): Gets(303, 404),
    **{
        ("GET", f"/cases/{{case}}/{act}"): BACK for act in ("opinion", "reveal", "sign", "renew", "hand-back")
    },
    **{("POST", f"/cases/{{case}}/{act}"): Gets(409, 404) for act in ASIDE},
    **{("GET", f"/cases/{{case}}/{act}"): BACK for act in ASIDE},
    ("GET", "/cases/{case}/correct"): Gets(409, 404),
    ("POST", "/cases/{case}/correct"): Gets(409, 404),
}

GUARDED = [route for route in ROUTES if route not in PUBLIC]
each_guarded = pytest.mark.parametrize(
    ("method", "path"), GUARDED, ids=[" ".join(route) for route in GUARDED]
)

BODIES: Mapping[str, Mapping[str, str]] = {
    "/cases/{case}/opinion": {"option": "urgent-review", "confidence": "80", "note": "as the matrix asks"},
    "/cases/{case}/sign": {
        "option": "urgent-review",
        "reason": "as the matrix asks",
        "shown": "0" * 64,
        "login": "anna",
        "password": PASSWORD,
    },
    "/cases/{case}/sign/passkey": {"option": "urgent-review", "reason": "as asked", "shown": "0" * 64},
    "/cases/{case}/draft": {"step": "opinion", "note": "as the matrix asks"},
    "/glass": {"case": "c_nobody", "reason": "as the matrix asks"},
}


@pytest.fixture(autouse=True)
def streams_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clinician_ui.routes.live.STREAM_SECONDS", 0.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def staffed(ward: Ward) -> Ward:
    """The ward with an account for each role, here and at another site."""
    await add_site(ward.house.identities, "south", "South Hospital")
    anna = next(row for row in await list_accounts(ward.house.identities) if row.login == "anna")
    for role in ACCOUNT_ROLES:
        for site in ("north", "south"):
            # Anna's password is everybody's: hashing it anew for each would be most of this module's time.
            login = f"{site}-{role}"
            row = replace(anna, id=f"a-{login}", login=login, roles=(role.value,), sites=(site,))
            await ward.house.identities.add_account(row)
            ward.people[login] = account_principal(row)
    return ward


async def ask(browser: Browser, method: str, path: str, case: str) -> httpx.Response:
    address = path.replace("{case}", case).replace("{export}", "e_" + "a" * 24)
    if method == "GET":
        return await browser.get(address)
    # Every page somebody is shown has their token in its header, a refusal too.
    await browser.get("/worklist")
    return await browser.send(address, **BODIES.get(path, {}))


async def test_every_page_has_a_line_in_the_table_and_every_line_a_page() -> None:
    assert set(GUARDED) == set(TABLE), "say in the table who gets what of this new page"
    assert set(ROUTES) >= PUBLIC


@each_guarded
async def test_a_role_gets_of_a_page_what_the_table_says(staffed: Ward, method: str, path: str) -> None:
    gets = TABLE[method, path]
    case = await staffed.case()
    for role in sorted(ACCOUNT_ROLES):
        reviews = Permission.REVIEW_WORK in ROLES[role]
        otherwise = gets.watchers if Permission.FLEET_WATCH in ROLES[role] else gets.others
        if ROLES[role] & {Permission.POLICY_AUTHOR, Permission.POLICY_APPROVE}:
            otherwise = gets.policy
        audits = Permission.AUDIT_READ in ROLES[role] and gets.auditors is not None
        for site, expected in (("north", gets.home), ("south", gets.foreign)):
            if audits and gets.auditors is not None:
                otherwise = gets.auditors[site == "south"]
            answer = await ask(await staffed.logged_in(f"{site}-{role}"), method, path, case)
            assert answer.status_code == (expected if reviews else otherwise), (role, site)
            assert SUBJECT not in answer.text, (role, site)
            if not (reviews or audits) or site == "south":
                assert case not in answer.text, (role, site)
                assert await _phase(staffed, case) is Phase.ESCALATED, (role, site)
            elif reviews and await _phase(staffed, case) is not Phase.ESCALATED:
                case = await staffed.case()


@each_guarded
async def test_nobody_and_whoever_was_somebody_are_led_to_the_log_in(
    staffed: Ward, method: str, path: str
) -> None:
    case = await staffed.case()
    for browser, hours in await _has_been(staffed):
        with _later(staffed, hours):
            answer = await ask(browser, method, path, case)
            assert answer.status_code == 303
            assert answer.headers["location"].partition("?")[0] == "/login"
            assert answer.text == ""
    assert await _phase(staffed, case) is Phase.ESCALATED


async def _has_been(ward: Ward) -> list[tuple[Browser, float]]:
    """Return browsers without a living session, each with the hours after which it is tried."""
    strange, unreadable = ward.browser(), ward.browser()
    strange.http.cookies.set("arbiter-session", "A" * 43)
    unreadable.http.cookies.set("arbiter-session", "x" * 500)
    idle = await ward.logged_in("north-reviewer")
    login = f"gone-{len(ward.people)}"
    gone = await ward.person(login)
    disabled = await ward.logged_in(login)
    await disable_account(ward.house.identities, ward.clock, gone.id)
    return [(ward.browser(), 0), (strange, 0), (unreadable, 0), (disabled, 0), (idle, 0.5)]


@contextmanager
def _later(ward: Ward, hours: float) -> Iterator[None]:
    ward.clock.advance(timedelta(hours=hours))
    try:
        yield
    finally:
        ward.clock.advance(-timedelta(hours=hours))


async def test_a_session_ends_after_twelve_hours_however_busy_it_was(staffed: Ward) -> None:
    browser = await staffed.logged_in("north-reviewer")
    step, steps = timedelta(minutes=24), 30
    assert step * steps == timedelta(hours=12)
    try:
        for _ in range(steps - 1):
            staffed.clock.advance(step)
            assert (await browser.get("/worklist")).status_code == 200
        staffed.clock.advance(step)
        for method, path in GUARDED:
            assert (await ask(browser, method, path, "c_abc")).status_code == 303
    finally:
        staffed.clock.advance(-step * steps)


async def _phase(ward: Ward, case: CaseId) -> Phase:
    return (await view_case(ward.house, ward.client, case)).phase
