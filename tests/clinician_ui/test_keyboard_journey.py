"""From the log-in to the signed decision by the keyboard alone: no pointer, and wherever the focus is, it is seen."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Locator, Page, expect

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, RiskClass
from tests.clinician_ui.conftest import SPLIT, Ward, phase
from tests.clinician_ui.steps import CONTINUE, URGENT, finds_it_signed
from tests.clinician_ui.visits import Visit, address, both_ways, chromium, visit
from tests.houses import PASSWORD

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

MOST_TABS = 120
UNSEEN = """
() => {
  const it = document.activeElement;
  if (!it || it === document.body) return "nothing has the focus";
  if (!it.matches(":focus-visible")) return "the focus is not marked as the keyboard's";
  // Radios and checkboxes are drawn by their label.
  const parts = [[it, null], ...[...(it.labels ?? [])].map(label => [label, "::before"])];
  const drawn = () => JSON.stringify(parts.map(([part, pseudo]) => {
    const style = getComputedStyle(part, pseudo);
    const outline = style.outlineStyle === "none" || parseFloat(style.outlineWidth) === 0 ? "" : style.outline;
    return [outline, style.boxShadow, style.backgroundColor];
  }));
  const box = it.getBoundingClientRect();
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  if (!inside) return `${it.outerHTML.slice(0, 120)} has the focus out of sight`;
  const focused = drawn();
  it.blur();
  const blurred = drawn();
  it.focus();
  if (document.activeElement !== it) return "the focus does not come back";
  return focused === blurred ? `${it.outerHTML.slice(0, 120)} looks the same with the focus` : "";
}
"""


class Keyboard:
    """Goes through a page as somebody does who has no pointer, and complains of a focus that cannot be seen."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def tabs_to(self, thing: Locator) -> None:
        for _ in range(MOST_TABS):
            await self.presses("Tab")
            if await self._page.evaluate("document.activeElement === document.body"):
                continue  # between the last thing of the page and the first
            if (unseen := await self._page.evaluate(UNSEEN)) != "":
                pytest.fail(str(unseen))
            if await thing.evaluate("it => it === document.activeElement"):
                return
        pytest.fail(f"{thing} is not reached with the tab key")

    async def presses(self, *keys: str) -> None:
        for key in keys:
            await self._page.keyboard.press(key)

    async def types(self, words: str) -> None:
        await self._page.keyboard.type(words)

    async def follows(self, name: str, role: str = "button") -> None:
        """Go to a button, or a link, and press Enter on it."""
        thing = self._page.get_by_role("link" if role == "link" else "button", name=name, exact=True)
        await self.tabs_to(thing.first)
        await self.presses("Enter")

    async def chooses(self, group: str, answer: str) -> None:
        """Choose an answer with the arrow keys, from whichever the tab key leads to first."""
        page = self._page
        radios = page.get_by_role("group", name=group).get_by_role("radio")
        checked = page.get_by_role("group", name=group).locator(":checked")
        await self.tabs_to(checked if await checked.count() else radios.first)
        await self.presses("Space")
        wanted = page.get_by_role("group", name=group).get_by_role("radio", name=answer)
        for _ in range(await radios.count()):
            if await wanted.is_checked():
                return
            await self.presses("ArrowDown")
        await expect(wanted).to_be_checked()


async def logs_in(visited: Visit, keyboard: Keyboard) -> None:
    page = visited.page
    await visited.go("/worklist")
    await keyboard.tabs_to(page.get_by_label("Login", exact=True))
    await keyboard.types("anna")
    await keyboard.tabs_to(page.get_by_label("Password", exact=True))
    await keyboard.types(PASSWORD)
    await keyboard.presses("Enter")
    await page.wait_for_url("**/worklist")


async def takes_the_case(visited: Visit, keyboard: Keyboard, case: CaseId) -> None:
    page = visited.page
    claim = page.get_by_role("button", name=f"Claim case {case}", exact=True)
    if visited.scripted:
        await keyboard.presses("j")
        await expect(claim).to_be_focused()
        assert await page.evaluate(UNSEEN) == ""
    else:
        await keyboard.tabs_to(claim)
    await keyboard.presses("Enter")
    await page.wait_for_url(f"**/cases/{case}")


async def skips_to_the_content(visited: Visit, keyboard: Keyboard) -> None:
    page = visited.page
    skip = page.get_by_role("link", name="Skip to main content")
    await keyboard.tabs_to(skip)
    await expect(skip).to_be_in_viewport()
    await keyboard.presses("Enter", "Tab")
    assert await page.evaluate("document.activeElement.closest('main') !== null")


async def locks_an_opinion(visited: Visit, keyboard: Keyboard) -> None:
    page = visited.page
    await keyboard.follows("Lock my opinion")
    await expect(page.get_by_role("alert")).to_contain_text("Select your answer")
    if visited.scripted:
        await expect(page.locator(".nhsuk-error-summary")).to_be_focused()
    await keyboard.follows("Enter how sure you are, from 0 to 100", "link")
    await expect(page.get_by_label("How sure are you?")).to_be_focused()
    await keyboard.types("70")
    await keyboard.tabs_to(page.get_by_role("checkbox", name="Respiratory rate: 24"))
    await keyboard.presses("Space")
    await keyboard.chooses("Your answer", CONTINUE)
    await keyboard.tabs_to(page.get_by_label("Note (optional)"))
    await keyboard.types("Comfortable. g w ?")
    await keyboard.follows("Lock my opinion")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Your opinion is locked")


async def sees_the_panel_and_goes_to_the_decision(visited: Visit, keyboard: Keyboard) -> None:
    page = visited.page
    await keyboard.follows("Show the panel")
    await expect(page.get_by_role("heading", name="Why this case came to you")).to_be_visible()
    certificate = page.locator("summary", has_text="The certificate in plain words")
    await keyboard.tabs_to(certificate)
    await keyboard.presses("Enter")
    await expect(page.get_by_text("The question: Does this inpatient")).to_be_visible()


async def decides_and_signs(visited: Visit, keyboard: Keyboard) -> None:
    page = visited.page
    await keyboard.chooses("What do you decide?", URGENT)
    await keyboard.tabs_to(page.get_by_label("Reason", exact=True))
    await keyboard.types("The dissent convinces me.")
    await keyboard.tabs_to(page.get_by_label("Your login, once more"))
    await keyboard.types("anna")
    await keyboard.tabs_to(page.get_by_label("Your password, once more"))
    await keyboard.types(PASSWORD)
    await keyboard.follows("Sign the decision")


@both_ways
async def test_a_reviewer_without_a_pointer_goes_from_the_log_in_to_the_signed_decision(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    case = await ward.case(SPLIT, RiskClass.URGENT)
    async with visit(chromium, address, scripted=scripted) as anna:
        keyboard = Keyboard(anna.page)
        await logs_in(anna, keyboard)
        await takes_the_case(anna, keyboard, case)
        await skips_to_the_content(anna, keyboard)
        await locks_an_opinion(anna, keyboard)
        await sees_the_panel_and_goes_to_the_decision(anna, keyboard)
        await decides_and_signs(anna, keyboard)
        await finds_it_signed(anna, case, URGENT)
        assert await phase(ward, case) in {Phase.DECIDED, Phase.RELEASED}
        if scripted:
            await keyboard.presses("g", "w")
            await anna.page.wait_for_url("**/worklist")
        await keyboard.follows("Log out")
        await anna.page.wait_for_url("**/login")


async def test_a_focus_that_nobody_can_see_is_complained_of(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    """The check itself, on a page whose marks of the focus are taken away."""
    assert ward.people
    async with visit(chromium, address) as somebody:
        await somebody.go("/login")
        await somebody.page.evaluate("""() => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync("input:focus { outline: none !important; box-shadow: none !important; }");
          document.adoptedStyleSheets.push(sheet);
        }""")
        with pytest.raises(pytest.fail.Exception, match="looks the same with the focus"):
            await Keyboard(somebody.page).tabs_to(somebody.page.get_by_label("Password", exact=True))
