"""A ward in which everybody who can write something writes the same: a protocol, a site, a system, a colleague, and whoever types into a form."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from arbiter.documents.context import RecordText
from arbiter.identity.clients import register_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import CaseId, RiskClass
from arbiter.protocols.bundle import PROTOCOL_FILE
from arbiter.protocols.context import RawContext
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.workflow.intake import submit
from arbiter.workflow.subjects import SubjectRef
from clinician_ui.pages import create_pages
from tests.clinician_ui.conftest import EXCLUDED, SPLIT, Browser, Facts, Ward
from tests.clinician_ui.contexts import earlier
from tests.houses import ShiftableClock, a_client, a_house, settle, submission
from tests.panels.model_bundles import CERTIFIED, WEIGHED, shipped_text, write_bundle

CONTINUE, URGENT = "continue-monitoring", "urgent-review"


@dataclass(frozen=True)
class Words:
    """What is written: `line` where one line of 200 characters is taken, `text` where 2,000, `record` where a hospital's system writes."""

    name: str
    line: str
    text: str
    record: str = ""


PLAIN: Final = Words("plain", "A plain line", "A plain text.", "A plain record.")
_LINE: Final = "=1+A0</p>\"'><script>alert(1)</script><svg/onload=alert(2)>{{7*7}}{%raw%}&lt;b&#62;[x](javascript:alert(3))**b**<!--"
MARKUP: Final = Words(
    "markup",
    _LINE,
    f"{_LINE}\n=cmd|' /C calc'!A0\n</textarea></title></style></bdi><h1>Panel</h1><img src=//evil.example/x onerror=alert(4)>"
    "<base href=//evil.example/><form action=//evil.example/><meta http-equiv=refresh content=0;url=//evil.example/>"
    "<a href=javascript:alert(5)>{title} %(title)s</a> https://evil.example/ <style>*{display:none}</style>\x26nbsp;",
    f"{_LINE}\n<iframe src=//evil.example/></iframe>",
)
LONG: Final = Words("long", "W" * 200, "W" * 2_000, "W" * 10_000)
TURNED: Final = Words(
    "turned",
    "\u05e9\u05dc\u05d5\u05dd 123 \u0645\u0631\u062d\u0628\u0627",
    "\u202e\u2067\u200f\u061c\u2066tnegru ton \u05d0\u05d1\u05d2 1-2-3",
    "\u05d0\u05d1\u05d2 \u200f1-2-3 \u061c\u0645",
)
"""Right to left, with marks and turns that nothing ends where they are taken."""


def write_protocol(folder: Path, words: Words) -> None:
    """Write the shipped protocol with these words in every title and sentence that people are shown."""
    text = shipped_text(PROTOCOL_FILE).replace(CERTIFIED, WEIGHED)
    text = text.replace("id: deterioration\n", f"id: {words.name}\n")
    shown = json.dumps(words.line[:100], ensure_ascii=False)
    text = re.sub(
        r"^(\s*(?:title|text|rationale): ).*$", lambda found: found[1] + shown, text, flags=re.MULTILINE
    )
    write_bundle(folder / words.name, text)


@dataclass
class Scrawled:
    """What was written, where, and the pages on which it is shown: by whom they are looked at, and their address."""

    words: Words
    ward: Ward
    client: Principal
    pages: list[tuple[str, str]] = field(default_factory=list)
    cases: dict[str, CaseId] = field(default_factory=dict)

    def login(self, person: str) -> str:
        return f"{self.words.name}-{person}"

    def show(self, person: str, *paths: str) -> None:
        self.pages += [(self.login(person), path) for path in paths]

    async def case(self, name: str, changes: Facts = EXCLUDED, risk: RiskClass = RiskClass.ROUTINE) -> CaseId:
        """Hand in a case of the site, about a patient and with a record of these words."""
        words, now, key = self.words, self.ward.clock.now(), f"{self.words.name}-{name}"
        made = submission(now, **changes)
        record = RecordText(words.line, words.line, now - timedelta(hours=3), words.line, words.record)
        history = tuple((fact, replace(raw, source=words.line)) for fact, raw in earlier(now))
        made = replace(
            made,
            protocol=words.name,
            site=words.name,
            risk_class=risk,
            encounter=words.line[:64],
            subject=SubjectRef(f"urn:example:{key}", words.line[:48] + name),
            facts={fact: replace(raw, source=words.line) for fact, raw in made.facts.items()},
            context=RawContext(history, (record,)),
        )
        case = (await submit(self.ward.house, self.client, made, key, key.encode())).case
        await self.ward.house.errands.finish(20)
        self.cases[name] = case
        return case

    async def judged(self, case: CaseId, person: str, *, sees: bool = True) -> Browser:
        """Claim a case, judge it, and have the panel shown."""
        browser = await self.ward.claimed(case, self.login(person))
        await browser.opinion(case, CONTINUE, note=self.words.text, rests_on="heart_rate")
        if sees:
            await browser.send(f"/cases/{case}/reveal")
            await browser.get(f"/cases/{case}")
        return browser

    async def handed(self, case: CaseId, browser: Browser, to: str) -> None:
        await browser.get("/duty/handover")
        note = {f"note-{case}": self.words.text}
        sent = await browser.send("/duty/handover", case=case, to=self.login(to), **note)
        assert sent.headers["location"] == "/duty/handover?done"


async def scrawl(ward: Ward, words: Words) -> Scrawled:
    """Write these words wherever people, systems and protocols can, at a site of that name."""
    house, sites = ward.house, frozenset({words.name})
    await add_site(house.identities, words.name, words.line)
    roles = frozenset({Role.INTEGRATION_CLIENT})
    client, _ = await register_client(house.identities, house.clock, house.chance, words.line, roles, sites)
    at = Scrawled(words, ward, client)
    for person, role in (
        ("anna", Role.REVIEWER),
        ("ben", Role.REVIEWER),
        ("clara", Role.SENIOR_ARBITER),
        ("dana", Role.SENIOR_ARBITER),
        ("ada", Role.AUDITOR),
        ("pia", Role.POLICY_APPROVER),
    ):
        await ward.person(at.login(person), role, words.name, words.line)
    await _from_hand_to_hand(at)
    await _signed(at)
    await _waiting(at)
    at.show("ada", "/audit", f"/audit/cases/{at.cases['signed']}", "/audit/entries", "/audit/receipt")
    at.show("pia", "/oversight", "/watch")
    return at


async def _from_hand_to_hand(at: Scrawled) -> None:
    """A case that was referred, conferred about and handed over with a note, and is revealed now; and ways out of one's hands."""
    case = await at.case("handed", SPLIT)
    ben = await at.judged(case, "ben", sees=False)
    assert (await ben.send(f"/cases/{case}/refer", reason=at.words.text)).status_code == 303
    clara = await at.judged(case, "clara")
    await clara.send(f"/cases/{case}/attendance", attendees=at.login("anna"))
    await at.handed(case, clara, "dana")
    dana = await at.judged(case, "dana")
    kept = await dana.send(f"/cases/{case}/draft", step="sign", reason=at.words.text)
    assert kept.status_code == 303
    at.show("dana", f"/cases/{case}")
    at.show("ben", f"/cases/{case}")
    for form, fields in (
        ("conflict", {"reason": at.words.text}),
        ("ask-facts", {"facts": "lactate", "note": at.words.text}),
    ):
        case = await at.case(form)
        anna = await at.ward.claimed(case, at.login("anna"))
        assert (await anna.send(f"/cases/{case}/{form}", **fields)).status_code == 303
        at.show("anna", f"/cases/{case}")


async def _signed(at: Scrawled) -> None:
    """One decision that is signed, and one that is being corrected."""
    for name in ("signed", "corrected"):
        case = await at.case(name, SPLIT)
        anna = await at.judged(case, "anna")
        assert (await anna.sign(case, URGENT, reason=at.words.text)).status_code == 303
    await settle(at.ward.house)
    clara = await at.ward.logged_in(at.login("clara"))
    await clara.get("/worklist")
    corrected = at.cases["corrected"]
    assert (await clara.send(f"/cases/{corrected}/correct", reason=at.words.text)).status_code == 303
    at.show("clara", f"/cases/{corrected}")
    signed = at.cases["signed"]
    at.show("anna", f"/cases/{signed}/done", f"/cases/{signed}/correct", "/mine")


async def _waiting(at: Scrawled) -> None:
    """A case that is held with a draft, one handed to somebody, one that somebody is on the way to, and one read for its panel alone."""
    handed = await at.case("to-ben")
    await at.handed(handed, await at.ward.claimed(handed, at.login("anna")), "ben")
    urgent = await at.case("urgent", SPLIT, RiskClass.URGENT)
    anna = await at.ward.logged_in(at.login("anna"))
    await anna.get("/worklist")
    await anna.send(f"/worklist/{urgent}/acknowledge")
    locked = await at.case("locked")
    await at.judged(locked, "anna", sees=False)
    blind = await at.case("blind")
    anna = await at.ward.claimed(blind, at.login("anna"))
    assert (await anna.send(f"/cases/{blind}/draft", step="opinion", note=at.words.text)).status_code == 303
    at.show(
        "anna", f"/cases/{blind}", f"/cases/{locked}", "/duty/handover", "/duty/handover/print", "/account"
    )
    at.show(
        "ben", "/worklist", "/worklist/print", "/duty", "/duty/rota", f"/duty/{urgent}", f"/cases/{urgent}"
    )


@asynccontextmanager
async def a_scrawled_ward(folder: Path, database: Database, *written: Words) -> AsyncIterator[list[Scrawled]]:
    """Yield what was written at a site of its own for each of these words, all in one house."""
    for words in written:
        write_protocol(folder / "own", words)
    settings = Settings(
        data=folder / "data",
        mode=Mode.DEMONSTRATION,
        secure_cookies=False,
        workers=False,
        protocols=folder / "own",
    )
    clock = ShiftableClock()
    async with a_house(folder / "data", database, clock, settings=settings) as house:
        client, _ = await a_client(house)
        ward = Ward(house, create_pages(house), clock, client, {})
        yield [await scrawl(ward, words) for words in written]
