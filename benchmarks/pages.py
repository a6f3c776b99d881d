"""How long the reviewer's pages take in a house with a hundred thousand cases, and how that compares with a page that asks nothing.

Run with `make bench`. A real `arbiter serve` on an embedded PostgreSQL of its own answers over loopback. The cases that wait, and
those that are opened, went through intake and the panel; the rest are copies of such cases: heads, keys and sealed documents in their
real form and size, under ids of their own, without entries of the log (no page here reads another case's). Each reviewer goes
the whole way: list, filter, next case, own opinion, panel, signature, done, and to the pages around it. Signing is not timed, for a
password is hashed there. Cases and signed reviews are spread over a year.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import re
import socket
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import uvloop

from arbiter.clock import SystemChance
from arbiter.identity.accounts import create_account
from arbiter.identity.clients import register_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sessions import open_session
from arbiter.identity.sites import add_site
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, FactValue, RiskClass
from arbiter.protocols.intake import RawFact
from arbiter.settings import Mode, Settings
from arbiter.store.database import prepare_database
from arbiter.store.keys import init_keys
from arbiter.wiring import open_house, run_house
from arbiter.workflow import intake, releasing
from arbiter.workflow.house import House
from arbiter.workflow.reading import wait_until_settled
from arbiter.workflow.subjects import SubjectRef
from benchmarks.cases import CALM, serving
from clinician_ui.session import cookies_for

SITES = ("north", "south", "east", "west")
REVIEWERS = 8
PASSWORD = "a long password of the benchmark"
OPINION = {"option": "urgent-review", "confidence": "80", "note": "as I see it"}
AIM_MS = 50.0
RISKS = (RiskClass.ROUTINE, RiskClass.URGENT, RiskClass.ROUTINE, RiskClass.EMERGENCY, RiskClass.ROUTINE)
FLOORS = ("GET /healthz", "log-in page")
PAGES = (
    "work list",
    "work list, filtered",
    "work list, last page",
    "list alone, as it refreshes",
    "next case: claim it",
    "case, blind",
    "own opinion: lock it",
    "opinion locked",
    "panel: show it",
    "case with its panel",
    "decision signed",
    "lock and show in one step",
    "own decisions",
    "duty",
    "handover",
)
OVERSEEN = ("oversight, 30 days", "oversight, a year", "stated error rates")
AUDITED = ("audit", "audit, entries", "audit, a trail")
THINKING_SECONDS = 2.0
"""How long somebody looks at a page before the next one, at the least hurried: they vary from none to twice that."""


# --- the house ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filled:
    """What is asked for: all cases, those that wait, decisions drawn for an audit, and reviews that were signed."""

    cases: int
    waiting: int
    audits: int
    reviews: int


@dataclass
class Filler:
    """Hands cases in, inside the process."""

    house: House
    client: Principal
    number: int = field(default=0)

    async def hand_in(self, risk: RiskClass, site: str, **changes: FactValue | float) -> CaseId:
        """Take one case in and return it as soon as it is stored."""
        self.number += 1
        now = self.house.clock.now()
        facts = {
            name: RawFact(
                _value({**changes}.get(name, value)),
                unit,
                now - timedelta(minutes=5),
                "final",
                "bench",
            )
            for name, (value, unit) in CALM.items()
        }
        subject = SubjectRef("urn:example:bench", f"made-up-{self.number}")
        made = intake.Submission("deterioration", site, subject, None, risk, facts)
        key = f"fill-{self.number}"
        return (await intake.submit(self.house, self.client, made, key, key.encode())).case

    async def waits(self, number: int) -> None:
        """Take in cases that a clinician must see: one whose treatment is limited, one on which the scores are of two minds."""
        for n in range(number):
            site, risk = SITES[n % len(SITES)], RISKS[n % len(RISKS)]
            if n % 2:
                await self.hand_in(risk, site, treatment_limitation="ward-ceiling")
            else:
                await self.hand_in(risk, site, respiratory_rate=24, heart_rate=112, age=80)
            await self.house.errands.finish(30)

    async def decided(self) -> CaseId:
        """Take in a case that the panel decides alone; return it once it is released."""
        case = await self.hand_in(RiskClass.ROUTINE, SITES[0])
        view = await wait_until_settled(self.house, self.client, case, 60)
        if view.phase is not Phase.RELEASED:
            raise RuntimeError(f"expected a released decision, came {view.phase}")
        return case


def _value(value: object) -> FactValue:
    return value if isinstance(value, str | bool) else Decimal(str(value))


@dataclass(frozen=True, slots=True)
class Sessions:
    """A session's token for each reviewer, for who answers for the policy and for who audits: all of them for every site."""

    reviewers: list[str]
    overseer: str
    auditor: str
    trail: CaseId


async def _session(house: House, login: str, role: Role) -> str:
    person = await create_account(
        house.identities,
        house.clock,
        house.chance,
        login,
        login.capitalize(),
        PASSWORD,
        frozenset({role}),
        frozenset(SITES),
    )
    return (await open_session(house.sessions, house.clock, house.chance, person))[1]


async def furnish(settings: Settings, filled: Filled) -> Sessions:
    """Fill the house, and log everybody in."""
    async with open_house(settings) as house, run_house(house):
        house.sealer.then(lambda: releasing.release_sealed(house))
        for site in SITES:
            await add_site(house.identities, site, f"{site.capitalize()} Hospital")
        client, _ = await register_client(
            house.identities, house.clock, house.chance, "bench", [Role.INTEGRATION_CLIENT], SITES
        )
        drawing = replace(house, settings=house.settings.model_copy(update={"audit_share": Decimal(1)}))
        undrawn = replace(house, settings=house.settings.model_copy(update={"audit_share": Decimal(0)}))
        audited = await Filler(drawing, client).decided()
        plain = await Filler(undrawn, client, number=1).decided()
        await Filler(undrawn, client, number=2).waits(filled.waiting)
        sessions = Sessions(
            [await _session(house, f"reviewer{n}", Role.REVIEWER) for n in range(REVIEWERS)],
            await _session(house, "overseer", Role.POLICY_APPROVER),
            await _session(house, "auditor", Role.AUDITOR),
            audited,
        )
    await _copy(
        settings,
        {audited: filled.audits, plain: filled.cases - filled.audits - filled.waiting},
        filled.reviews,
    )
    return sessions


_COPIES = """
CREATE TEMPORARY TABLE copied AS SELECT 'c_' || translate(substr(md5(%(case)s || n), 1, 24), '01', '27') AS id, n,
    now() - n * interval '1 year' / %(number)s AS at FROM generate_series(1, %(number)s) AS n;
"""
_HEADS = """
INSERT INTO case_file (id, site_id, client_id, subject_id, encounter_mac, protocol_id, protocol_hash, risk_class, phase, state,
    version, seq, prev, wake_at, decided_seq, reviewer_id, job_id, training, created_at, changed_at)
SELECT k.id, (%(sites)s::text[])[1 + k.n %% 4], client_id, subject_id, encounter_mac, protocol_id, protocol_hash, risk_class, phase,
    CASE WHEN state -> 'audit' = 'null' THEN state
        ELSE jsonb_set(state, '{audit,drawn_at}', to_jsonb(to_char(k.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))) END,
    version, seq, prev, wake_at, decided_seq, reviewer_id, job_id, training, k.at, k.at
FROM case_file JOIN copied AS k ON true WHERE case_file.id = %(case)s
"""
_KEYS = """
INSERT INTO case_key (case_id, kek_id, wrapped)
SELECT k.id, kek_id, wrapped FROM case_key JOIN copied AS k ON true WHERE case_id = %(case)s
"""
_DOCUMENTS = """
INSERT INTO sealed_document (case_id, seq, name, ciphertext)
SELECT k.id, seq, name, ciphertext FROM sealed_document JOIN copied AS k ON true WHERE case_id = %(case)s
"""


# What came of reviews, as a signature leaves it: every third signer leaves their own answer, every fifth differs from the panel's.
_REVIEWS = """
INSERT INTO review_figure (case_id, site_id, protocol_id, protocol_hash, risk_class, training, planted, escalated_at, claimed_at,
    opinion_at, revealed_at, signed_at, overdue, kind, own_is_final, leading_is_final, own_is_leading, reasons, families)
SELECT c.id, c.site_id, c.protocol_id, c.protocol_hash, (ARRAY['routine', 'urgent', 'emergency'])[1 + n %% 3], false, false, at,
    at + n %% 50 * interval '1 minute', at + interval '1 hour', at + interval '61 minutes', at + interval '65 minutes', n %% 9 = 0,
    CASE WHEN n %% 3 = 0 THEN 'adopted' ELSE 'kept' END, n %% 3 <> 0, n %% 5 <> 0, n %% 3 <> 0 AND n %% 5 <> 0,
    '["disagreement-between"]', jsonb_build_object('scores', jsonb_build_object('news2', 0, 'mews', n %% 2),
    'regression', jsonb_build_object('cart', n %% 5))
FROM (SELECT n, now() - n * interval '1 year' / %(number)s AS at FROM generate_series(1, %(number)s) AS n) AS made
CROSS JOIN (SELECT * FROM case_file ORDER BY created_at, id LIMIT 1) AS c
"""
_OUTCOMES = """
INSERT INTO review_outcome (figure_id, source, own_right, leading_right, final_right, at)
SELECT id, 'outcome', own_is_final, leading_is_final, true, signed_at FROM review_figure WHERE id %% 4 = 0
"""


async def _copy(settings: Settings, numbers: Mapping[CaseId, int], reviews: int) -> None:
    database = await prepare_database(settings)
    try:
        assert database.embedded is not None
        address = database.embedded.url("postgres", "arbiter").replace("+psycopg", "")
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
            for case, number in numbers.items():
                values = {"case": case, "number": max(0, number - 1), "sites": list(SITES)}
                async with connection.transaction():
                    await psycopg.AsyncClientCursor(connection).execute(_COPIES, values)
                    for statement in (_HEADS, _KEYS, _DOCUMENTS):
                        await connection.execute(statement.encode(), values)
                    await connection.execute("DROP TABLE copied")
            await connection.execute(_REVIEWS.encode(), {"number": reviews})
            await connection.execute(_OUTCOMES.replace("%%", "%").encode())
            await connection.execute("VACUUM (ANALYZE)")
    finally:
        await asyncio.to_thread(database.close)


# --- a reviewer --------------------------------------------------------------------------------------------------


@dataclass
class Reviewer:
    """A browser's keep-alive connection and session, as lean as a client can be, and what each page took."""

    port: int
    cookie: str
    taken: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    login: str = ""
    pause: float = 0.0
    token: str = ""
    shown: str = ""
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, name: str, path: str, expected: int, form: Mapping[str, str] | None = None
    ) -> tuple[str, str]:
        """Ask once (the log-in page as nobody), note how long it took under `name`, return where it leads and the page."""
        if self.pause:
            await asyncio.sleep(self.pause * 2 * random.random())
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        reader, writer = self._streams
        body = b"" if form is None else urlencode({"csrf_token": self.token, **form}).encode()
        method = "GET" if form is None else "POST"
        kind = "" if form is None else "Content-Type: application/x-www-form-urlencoded\r\n"
        cookie = "" if name in FLOORS else f"Cookie: {self.cookie}\r\n"
        began = time.perf_counter()
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{cookie}{kind}"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"(?im)^content-length: (\d+)", head)
        page = (await reader.readexactly(int(length[1]) if length else 0)).decode()
        self.taken[name].append(time.perf_counter() - began)
        if int(head.split(" ", 2)[1]) != expected:
            raise RuntimeError(f"expected {expected} of {name}, came {head.splitlines()[0]}")
        found = re.search(r'name="csrf_token" value="([^"]*)"', page)
        if found and cookie:
            self.token = found[1]
        if shown := re.search(r'name="shown" value="([0-9a-f]{64})"', page):
            self.shown = shown[1]
        led = re.search(r"(?im)^location: (\S+)", head)
        return (led[1] if led else ""), page

    async def lists(self) -> None:
        """Look at the list in each way."""
        await self.ask("work list", "/worklist", 200)
        await self.ask("work list, filtered", "/worklist?risk=urgent&site=north", 200)
        await self.ask("work list, last page", "/worklist?page=999", 200)
        await self.ask("list alone, as it refreshes", "/worklist/list", 200)

    async def a_case(self) -> None:
        """Take the next case all the way, step by step, then one in as few steps as can be."""
        path, _ = await self.ask("next case: claim it", "/worklist/next", 303, {"list": ""})
        await self.ask("case, blind", path, 200)
        await self.ask("own opinion: lock it", f"{path}/opinion", 303, OPINION)
        await self.ask("opinion locked", path, 200)
        await self.ask("panel: show it", f"{path}/reveal", 303, {})
        await self.signed(path)
        path, _ = await self.ask("next case: claim it", "/worklist/next", 303, {"list": ""})
        await self.ask("lock and show in one step", f"{path}/opinion", 303, {**OPINION, "then": "show"})
        await self.signed(path)

    async def signed(self, path: str) -> None:
        """Sign what is shown as one's own answer."""
        await self.ask("case with its panel", path, 200)
        signature = {
            "keep": OPINION["option"],
            "shown": self.shown,
            "login": self.login,
            "password": PASSWORD,
        }
        await self.ask("signing, not a page", f"{path}/sign", 303, signature)
        await self.ask("decision signed", f"{path}/done", 200)

    async def around(self) -> None:
        """Look at the pages around the cases."""
        await self.ask("own decisions", "/mine", 200)
        await self.ask("duty", "/duty", 200)
        await self.ask("handover", "/duty/handover", 200)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()


async def measure(port: int, cookies: list[str], rounds: int, pause: float = 0.0) -> dict[str, list[float]]:
    """Have every reviewer go all the way `rounds` times, all at once; return the seconds of each page.

    `pause` is how many seconds they look at a page, on average.
    """
    taken: defaultdict[str, list[float]] = defaultdict(list)
    with _reviewers(port, cookies, taken, pause) as reviewers:

        async def work(reviewer: Reviewer) -> None:
            for _ in range(rounds):
                await reviewer.ask("GET /healthz", "/healthz", 200)
                await reviewer.ask("log-in page", "/login", 200)
                await reviewer.lists()
                await reviewer.a_case()
                await reviewer.around()

        await asyncio.gather(*(work(reviewer) for reviewer in reviewers))
    return taken


@contextmanager
def _reviewers(
    port: int, cookies: list[str], taken: defaultdict[str, list[float]], pause: float
) -> Iterator[list[Reviewer]]:
    reviewers = [
        Reviewer(port, cookie, taken, login=f"reviewer{n}", pause=pause) for n, cookie in enumerate(cookies)
    ]
    try:
        yield reviewers
    finally:
        for reviewer in reviewers:
            reviewer.close()


async def look_around(
    port: int, overseer: str, auditor: str, trail: CaseId, rounds: int
) -> dict[str, list[float]]:
    """Have one who answers for the policy and one who audits look at their pages; return the seconds of each."""
    taken: defaultdict[str, list[float]] = defaultdict(list)
    with _reviewers(port, [overseer, auditor], taken, 0.0) as (policy, audit):
        year = (datetime.now(UTC) - timedelta(days=364)).date()
        for _ in range(rounds):
            await policy.ask("GET /healthz", "/healthz", 200)
            await policy.ask("log-in page", "/login", 200)
            await policy.ask("oversight, 30 days", "/oversight", 200)
            await policy.ask("oversight, a year", f"/oversight?from={year}", 200)
            await policy.ask("stated error rates", "/watch", 200)
            await audit.ask("audit", "/audit", 200)
            await audit.ask("audit, entries", "/audit/entries", 200)
            await audit.ask("audit, a trail", f"/audit/cases/{trail}", 200)
    return taken


# --- the run -----------------------------------------------------------------------------------------------------


def _figure(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def report(title: str, taken: Mapping[str, list[float]], pages: Sequence[str], *, aimed: bool = True) -> None:
    """Print the spread of each page, and which miss the aim."""
    floor = statistics.median(taken["log-in page"]) * 1000
    print(f"\n{title}")
    missed = []
    for name in (*FLOORS, *pages):
        seconds = taken[name]
        p50, p95, p99 = statistics.median(seconds) * 1000, _figure(seconds, 0.95), _figure(seconds, 0.99)
        print(
            f"  {name:28s} p50 {p50:7.2f}  p95 {p95:7.2f}  p99 {p99:7.2f} ms   n {len(seconds):4d}"
            f"   {p50 / floor:5.1f} times the log-in page"
        )
        if name in pages and p95 > AIM_MS:
            missed.append(name)
    if aimed:
        words = f"missed by {', '.join(missed)}" if missed else "met by every page"
        print(f"  aim: {AIM_MS:.0f} ms at p95, {words}")


async def run(filled: Filled, rounds: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="arbiter-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
        init_keys(folder, "bench.invalid/log", SystemChance())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = Settings(data=folder, port=port, mode=Mode.DEMONSTRATION, secure_cookies=False)
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        began = time.perf_counter()
        sessions = await furnish(settings, filled)
        print(
            f"{filled.cases} cases stored, {filled.waiting} of them waiting, {filled.audits} drawn for an audit, "
            f"{filled.reviews} signed reviews, at {len(SITES)} sites, over a year (filled in {time.perf_counter() - began:.0f} s)"
        )
        cookie = f"{cookies_for(settings).session}="
        cookies = [cookie + token for token in sessions.reviewers]
        async with serving(settings, ARBITER_SECURE_COOKIES="false"):
            await measure(port, cookies[:1], 2)
            alone = await measure(port, cookies[:1], 3 * rounds)
            thinking = await measure(port, cookies, max(1, rounds // 4), THINKING_SECONDS)
            together = await measure(port, cookies, max(1, rounds // 3))
            around = await look_around(
                port, cookie + sessions.overseer, cookie + sessions.auditor, sessions.trail, 8 * rounds
            )
        report("one reviewer, without a pause between the pages", alone, PAGES)
        words = f"{REVIEWERS} reviewers, each of whom looks at a page for {THINKING_SECONDS:.0f} s on average"
        report(words, thinking, PAGES)
        report(
            f"{REVIEWERS} reviewers at once, without a pause: more than people do",
            together,
            PAGES,
            aimed=False,
        )
        report("one who answers for the policy, one who audits", around, (*OVERSEEN, *AUDITED))


def _claims(rounds: int) -> int:
    """Return how many cases are claimed in all."""
    return 2 * (2 + 3 * rounds + REVIEWERS * (max(1, rounds // 4) + max(1, rounds // 3)))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100_000, help="cases stored")
    parser.add_argument("--waiting", type=int, default=600, help="of them with the clinicians")
    parser.add_argument("--audits", type=int, default=4_000, help="of them decided, and to be read")
    parser.add_argument("--reviews", type=int, default=20_000, help="reviews signed over the year")
    parser.add_argument(
        "--rounds", type=int, default=12, help="times that each of eight reviewers goes all the way"
    )
    chosen = parser.parse_args()
    if chosen.waiting < _claims(chosen.rounds):
        parser.error(f"expected at least {_claims(chosen.rounds)} waiting cases for so many rounds")
    if chosen.cases < chosen.waiting + chosen.audits:
        parser.error("expected at least as many cases as wait and are audited")
    uvloop.run(run(Filled(chosen.cases, chosen.waiting, chosen.audits, chosen.reviews), chosen.rounds))


if __name__ == "__main__":
    main()
