"""Who may export what, which entries that leaves, and what the archive then holds."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
import pytest_asyncio
from pypdf import PdfReader

from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.entry import FIRST_PREV, Entry, Link
from arbiter.audit.export.layout import PROOFS, ExportedEntry
from arbiter.audit.export.manifest import Selection
from arbiter.audit.merkle import leaf_hash
from arbiter.cli.audit import exporting
from arbiter.documents.canonical import decode, encode
from arbiter.errors import ConflictError, ErasedError, ForbiddenError, NotFoundError, RefusedError
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.lifecycle.events import Read
from arbiter.model import ActorId, CaseId
from arbiter.store.database import Database
from arbiter.store.erasures import erased_among
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents
from arbiter.store.log.chains import load_entries
from arbiter.store.log.checkpoints import StoredCheckpoint
from arbiter.store.transaction import Transaction
from arbiter.verifying.report import verify, words_of
from arbiter.workflow.acting import act
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.dossier import Document
from arbiter.workflow.erasure.erasing import erase_again
from arbiter.workflow.exports.disclosing import Discloser
from arbiter.workflow.exports.making import make_export
from arbiter.workflow.exports.paper import FONTS, CasePaper, face, paper_of
from arbiter.workflow.exports.selecting import selection_of
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.cosigned import shown_newest
from tests.audit.logs import example_entry
from tests.exports import Exported, Furnished, an_auditor, exported, furnish
from tests.houses import PASSWORD, SITE, a_client, a_house, a_reviewer


@dataclass(frozen=True)
class Furniture:
    house: House
    cases: Furnished


@pytest_asyncio.fixture
async def furnished(tmp_path: Path, database: Database) -> AsyncIterator[Furniture]:
    async with a_house(tmp_path / "data", database, running=False) as house:
        yield Furniture(house, await furnish(house))


async def chain(house: House, name: str) -> list[Entry]:
    await house.sealer.round()
    async with house.store.read() as transaction:
        return [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, name)]


def entries_of(made: Exported) -> list[Entry]:
    lines = made.members()["entries.jsonl"].splitlines()
    return [Entry.from_bytes(ExportedEntry.parse(line).body) for line in lines]


# --- who may ------------------------------------------------------------------------------------------------------


async def test_only_auditors_export_and_only_discloser_auditors_documents(furnished: Furniture) -> None:
    house = furnished.house
    client, _ = await a_client(house, "another ward")
    auditor, _ = await an_auditor(house)
    before = len(await chain(house, HOUSE_CHAIN))
    for principal, asked in (
        (client, Selection()),
        (auditor, Selection(payloads=True)),
        (auditor, Selection(cases=(furnished.cases.decided,), payloads=True)),
    ):
        out = BytesIO()
        with pytest.raises(ForbiddenError):
            await make_export(house, principal, asked, out)
        assert out.getvalue() == b""
    assert len(await chain(house, HOUSE_CHAIN)) == before
    read = [entry for entry in await chain(house, furnished.cases.decided) if entry.type == "content.read"]
    assert read == []


async def test_without_documents_nothing_of_a_patient_is_in_it(furnished: Furniture) -> None:
    auditor, _ = await an_auditor(furnished.house)
    made = await exported(furnished.house, auditor, Selection(paper=True), furnished.cases)
    names = set(made.members())
    assert not [name for name in names if name.startswith(("payloads/", "replay/", "protocols/"))]
    everything = b"".join(
        content for name, content in made.members().items() if not name.startswith("source/")
    )
    for secret in (b"made-up-1", b"urn:example:patients", b"visit-1"):
        assert secret not in everything
    paper = PdfReader(BytesIO(made.members()[f"cases/{furnished.cases.signed}.pdf"]))
    text = "\n".join(page.extract_text() for page in paper.pages)
    assert "only its timeline is" in " ".join(text.split())
    assert "looks well" not in text


async def test_another_sites_case_and_site_do_not_exist_for_an_auditor(furnished: Furniture) -> None:
    house = furnished.house
    await add_site(house.identities, "south", "South Hospital")
    stranger, _ = await an_auditor(house, Role.DISCLOSURE, name="south", sites=frozenset({"south"}))
    for asked in (
        Selection(cases=(furnished.cases.decided,)),
        Selection(cases=(furnished.cases.decided,), payloads=True),
        Selection(sites=(SITE,)),
        Selection(cases=("c_nobody",)),
    ):
        with pytest.raises(NotFoundError):
            await make_export(house, stranger, asked, BytesIO())
    made = await exported(house, stranger, Selection(payloads=True), furnished.cases)
    assert made.manifest().selection.sites == ("south",)
    assert made.manifest().entries == 0
    assert not made.manifest().whole


async def test_an_auditor_of_some_sites_gets_their_cases_and_the_manifest_says_so(
    furnished: Furniture, tmp_path: Path
) -> None:
    house = furnished.house
    await note_in_house(house, house.store, "house.tried", ActorId("operator"), {})
    auditor, _ = await an_auditor(house)
    whole = await exported(house, auditor, Selection(), furnished.cases)
    assert whole.manifest().whole
    assert HOUSE_CHAIN in {entry.case for entry in entries_of(whole)}
    await add_site(house.identities, "south", "South Hospital")
    part = await exported(house, auditor, Selection(), furnished.cases)
    assert part.manifest().selection.sites == (SITE,)
    assert not part.manifest().whole
    assert {entry.case for entry in entries_of(part)} == {
        furnished.cases.decided,
        furnished.cases.signed,
        furnished.cases.asking,
    }
    path = tmp_path / "part.zip"
    path.write_bytes(part.content)
    assert all(chain.complete for chain in verify(path, part.keys).evidence.chains)


# --- what it leaves ------------------------------------------------------------------------------------------------


async def test_an_export_is_an_entry_of_the_house_that_names_its_hash(furnished: Furniture) -> None:
    house, cases = furnished.house, furnished.cases
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    out = BytesIO()
    made = await make_export(house, auditor, Selection(cases=(cases.signed,), payloads=True), out)
    entry = (await chain(house, HOUSE_CHAIN))[made.seq]
    assert (entry.type, entry.actor) == ("log.exported", auditor.id)
    async with house.store.read() as transaction:
        document = (await load_house_documents(transaction, HOUSE_CHAIN))[-1]
    told = decode(document.content)
    assert told["selection"]["cases"] == [cases.signed]
    assert told["selection"]["payloads"] is True
    assert told["sha256"] == made.sha256 == hashlib.sha256(out.getvalue()).hexdigest()
    assert (told["bytes"], told["payloads"]) == (len(out.getvalue()), made.manifest.payloads)
    await verify_log(house, None)


async def test_each_case_whose_documents_are_opened_gets_its_entry_and_no_other(furnished: Furniture) -> None:
    house, cases = furnished.house, furnished.cases
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    made = await exported(house, auditor, Selection(cases=(cases.signed,), payloads=True), cases)
    assert entries_of(made)[-1].type == "content.read"
    for case, reads in ((cases.signed, 1), (cases.decided, 0), (cases.asking, 0)):
        found = [entry for entry in await chain(house, case) if entry.type == "content.read"]
        assert [entry.actor for entry in found] == [auditor.id] * reads


async def test_time_and_actor_pick_entries_and_nothing_is_called_complete(
    furnished: Furniture, tmp_path: Path
) -> None:
    house = furnished.house
    auditor, _ = await an_auditor(house)
    everything = entries_of(await exported(house, auditor, Selection(), furnished.cases))
    middle = everything[len(everything) // 2].at
    for asked, wanted in (
        (selection_of(actor="arbiter"), [e for e in everything if e.actor == "arbiter"]),
        (selection_of(since=middle), [e for e in everything if e.at >= middle]),
        (selection_of(until=middle), [e for e in everything if e.at < middle]),
    ):
        made = await exported(house, auditor, asked, furnished.cases)
        assert [e for e in entries_of(made) if e.case != HOUSE_CHAIN] == [
            e for e in wanted if e.case != HOUSE_CHAIN
        ]
        path = tmp_path / "picked.zip"
        path.write_bytes(made.content)
        words = " ".join(words_of(verify(path, made.keys)))
        assert "whole log" not in words


async def test_a_certificate_whose_inputs_are_not_shown_is_said_not_to_be_recomputed(
    furnished: Furniture, tmp_path: Path
) -> None:
    house = furnished.house
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    everything = entries_of(await exported(house, auditor, Selection(), furnished.cases))
    decided = next(e for e in everything if e.case == furnished.cases.decided and e.type == "case.decided")
    path = tmp_path / "picked.zip"
    for asked, said in (
        (selection_of(cases=(decided.case,), since=decided.at, payloads=True), True),
        (selection_of(cases=(decided.case,), payloads=True), False),
    ):
        made = await exported(house, auditor, asked, furnished.cases)
        path.write_bytes(made.content)
        words = words_of(verify(path, made.keys))
        assert ("1 certificates of cases not shown whole: not recomputed" in words) is said


async def test_what_contradicts_itself_or_is_too_much_is_refused(furnished: Furniture) -> None:
    now = furnished.house.clock.now()
    for wrong in (
        {"since": now, "until": now},
        {"cases": [f"c_{number}" for number in range(1001)]},
        {"actor": "arbiter", "paper": True},
    ):
        with pytest.raises(RefusedError):
            selection_of(**wrong)


async def test_before_anything_is_sealed_there_is_nothing_to_prove(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        auditor, _ = await an_auditor(house)
        with pytest.raises(ConflictError):
            await make_export(house, auditor, Selection(), BytesIO())


async def test_an_erased_case_is_named_and_its_entries_still_verify(
    furnished: Furniture, tmp_path: Path
) -> None:
    house, cases = furnished.house, furnished.cases
    await erase_again(house, cases.signed)
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    made = await exported(house, auditor, Selection(payloads=True), cases)
    assert made.manifest().unopened == (cases.signed,)
    path = tmp_path / "export.zip"
    path.write_bytes(made.content)
    found = verify(path, made.keys)
    assert cases.signed not in found.evidence.disclosed
    assert cases.decided in found.evidence.disclosed
    assert f"case {cases.signed}: its documents were asked for and did not open" in words_of(found)


def erasing(monkeypatch: pytest.MonkeyPatch, house: House, case: CaseId, when: str) -> None:
    """Have the case erased, for real and by another transaction, at one moment of the making of an export."""
    disclose = Discloser.disclose

    async def disclosed(self: Discloser, of: CaseId) -> int:
        count = await disclose(self, of)
        if of == case:
            await erase_again(house, case)
        return count

    async def looked(house: House, transaction: Transaction) -> StoredCheckpoint | None:
        await erase_again(house, case)
        return await shown_newest(house, transaction)

    if when == "once its documents are written":
        monkeypatch.setattr(Discloser, "disclose", disclosed)
    else:
        monkeypatch.setattr("arbiter.workflow.exports.making.shown_newest", looked)


async def test_a_case_erased_once_its_documents_are_written_ends_the_export_and_is_named(
    furnished: Furniture, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, cases = furnished.house, furnished.cases
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    erasing(monkeypatch, house, cases.signed, "once its documents are written")
    with pytest.raises(ErasedError, match=f"^{cases.signed}: erased while .* ask for it again"):
        await make_export(house, auditor, Selection(payloads=True), BytesIO())
    # Nobody has it, so no entry says that somebody does.
    assert "log.exported" not in {entry.type for entry in await chain(house, HOUSE_CHAIN)}
    monkeypatch.undo()
    made = await exported(house, auditor, Selection(payloads=True), cases)
    assert made.manifest().unopened == (cases.signed,)


async def test_a_case_erased_before_the_export_looks_at_the_database_is_left_out_of_it(
    furnished: Furniture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house, cases = furnished.house, furnished.cases
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    erasing(monkeypatch, house, cases.signed, "before it looks")
    made = await exported(house, auditor, Selection(payloads=True), cases)
    assert made.manifest().unopened == (cases.signed,)
    assert not [name for name in made.members() if cases.signed in name and name.startswith("payloads/")]
    path = tmp_path / "export.zip"
    path.write_bytes(made.content)
    assert cases.signed not in verify(path, made.keys).evidence.disclosed


async def test_the_command_leaves_no_file_of_an_export_that_an_erasure_ended(
    furnished: Furniture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house, cases = furnished.house, furnished.cases
    dora = ("dora", "Dora", PASSWORD, frozenset({Role.AUDITOR, Role.DISCLOSURE}), frozenset({SITE}))
    await create_account(house.identities, house.clock, house.chance, *dora)
    erasing(monkeypatch, house, cases.signed, "once its documents are written")
    file = tmp_path / "case.zip"
    with pytest.raises(ErasedError, match=cases.signed):
        await exporting._export(
            house, "dora", [PASSWORD], Selection(cases=(cases.signed,), payloads=True), file
        )
    assert list(tmp_path.glob("case.zip*")) == []


async def test_an_erasure_waits_for_the_end_of_an_export_and_comes_after_it(furnished: Furniture) -> None:
    house, case = furnished.house, furnished.cases.signed
    async with house.store.begin() as transaction:
        assert await erased_among(transaction, [case, furnished.cases.decided]) == ()
        erasure = asyncio.create_task(erase_again(house, case))
        done, _ = await asyncio.wait([erasure], timeout=1)
        assert not done
        # What only moves a case waits for nobody.
        await act(house, await a_reviewer(house, "ida"), case, lambda _dossier, _now: (Read(), {}))
        assert await erased_among(transaction, [case]) == ()
    await erasure
    async with house.store.begin() as transaction:
        assert await erased_among(transaction, [case, furnished.cases.decided]) == (case,)


# --- papers --------------------------------------------------------------------------------------------------------


async def test_a_paper_shows_timeline_opinions_rules_words_and_signature(furnished: Furniture) -> None:
    house, cases = furnished.house, furnished.cases
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    made = await exported(house, auditor, Selection(payloads=True, paper=True), cases)
    members = made.members()

    def text(case: CaseId) -> str:
        pages = PdfReader(BytesIO(members[f"cases/{case}.pdf"])).pages
        return " ".join("\n".join(page.extract_text() for page in pages).split())

    panel, person = text(cases.decided), text(cases.signed)
    name = next(
        n for n in members if n.startswith(f"payloads/{cases.decided}/") and n.endswith("-certificate.json")
    )
    certificate = json.loads(members[name])
    assert " ".join(certificate["plain"].split())[:60] in panel
    for words in ("NEWS2 (RCP 2017)", "Timeline", "case.released", certificate["policy"]["hits"][0]["rule"]):
        assert words in panel
    for words in (
        "Signature of entry",
        "Anna",
        "I have judged this case myself",
        "looks well",
        "decision.signed",
    ):
        assert words in person
    for entry in entries_of(made):
        assert entry.case == HOUSE_CHAIN or entry.type in text(CaseId(entry.case))


def test_no_character_is_dropped_whatever_the_font_lacks() -> None:
    western = face(FONTS[-1])
    assert western.written("Zoë Müller-Åsgård, Łukasz Škoda") == "Zoë Müller-Åsgård, Łukasz Škoda"
    assert western.written("Erdős 李\x07") == "Erd[U+0151]s [U+674E][U+0007]"
    assert all(font.is_file() for font in FONTS[-1:])


@pytest.mark.parametrize(
    ("rationale", "asks"),
    [
        ("fever\n" * 400, "news2"),
        ("m" * 2_000, "news2"),
        ("fever", "w " * 1_000),
        ("\U0001f912" * 1_900, "news2"),
    ],
    ids=["many lines", "no gap", "narrow column", "characters that grow"],
)
def test_what_is_higher_than_a_page_is_cut_and_says_so(rationale: str, asks: str) -> None:
    opinion = {"title": "A", "asks": asks, "status": "valid", "votes": {"yes": 1}, "rationale": rationale}
    certificate = {"decision": {"title": "Go on"}, "plain": "Go on.", "opinions": [opinion, opinion]}
    document = Document(3, "certificate", bytes(32), encode(certificate))
    paper = CasePaper("c_1", Checkpoint("log.example", 5, bytes(32)), (), (document,))
    pages = PdfReader(BytesIO(paper_of(paper))).pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    assert "the whole stands in the export's document" in text
    assert "Timeline" in text


async def test_the_same_case_has_the_same_paper(furnished: Furniture) -> None:
    entries = tuple(enumerate(await chain(furnished.house, furnished.cases.decided)))
    auditor, _ = await an_auditor(furnished.house)
    checkpoint = (
        (await exported(furnished.house, auditor, Selection(), furnished.cases)).manifest().checkpoint
    )
    paper = CasePaper(furnished.cases.decided, checkpoint, entries, ())
    assert paper_of(paper) == paper_of(paper)
    assert paper_of(paper) != paper_of(CasePaper("c_other", checkpoint, entries, ()))


# --- at size --------------------------------------------------------------------------------------------------------

ENTRIES = 20_000
MOST_GROWTH_BYTES = 32 * 1024 * 1024
"""What is written takes more than three times as much, which the test holds."""


@pytest.mark.timeout(300)
async def test_a_log_of_twenty_thousand_entries_is_exported_in_bounded_memory(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        auditor, _ = await an_auditor(house)
        heads: dict[str, Link] = {}
        await fill(house, heads, 1_100)
        # Once, so that what is loaded and pooled is there.
        await growth_of(house, auditor, tmp_path / "small.zip")
        await fill(house, heads, ENTRIES - 1_100)
        grown = await growth_of(house, auditor, tmp_path / "large.zip")
    assert grown < MOST_GROWTH_BYTES
    found = verify(tmp_path / "large.zip", house.verifiers)
    assert found.evidence.manifest.entries >= ENTRIES
    assert found.evidence.manifest.whole
    assert sum(member.size for member in found.evidence.manifest.members) > 3 * MOST_GROWTH_BYTES
    assert PROOFS in {member.name for member in found.evidence.manifest.members}


_FILL = """
WITH written AS (
    INSERT INTO entry (chain, seq, body)
    SELECT arbiter_chain(f.chain), f.seq, f.body
    FROM unnest(%(chains)s::text[], %(seqs)s::int[], %(bodies)b::bytea[]) AS f(chain, seq, body)
    RETURNING id
)
INSERT INTO pending (entry_id) SELECT id FROM written RETURNING 1
"""


async def fill(house: House, heads: dict[str, Link], count: int) -> None:
    """Append entries of several chains to the log, all at once."""
    chains, seqs, bodies = [], [], []
    for number in range(count):
        chain_name = f"tried-{number % 7}"
        before = heads.get(chain_name)
        entry = example_entry(
            chain_name,
            0 if before is None else before.seq + 1,
            FIRST_PREV if before is None else before.hash,
            number,
        )
        body = entry.to_bytes()
        heads[chain_name] = Link(entry.seq, leaf_hash(body).hex())
        chains.append(chain_name)
        seqs.append(entry.seq)
        bodies.append(body)
    await house.store.run(_FILL, {"chains": chains, "seqs": seqs, "bodies": bodies})
    await house.sealer.round()


async def growth_of(house: House, auditor: Principal, path: Path) -> int:
    """Make an export and return by how much the process grew at most while it did."""
    gc.collect()
    before = resident_bytes()
    heard: list[tuple[int, int]] = []
    grown = [0]

    def listen(done: int, total: int) -> None:
        heard.append((done, total))
        grown[0] = max(grown[0], resident_bytes() - before)

    with path.open("wb") as out:
        await make_export(house, auditor, Selection(), out, listen)
    assert heard == sorted(heard)
    assert heard[-1][0] == heard[-1][1]
    return grown[0]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_an_account_may_export_as_a_client_does(furnished: Furniture) -> None:
    house = furnished.house
    ben = await create_account(
        house.identities,
        house.clock,
        house.chance,
        "ben",
        "Ben",
        "correct horse battery staple",
        frozenset({Role.AUDITOR, Role.DISCLOSURE}),
        frozenset({SITE}),
    )
    made = await exported(
        house, ben, Selection(cases=(furnished.cases.asking,), payloads=True), furnished.cases
    )
    assert made.manifest().made_by == ben.id
    assert made.manifest().payloads > 0
