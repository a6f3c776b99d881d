"""Every page of the clinicians' application, in an order in which a browser can walk through them.

A step goes on from where the one before it left the browser. Who photographs the pages and who checks them walk the same way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from playwright.async_api import Locator, Page

from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import CaseId, RiskClass
from arbiter.workflow.house import House
from clinician_ui.pages import create_pages
from clinician_ui.texts import ENGLISH, Language
from tests.clinician_ui.conftest import SPLIT, Ward
from tests.houses import PASSWORD, ShiftableClock, a_client


@dataclass(frozen=True)
class Tour:
    """What a step has in hand: the browser's page, the pages' address and language, the ward, and the case it goes through."""

    page: Page
    address: str
    ward: Ward
    case: CaseId
    language: Language = ENGLISH

    def said(self, text: str) -> str:
        """Return a text of the pages as they say it."""
        return self.language.texts.gettext(text)

    def field(self, label: str) -> Locator:
        """Return the field that the pages call so."""
        return self.page.get_by_label(self.said(label), exact=True)

    async def go(self, path: str) -> None:
        await self.page.goto(self.address + path)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=self.said(name), exact=True).first.click()

    async def log_in(self, login: str) -> None:
        await self.page.context.clear_cookies()
        await self.go("/login")
        await self.field("Login").fill(login)
        await self.field("Password").fill(PASSWORD)
        await self.press("Log in")


Step: TypeAlias = "str | Callable[[Tour], Awaitable[None]]"


async def log_in_with_mistakes(tour: Tour) -> None:
    await tour.go("/login")
    await tour.press("Log in")


async def work_list(tour: Tour) -> None:
    await tour.log_in("anna")
    await tour.page.wait_for_url("**/worklist")


async def waiting(tour: Tour) -> None:
    await tour.go(f"/cases/{tour.case}")


async def blind(tour: Tour) -> None:
    await tour.press("Claim this case")


async def blind_with_mistakes(tour: Tour) -> None:
    await tour.press("Lock my opinion")


async def locked(tour: Tour) -> None:
    await tour.page.get_by_label("Continue monitoring as planned").check()
    await tour.field("How sure are you?").fill("70")
    await tour.field("Note (optional)").fill("Comfortable, talks in sentences.")
    await tour.press("Lock my opinion")


async def panel(tour: Tour) -> None:
    await tour.press("Show the panel")


async def panel_with_mistakes(tour: Tour) -> None:
    await tour.press("Sign the decision")


async def done(tour: Tour) -> None:
    await tour.page.get_by_label("Urgent review by a clinician").check()
    await tour.field("Reason").fill("The dissent convinces me.")
    await tour.field("Your login, once more").fill("anna")
    await tour.field("Your password, once more").fill(PASSWORD)
    await tour.press("Sign the decision")
    await tour.page.wait_for_url("**/done*")
    # It asks again by itself until the log is sealed.
    await tour.page.locator(".nhsuk-panel").wait_for()


async def correction(tour: Tour) -> None:
    await tour.go(f"/cases/{tour.case}/correct")


async def passed_on(tour: Tour) -> None:
    case = await tour.ward.case(SPLIT)
    await tour.go(f"/cases/{case}")
    await tour.press("Claim this case")
    await tour.page.get_by_text(tour.said("Refer it to a senior arbiter"), exact=True).click()
    await tour.page.locator(f'form[action="/cases/{case}/refer"] textarea').fill(
        "A case for the lead of sepsis."
    )
    await tour.page.locator(f'form[action="/cases/{case}/refer"] button').click()


async def read_for_an_audit(tour: Tour) -> None:
    case = await tour.ward.drawn()
    await tour.go(f"/cases/{case}")
    await tour.press("Claim this case")
    await locked(tour)
    await tour.page.wait_for_url("**/read")


async def a_call(tour: Tour) -> None:
    await tour.go(f"/duty/{await tour.ward.case(SPLIT, RiskClass.URGENT)}")


async def handover(tour: Tour) -> None:
    case = await tour.ward.case(SPLIT)
    await tour.go(f"/cases/{case}")
    await tour.press("Claim this case")
    await tour.go("/duty/handover")


async def glass(tour: Tour) -> None:
    await tour.log_in("dora")
    await tour.go("/glass")


async def fleet(tour: Tour) -> None:
    await tour.log_in("olga")
    await tour.go("/fleet")


async def oversight(tour: Tour) -> None:
    await tour.log_in("pia")
    await tour.go("/oversight")


async def audit(tour: Tour) -> None:
    await tour.log_in("ada")
    await tour.go("/audit")


async def a_trail(tour: Tour) -> None:
    await tour.go(f"/audit/cases/{tour.case}")


STEPS: tuple[tuple[str, Step], ...] = (
    ("log in", "/login"),
    ("log in, with mistakes", log_in_with_mistakes),
    ("work list", work_list),
    ("work list, narrowed", "/worklist?risk=urgent&site=north"),
    ("work list for print", "/worklist/print"),
    ("keyboard shortcuts", "/keys"),
    ("not found", "/nowhere"),
    ("a case that waits", waiting),
    ("blind case", blind),
    ("blind case, with mistakes", blind_with_mistakes),
    ("locked opinion", locked),
    ("panel", panel),
    ("panel, with mistakes", panel_with_mistakes),
    ("done", done),
    ("correction", correction),
    ("own decisions", "/mine"),
    ("account", "/account"),
    ("passed on", passed_on),
    ("read for an audit", read_for_an_audit),
    ("duty", "/duty"),
    ("a call", a_call),
    ("rota", "/duty/rota"),
    ("handover", handover),
    ("handover for print", "/duty/handover/print"),
    ("teaching", "/teaching"),
    ("glass", glass),
    ("fleet", fleet),
    ("oversight", oversight),
    ("error rates", "/watch"),
    ("audit", audit),
    ("audit, entries", "/audit/entries"),
    ("audit, a trail", a_trail),
    ("audit, receipt", "/audit/receipt"),
    ("audit, exports", "/audit/exports"),
)
"""Every page: what it is called, and the address or the steps that lead to it from the one before."""


async def furnished(house: House, clock: ShiftableClock, language: Language | None = None) -> Ward:
    """Return a ward with everybody who looks at some page, and with cases that wait."""
    client, _token = await a_client(house)
    ward = Ward(house, create_pages(house, language=language), clock, client, {})
    await add_site(house.identities, "south", "South Hospital")
    for login in ("anna", "ben"):
        await ward.person(login, name=f"Dr {login.capitalize()} Example")
    await ward.person("dora", site="south", also=frozenset({Role.EMERGENCY_ACCESS}))
    await ward.person("olga", Role.FLEET_OPERATOR)
    await ward.person("pia", Role.POLICY_APPROVER)
    await ward.person("ada", Role.AUDITOR)
    for risk in RiskClass:
        await ward.case(SPLIT, risk)
    await ward.case(training=True)
    await ward.claimed(await ward.case(), "ben")
    await ward.claimed(await ward.case(SPLIT, RiskClass.URGENT), "anna")
    return ward


async def walk(tour: Tour) -> AsyncIterator[str]:
    """Go through every step; yield its name while the browser shows what it leads to."""
    for name, step in STEPS:
        await (tour.go(step) if isinstance(step, str) else step(tour))
        await tour.page.wait_for_load_state()
        yield name
