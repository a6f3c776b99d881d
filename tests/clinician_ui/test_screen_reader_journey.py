"""What a screen reader says, and in which order, by the accessibility tree that Chromium makes of the pages of a case."""

from __future__ import annotations

import itertools
import re

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Locator, Page, expect

from tests.clinician_ui.conftest import SPLIT, SUBJECT, Ward
from tests.clinician_ui.steps import (
    claims,
    decides,
    has_the_panel_shown,
    locks_the_opinion,
    types_an_opinion,
)
from tests.clinician_ui.visits import Visit, address, chromium, log_in, visit

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

CONTROL = re.compile(
    r"^\s*- '?(?:textbox|radio|checkbox|combobox|button|link|table|img|navigation|alert)\b(.*)$"
)
BARE_TABLES = """
tables => tables.map(it => ({
  caption: (it.caption?.innerText ?? "").trim(),
  columns: it.querySelectorAll("thead th[scope=col]").length,
  widest: Math.max(...[...it.rows].map(row => row.cells.length)),
  headless: [...it.tBodies].flatMap(body => [...body.rows]).filter(row => !row.querySelector("th[scope=row]")).length,
})).filter(it => !it.caption || it.columns !== it.widest || it.headless)
"""


async def heard(place: Locator) -> str:
    """Return what is there for a screen reader, one line a thing, in the order of reading."""
    return await place.aria_snapshot()


def comes_in_order(tree: str, *things: str) -> None:
    """Check that each thing, a pattern of a line's beginning, is there after the one before it."""
    at = 0
    for thing in things:
        found = re.compile(rf"^\s*- '?{thing}", re.MULTILINE).search(tree, at)
        assert found, f"{thing} does not come after what is named before it, in:\n{tree[at:][:2000]}"
        at = found.end()


def has_headings_that_skip_no_level(tree: str) -> None:
    levels = [int(level) for level in re.findall(r"^\s*- '?heading .*\[level=(\d)\]", tree, re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert [step for step in itertools.pairwise(levels) if step[1] > step[0] + 1] == []


def names_everything(tree: str) -> None:
    rest = [found[1] for line in tree.splitlines() if (found := CONTROL.match(line))]
    assert len(rest) > 3
    assert [line for line in rest if not line.startswith(' "')] in ([], [":"]), "an alert alone has no name"


async def has_whole_tables(page: Page) -> None:
    tables = page.locator("main table")
    assert await tables.count() > 0
    assert await tables.evaluate_all(BARE_TABLES) == []


async def opens_all_details(visited: Visit) -> None:
    for summary in await visited.page.locator("main summary").all():
        await summary.click()


async def is_described(field: Locator, *words: str) -> None:
    for each in words:
        await expect(field).to_have_accessible_description(
            re.compile(r"\s+".join(map(re.escape, each.split())))
        )


async def test_a_blind_case_is_read_from_the_patient_over_the_facts_to_the_question(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    case = await ward.case(SPLIT)
    async with visit(chromium, address) as anna:
        page = anna.page
        await log_in(anna)
        await claims(anna, case)
        tree = await heard(page.locator("body"))
        comes_in_order(
            tree,
            'link "Skip to main content"',
            "banner",
            'navigation "Places"',
            'navigation "Back"',
            "main",
            'heading ".*urgent review.*" .level=1',
            "term: Patient",
            f"definition: {SUBJECT}",
            'table "Facts .*Tick every fact',
            'heading "Your opinion" .level=2',
            'group "Your answer"',
            'radio "Urgent review',
            'radio "Continue',
            'textbox "How sure are you',
            'textbox "Note',
            'button "Lock my opinion"',
            'button "Hold it for longer"',
            'heading "Something else to do',
            "contentinfo",
        )
        has_headings_that_skip_no_level(tree)
        names_everything(tree)
        await opens_all_details(anna)
        await has_whole_tables(page)
        names_everything(await heard(page.get_by_role("main")))
        await is_described(page.get_by_label("How sure are you?"), "0 is a guess, 100 is certain")
        await is_described(page.get_by_label("Note (optional)"), "Anything else that led you")
        await is_described(page.get_by_role("checkbox", name="Respiratory rate: 24"), "Tick every fact")


async def test_after_a_mistake_the_summary_is_read_first_and_each_field_says_its_own(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    case = await ward.case(SPLIT)
    async with visit(chromium, address) as anna:
        page = anna.page
        await log_in(anna)
        await claims(anna, case)
        await locks_the_opinion(anna)
        tree = await heard(page.get_by_role("main"))
        comes_in_order(
            tree,
            "alert",
            'heading "There is a problem"',
            'link "Select your answer"',
            'link "Enter how sure you are',
            'link "Tick what your answer rests on',
            'heading ".*urgent review.*" .level=1',
            "term: Patient",
        )
        assert tree.splitlines()[1].strip() == "- alert:", "nothing is read before it"
        await expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        await is_described(page.get_by_role("group", name="Your answer"), "Error: Select your answer")
        sure = page.get_by_label("How sure are you?")
        await is_described(sure, "0 is a guess", "Error: Enter how sure you are")
        tick = page.get_by_role("checkbox", name="Respiratory rate: 24")
        await is_described(tick, "Tick every fact", "Error: Tick what your answer rests on")
        names_everything(tree)


async def test_the_panel_is_read_after_the_own_opinion_with_the_dissent_first_and_the_decision_last(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    case = await ward.case(SPLIT)
    async with visit(chromium, address) as anna:
        page = anna.page
        await log_in(anna)
        await claims(anna, case)
        await types_an_opinion(anna)
        await locks_the_opinion(anna)
        locked = await heard(page.get_by_role("main"))
        comes_in_order(
            locked, 'heading ".*Your opinion is locked" .level=1', "term: Patient", 'button "Show the panel"'
        )
        has_headings_that_skip_no_level(locked)
        await has_the_panel_shown(anna)
        await opens_all_details(anna)
        tree = await heard(page.get_by_role("main"))
        comes_in_order(
            tree,
            'heading ".*urgent review.*" .level=1',
            "term: Patient",
            'navigation "On this page"',
            'heading "Your opinion, before the panel" .level=2',
            'heading "The panel leant to" .level=2',
            'heading "Agreement of independent families" .level=2',
            "paragraph: .?Red: no answer leads among the families",
            'heading "Why this case came to you" .level=2',
            'heading "What each member said" .level=2',
            'heading "To the question, dissent first" .level=3',
            'heading "CART .*Dissent',
            'heading "(?:NEWS2|MEWS)[^"]*" .level=4',
            'table "Facts of this case, and how each member uses them"',
            'heading "The numbers behind it"',
            'heading "The hospital.s policy" .level=2',
            "text: The certificate in plain words",
            "paragraph: .?The question: Does this inpatient need urgent review",
            'heading "Your decision" .level=2',
            'group "What do you decide',
            'radio "Urgent review',
            'textbox "Reason"',
            "strong: .?Anna:",
            'textbox "Your login, once more"',
            'textbox "Your password, once more"',
            "term: You sign for patient",
            f"definition: {SUBJECT}",
            'button "Sign the decision"',
            'heading "Something else to do',
        )
        has_headings_that_skip_no_level(tree)
        names_everything(tree)
        await has_whole_tables(page)
        own = page.get_by_role("group", name="What do you decide?").get_by_role("radio", name="Continue")
        await is_described(own, "Your opinion before the panel")
        await is_described(page.get_by_label("Reason", exact=True), "Needed when you decide otherwise")


async def test_a_signature_with_mistakes_reads_them_first_and_beside_their_fields(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case)
    await browser.opinion(case, "continue-monitoring")
    await browser.send(f"/cases/{case}/reveal")
    async with visit(chromium, address) as anna:
        page = anna.page
        await log_in(anna)
        await anna.go(f"/cases/{case}")
        await decides(anna)
        await anna.press("Sign the decision")
        tree = await heard(page.get_by_role("main"))
        assert tree.splitlines()[1].strip() == "- alert:", "nothing is read before it"
        comes_in_order(
            tree,
            'heading "There is a problem"',
            'link "Give a reason',
            'link "Enter your login to sign"',
            'link "Enter your password to sign"',
            'heading ".*urgent review.*" .level=1',
        )
        await expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        await is_described(
            page.get_by_label("Reason", exact=True),
            "Needed when you decide otherwise",
            "Error: Give a reason",
        )
        await is_described(page.get_by_label("Your login, once more"), "Error: Enter your login to sign")
        await is_described(page.get_by_label("Your password, once more"), "Error: Enter your password")
        # Where a link of the summary leads, the keyboard goes on.
        await page.get_by_role("link", name="Give a reason").press("Enter")
        await expect(page.get_by_label("Reason", exact=True)).to_be_focused()
