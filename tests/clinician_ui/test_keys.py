"""Keyboard shortcuts and the places in the header: one table for page, script and log-in, and only what a visitor has."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect
from starlette.routing import Route

from arbiter.identity.roles import Role
from clinician_ui.navigation import ENTRIES, Navigation, is_ours
from clinician_ui.presenters.keys import keys_link, keys_page
from tests.clinician_ui.conftest import Ward
from tests.clinician_ui.visits import address, chromium, log_in, visit

__all__ = ["address", "chromium"]

pytestmark = pytest.mark.timeout(300)
in_the_house = pytest.mark.asyncio(loop_scope="module")


def leading_to(*addresses: str) -> Navigation:
    async def nothing(request: object) -> None:
        raise NotImplementedError

    navigation = Navigation()
    navigation.lead_to([Route(each, nothing, methods=["GET"]) for each in addresses])
    return navigation


def wired(page: str) -> dict[str, dict[str, str]]:
    found = re.search(r'data-keys="([^"]*)"', page)
    assert found is not None
    read = json.loads(unescape(found[1]))
    assert isinstance(read, dict)
    return read


def places_of(page: str) -> list[str]:
    return re.findall(r'class="arbiter-places__link" href="([^"]*)"', page)


def test_no_two_places_share_keys_or_an_address() -> None:
    assert len({entry.keys for entry in ENTRIES}) == len({entry.address for entry in ENTRIES}) == len(ENTRIES)
    assert all(re.fullmatch(r"g [a-z]", entry.keys) and entry.keys != "g h" for entry in ENTRIES)


def test_a_log_in_may_lead_to_every_place() -> None:
    assert all(is_ours(entry.address) for entry in ENTRIES)


@in_the_house
async def test_a_place_whose_route_is_missing_is_shown_nowhere(ward: Ward) -> None:
    anna = ward.people["anna"]
    assert leading_to().places(anna) == ()
    shown = leading_to("/worklist", "/fleet").places(anna)
    assert [place.address for place in shown] == ["/worklist"]
    assert set(json.loads(keys_link(()).wiring)) == {"g h", "?"}


@in_the_house
async def test_the_place_that_is_shown_is_marked_and_so_is_that_above_it(ward: Ward) -> None:
    navigation = leading_to("/worklist")
    marks = [
        navigation.places(ward.people["anna"], at)[0].current
        for at in ("/worklist", "/worklist/print", "/worklists", "/cases/c_a", "")
    ]
    assert marks == ["page", "true", "", "", ""]


@in_the_house
async def test_the_list_and_the_script_have_the_same_keys(ward: Ward) -> None:
    places = leading_to(*(entry.address for entry in ENTRIES)).places(ward.people["anna"])
    page = keys_page(places)
    listed = {" ".join(row.keys) for row in (*page.going, *page.acting)}
    assert listed == set(json.loads(keys_link(places).wiring))


@in_the_house
async def test_nobody_is_told_of_a_place_that_they_may_not_go_to(ward: Ward) -> None:
    await ward.person("olga", Role.FLEET_OPERATOR)
    anna, olga = await ward.logged_in("anna"), await ward.logged_in("olga")
    reviewers, operators = await anna.get("/keys"), await olga.get("/keys")
    for page, mine, foreign in (
        (reviewers.text, {"/worklist"}, {"/fleet", "/watch", "/oversight", "/audit"}),
        (operators.text, {"/fleet", "/watch"}, {"/worklist", "/mine", "/duty"}),
    ):
        gone = {each["go"] for each in wired(page).values() if "go" in each}
        assert mine <= gone
        assert mine <= set(places_of(page))
        assert not foreign & (gone | set(places_of(page)))
    for path in places_of(operators.text):
        assert (await olga.get(path)).status_code == 200
    assert not {"n", "j", "k", "/"} & set(wired(operators.text))


@in_the_house
async def test_without_a_session_there_is_neither_a_list_nor_a_place(ward: Ward) -> None:
    assert (await ward.browser().get("/keys")).headers["location"] == "/login?next=/keys"
    page = (await ward.browser().get("/login")).text
    assert places_of(page) == []
    assert "data-keys" not in page


@in_the_house
async def test_keys_lead_on_show_their_list_and_can_be_switched_off(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    async with visit(chromium, address) as visited:
        page = visited.page
        await log_in(visited)
        await page.keyboard.press("?")
        dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
        await expect(dialog).to_be_visible()
        await visited.look("list of shortcuts over a page")
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)

        await visited.go("/keys")
        await visited.look("list of shortcuts")
        await page.keyboard.press("g")
        await page.keyboard.press("w")
        await page.wait_for_url("**/worklist")

        await visited.go("/keys")
        await page.get_by_label("Use keyboard shortcuts").uncheck()
        await page.get_by_role("heading", level=1).click()
        for key in ("g", "w", "?"):
            await page.keyboard.press(key)
        await expect(dialog).to_have_count(0)
        assert page.url.endswith("/keys")
        await page.reload()
        await expect(page.get_by_label("Use keyboard shortcuts")).not_to_be_checked()


@in_the_house
async def test_no_key_is_obeyed_while_somebody_types(ward: Ward, address: str, chromium: Chromium) -> None:
    case = await ward.case()
    async with visit(chromium, address) as visited:
        page = visited.page
        await log_in(visited)
        await visited.press(f"Claim case {case}")
        note = page.get_by_label("Note (optional)")
        await note.press_sequentially("g w ? gw/")
        await expect(note).to_have_value("g w ? gw/")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        assert page.url.endswith(case)


@in_the_house
async def test_the_list_is_a_page_without_javascript(ward: Ward, address: str, chromium: Chromium) -> None:
    async with visit(chromium, address, scripted=False) as visited:
        await log_in(visited)
        await visited.page.get_by_role("link", name="Keyboard shortcuts").click()
        await expect(visited.page.get_by_role("heading", level=1)).to_have_text("Keyboard shortcuts")
        await expect(visited.page.get_by_label("Use keyboard shortcuts")).to_be_hidden()
        await visited.look("list of shortcuts, without JavaScript")
