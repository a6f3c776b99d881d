"""Patients by number: found, joined, parted, and no number anywhere but in a body."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import httpx
import pytest
import pytest_asyncio

from arbiter.audit.entry import Entry, commit
from arbiter.identity.roles import Role
from arbiter.store.log.chains import load_entries
from arbiter.store.tables import subject_merger
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from tests.api.conftest import Caller, stable_case, token_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)


def number() -> dict[str, str]:
    return {"system": "https://hospital.example/mrn", "value": f"P-{next(_numbers)}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def index(house: House, http: httpx.AsyncClient) -> Caller:
    """The master patient index: it joins and parts, and reads nothing."""
    return Caller(http, await token_of(house, (Role.PATIENT_INDEX,)))


async def case_of(caller: Caller, subject: dict[str, str], site: str = "st-elsewhere") -> str:
    made = await caller.submit(stable_case() | {"subject": subject, "site": site}, Prefer="wait=20")
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def found(caller: Caller, subject: dict[str, str], **more: Any) -> dict[str, Any]:
    reply = await caller.post("/v1/subjects/search", {"subject": subject, **more})
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [case["id"] for case in answer["cases"]]


async def chain(house: House, subject: str) -> list[Entry]:
    async with house.store.read() as transaction:
        return [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, subject)]


async def join(index: Caller, absorbed: dict[str, str], surviving: dict[str, str]) -> httpx.Response:
    return await index.post("/v1/subjects/merge", {"absorbed": absorbed, "surviving": surviving})


async def test_a_patients_cases_are_found_by_number_and_the_search_is_an_entry(
    caller: Caller, house: House
) -> None:
    anna = number()
    cases = [await case_of(caller, anna) for _ in range(3)]
    answer = await found(caller, anna)
    assert set(ids(answer)) == set(cases)
    assert [entry.type for entry in await chain(house, answer["subject"])] == ["subject.searched"]


async def test_pages_of_a_search_meet_without_gap(caller: Caller) -> None:
    anna = number()
    cases = {await case_of(caller, anna) for _ in range(5)}
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await found(caller, anna, limit=2, **cursor)
        seen += ids(page)
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(seen) == 5
    assert set(seen) == cases


async def test_an_unknown_patient_and_one_of_another_site_read_the_same(
    caller: Caller, stranger: Caller
) -> None:
    anna = number()
    await case_of(caller, anna)
    nothing: dict[str, Any] = {"subject": None, "cases": [], "next_cursor": None}
    assert await found(stranger, anna) == nothing
    assert await found(stranger, number()) == nothing


async def test_the_same_number_of_another_system_is_another_patient(caller: Caller) -> None:
    anna = number()
    await case_of(caller, anna)
    assert (await found(caller, anna | {"system": "https://other.example/mrn"}))["cases"] == []


async def test_joined_numbers_are_one_patient_and_parted_ones_two(
    caller: Caller, index: Caller, house: House
) -> None:
    old, new = number(), number()
    first, second = await case_of(caller, old), await case_of(caller, new)
    joined = (await join(index, old, new)).json()
    for subject in (old, new):
        answer = await found(caller, subject)
        assert set(ids(answer)) == {first, second}
        assert answer["subject"] == joined["surviving"]
    later = await case_of(caller, old)
    assert later in ids(await found(caller, new))
    parted = await index.post("/v1/subjects/separate", {"absorbed": old})
    assert parted.json() == joined
    assert set(ids(await found(caller, old))) == {first, later}
    assert ids(await found(caller, new)) == [second]
    types = [entry.type for entry in await chain(house, joined["absorbed"])]
    assert types == ["subject.merged", "subject.separated", "subject.searched"]


async def test_a_mergers_entry_commits_to_who_was_joined_to_whom(index: Caller, house: House) -> None:
    joined = (await join(index, number(), number())).json()
    for subject in joined.values():
        (entry,) = await chain(house, subject)
        async with house.store.read() as transaction:
            row = (
                await transaction.execute(
                    subject_merger.select().where(subject_merger.c.subject_id == subject)
                )
            ).one()
        assert entry.commits == (("merger", commit("merger", row.salt, row.content)),)
        assert joined["absorbed"].encode() in row.content
        assert joined["surviving"].encode() in row.content


async def test_three_numbers_in_a_row_are_one_patient(caller: Caller, index: Caller) -> None:
    one, two, three = number(), number(), number()
    cases = {await case_of(caller, subject) for subject in (one, two, three)}
    assert (await join(index, one, two)).status_code == 200
    assert (await join(index, two, three)).status_code == 200
    for subject in (one, two, three):
        assert set(ids(await found(caller, subject))) == cases


@pytest.mark.parametrize("turned", [False, True])
async def test_what_is_joined_is_not_joined_again_nor_in_a_circle(index: Caller, turned: bool) -> None:
    one, two = number(), number()
    assert (await join(index, one, two)).status_code == 200
    again = await (join(index, two, one) if turned else join(index, one, two))
    assert again.status_code == 409


async def test_a_number_is_not_joined_to_itself(index: Caller) -> None:
    anna = number()
    assert (await join(index, anna, anna)).status_code == 409


async def test_an_absorbed_number_is_not_absorbed_by_a_third(index: Caller) -> None:
    one, two, three = number(), number(), number()
    await join(index, one, two)
    reply = await join(index, one, three)
    assert reply.status_code == 409
    assert "separate it first" in reply.json()["detail"]


async def test_two_mergers_at_once_close_no_circle(index: Caller) -> None:
    one, two = number(), number()
    replies = await asyncio.gather(join(index, one, two), join(index, two, one))
    assert sorted(reply.status_code for reply in replies) == [200, 409]


async def test_what_is_joined_to_nothing_is_not_parted(index: Caller) -> None:
    assert (await index.post("/v1/subjects/separate", {"absorbed": number()})).status_code == 409


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def elsewhere(house: House, http: httpx.AsyncClient) -> Caller:
    """A hospital system of the site that `index` does not act for."""
    return Caller(http, await token_of(house, sites=("far-away",)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everywhere(house: House, http: httpx.AsyncClient) -> Caller:
    """A patient index of both sites."""
    return Caller(http, await token_of(house, (Role.PATIENT_INDEX,), ("st-elsewhere", "far-away")))


async def test_patients_whom_a_foreign_site_knows_are_not_joined(
    caller: Caller, index: Caller, elsewhere: Caller, everywhere: Caller
) -> None:
    here, there = number(), number()
    await case_of(caller, here)
    await case_of(elsewhere, there, "far-away")
    unknown = (await caller.get("/v1/cases/c_nobody")).json()
    for absorbed, surviving in ((there, here), (here, there), (there, number()), (there, there)):
        reply = await join(index, absorbed, surviving)
        assert (reply.status_code, reply.json()) == (404, unknown)
    assert (await join(everywhere, there, here)).status_code == 200
    assert len(ids(await found(caller, there))) == 1, "and still each site sees its own cases alone"


async def test_how_patients_of_a_foreign_site_stand_to_each_other_is_not_told(
    caller: Caller, index: Caller, elsewhere: Caller, everywhere: Caller
) -> None:
    one, two, mine = number(), number(), number()
    await case_of(elsewhere, one, "far-away")
    await case_of(caller, mine)
    assert (await join(everywhere, one, two)).status_code == 200
    for absorbed, surviving in ((one, two), (two, one), (one, mine), (two, mine), (mine, two)):
        assert (await join(index, absorbed, surviving)).status_code == 404
    parted = await index.post("/v1/subjects/separate", {"absorbed": one})
    of_nobody = await index.post("/v1/subjects/separate", {"absorbed": number()})
    assert (parted.status_code, parted.json()) == (409, of_nobody.json())
    assert (await join(everywhere, one, two)).status_code == 409, "still joined"
    assert (await everywhere.post("/v1/subjects/separate", {"absorbed": one})).status_code == 200


async def test_searches_at_once_each_leave_their_entry(caller: Caller, house: House) -> None:
    anna = number()
    await case_of(caller, anna)
    answers = await asyncio.gather(*(found(caller, anna) for _ in range(4)))
    entries = await chain(house, answers[0]["subject"])
    assert [entry.seq for entry in entries] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"subject": {"system": "urn:x"}},
        {"subject": {"system": "urn:x", "value": ""}},
        {"subject": {"system": "urn:x", "value": "P-1\n"}},
        {"subject": {"system": "urn:x", "value": 7}},
        {"subject": {"system": "urn:x", "value": "P-1"}, "limit": 0},
        {"subject": {"system": "urn:x", "value": "P-1"}, "limit": 201},
        {"subject": {"system": "urn:x", "value": "P-1"}, "name": "Anna"},
    ],
)
async def test_a_malformed_search_is_refused_without_a_word_of_it(caller: Caller, body: Any) -> None:
    reply = await caller.post("/v1/subjects/search", body)
    assert reply.status_code == 422
    assert "Anna" not in reply.text
    assert "P-1" not in reply.text


async def test_an_invented_cursor_is_refused(caller: Caller) -> None:
    anna = number()
    await case_of(caller, anna)
    reply = await caller.post("/v1/subjects/search", {"subject": anna, "cursor": "bm90IG9uZQ"})
    assert 400 <= reply.status_code < 500


async def test_a_number_in_an_address_finds_nothing(caller: Caller) -> None:
    reply = await caller.get("/v1/subjects/search?value=P-1")
    assert reply.status_code == 405


async def test_the_log_verifies_with_the_chains_of_subjects_in_it(house: House) -> None:
    await house.sealer.request()
    kept = (house.settings.data / "checkpoint").read_bytes()
    assert (await verify_log(house, kept)).entries > 0
