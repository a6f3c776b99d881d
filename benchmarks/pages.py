"""How long the reviewer's pages take in a house with a hundred thousand cases, and how that compares with a page that asks nothing.

Run with `make bench`. A real `arbiter serve` on an embedded PostgreSQL of its own answers over loopback. What the house holds is told in
`benchmarks.full_house`; it is spread over a year. Each reviewer goes the whole way: list, filter, next case, own opinion, panel,
signature, done, and to the pages around it. Signing is not timed, for a password is hashed there.
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
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import uvloop

from arbiter.clock import SystemChance
from arbiter.model import CaseId, RiskClass
from arbiter.settings import Mode, Settings
from arbiter.store.keys import init_keys
from benchmarks.cases import serving
from benchmarks.full_house import PASSWORD, REVIEWERS, RISKS, SITES, Filled, furnish
from clinician_ui.session import cookies_for

OPINION = {"option": "urgent-review", "confidence": "80", "note": "as I see it"}
AIM_MS = 50.0
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


def _least_waiting(rounds: int) -> int:
    """Return how many cases must wait for all that are claimed to be more urgent than the routine ones.

    Among those are the copies drawn for an audit, which nobody can open: a case's key opens under the id it was made for.
    """
    claimed = 2 * (2 + 3 * rounds + REVIEWERS * (max(1, rounds // 4) + max(1, rounds // 3)))
    urgent = sum(risk is not RiskClass.ROUTINE for risk in RISKS)
    return -(-claimed * len(RISKS) // urgent)


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
    if chosen.waiting < _least_waiting(chosen.rounds):
        parser.error(f"expected at least {_least_waiting(chosen.rounds)} waiting cases for so many rounds")
    if chosen.cases < chosen.waiting + chosen.audits:
        parser.error("expected at least as many cases as wait and are audited")
    uvloop.run(run(Filled(chosen.cases, chosen.waiting, chosen.audits, chosen.reviews), chosen.rounds))


if __name__ == "__main__":
    main()
