"""The demonstration: everything real on the embedded database, the shipped examples put through the REST door.

What a first run makes (keys, a site, a client, two reviewers, a senior arbiter) stays in the data folder; a later run goes on with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shlex
import socket
import statistics
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from arbiter.audit.note import VerifierKey
from arbiter.audit.receipt import verify_receipt
from arbiter.clock import SystemChance, SystemClock
from arbiter.demo_record import record_of
from arbiter.documents.scalars import decimal_text
from arbiter.errors import ConfigurationError
from arbiter.fleet.loader import read_fleet
from arbiter.fleet.running import serve
from arbiter.fleet.serving import command_lines
from arbiter.identity.roles import Role
from arbiter.protocols.bundle import Bundle, LabelledCase
from arbiter.protocols.loader import read_shipped, shipped
from arbiter.question import Protocol
from arbiter.serving import open_doors
from arbiter.settings import Mode, Settings, read_settings
from arbiter.specialists.demonstration import beside, heard, heard_table, told, write_fleet
from arbiter.specialists.seated import read_seated
from arbiter.specialists.shipped import PROTOCOL, PROTOCOLS
from arbiter.store.keys import init_keys
from arbiter.telemetry import log_to_file
from arbiter.wiring import open_house, run_house
from arbiter.workflow.house import House
from arbiter.workflow.register import BY_ITSELF, add_site, make_account, register_client

ORIGIN = "demonstration.arbiter.invalid/log"
SITE = "demonstration"
REVIEWERS = (
    ("anna", "Anna Example", Role.REVIEWER),
    ("boris", "Boris Example", Role.REVIEWER),
    ("clara", "Clara Example", Role.SENIOR_ARBITER),
)
"""Two who may differ where policy asks for a second reader, and who then decides."""
OPERATOR = ("olga", "Olga Example", Role.FLEET_OPERATOR)
WAIT_SECONDS = 20
TURNED_AWAY_LIMIT = 60
AT_ONCE = 4
NOTES_NAME = "demonstration.json"


@dataclass(slots=True)
class Notes:
    """What the demonstration keeps between runs, in a file of mode 0600: its client's token, the cases it sent."""

    path: Path
    token: str = ""
    cases: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Notes:
        """Return the notes of an earlier run, or empty ones."""
        path = folder / NOTES_NAME
        if not path.exists():
            return cls(path)
        kept = json.loads(path.read_text("utf-8"))
        return cls(path, kept["token"], kept["cases"])

    def write(self) -> None:
        """Keep the notes; readable by their owner alone."""
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"token": self.token, "cases": self.cases}, file, indent=1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an example: the phase, the milliseconds from POST to answer, and the certificate if there is one."""

    protocol: str
    title: str
    case: str
    phase: str
    milliseconds: float
    certificate: dict[str, Any] | None


async def run(out: Console, vllm: Path | None = None) -> None:
    """Run the demonstration until interrupted; with small models where `vllm` names the Python of vLLM's environment."""
    settings = read_settings().model_copy(update={"mode": Mode.DEMONSTRATION, "secure_cookies": False})
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if vllm is None:
        await _run(out, settings, [read_shipped(name) for name in shipped()])
        return
    async with _models(out, settings, vllm) as with_models:
        await _run(out, with_models, [read_seated()])


@asynccontextmanager
async def _models(out: Console, settings: Settings, vllm: Path) -> AsyncIterator[Settings]:
    """Serve the small models while the block runs, and yield the settings that seat them."""
    fleet = write_fleet(settings.data, vllm, free_port(settings.host))
    lines = command_lines(read_fleet(fleet), read_seated().protocol)
    out.print("starting vLLM for the small models; this takes a minute or so")
    async with serve(
        lines, settings.data / "fleet", tell=lambda words: out.print(f"  {words}", markup=False)
    ):
        yield settings.model_copy(update={"fleet": fleet, "protocols": PROTOCOLS})


async def _run(out: Console, settings: Settings, bundles: Sequence[Bundle]) -> None:
    log_to_file(settings.data / "arbiter.log", settings.log_level)
    if not (settings.data / "keys").exists():
        init_keys(settings.data, ORIGIN, SystemChance())
        out.print(f"made keys in {settings.data / 'keys'}")
    notes = Notes.read(settings.data)
    async with (
        open_house(settings) as house,
        run_house(house),
        open_doors(house, settings) as stop,
    ):
        passwords = await _make_people(house, notes)
        submitting = asyncio.create_task(_submit_examples(out, settings, notes, bundles))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({submitting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if submitting.done():
            await _summary(out, settings, house, notes, submitting.result(), passwords)
            await stopping
        else:
            submitting.cancel()
        out.print("\nstopping: finishing what is in hand")
    out.print(f"stopped; the data stays in {settings.data}, and another run goes on with it")


async def _make_people(house: House, notes: Notes) -> dict[str, str]:
    """Make site, client and people where missing, with models one who watches them; return the new passwords by login."""
    if SITE not in {site for site, _ in await house.identities.sites()}:
        await add_site(house, BY_ITSELF, SITE, "Demonstration Hospital")
    if not notes.token:
        _, notes.token = await register_client(
            house, BY_ITSELF, "demonstration", [Role.INTEGRATION_CLIENT], [SITE]
        )
        notes.write()
    known = {account.login for account in await house.identities.accounts()}
    passwords = {}
    for login, display_name, role in (*REVIEWERS, OPERATOR) if house.fleet else REVIEWERS:
        if login not in known:
            passwords[login] = secrets.token_urlsafe(12)
            await make_account(house, BY_ITSELF, login, display_name, passwords[login], [role], [SITE])
    return passwords


async def _submit_examples(
    out: Console, settings: Settings, notes: Notes, bundles: Sequence[Bundle]
) -> list[Outcome]:
    """Send every example that was not sent before, a few at a time, and return what became of all of them."""
    examples = [(bundle.protocol, example) for bundle in bundles for example in bundle.examples]
    limit = asyncio.Semaphore(AT_ONCE)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[last]}"),
    )
    async with _door(settings, notes) as door:
        with Progress(*columns, console=out) as progress:
            task = progress.add_task("example cases", total=len(examples), last="")

            async def send(protocol: Protocol, example: LabelledCase) -> Outcome:
                async with limit:
                    outcome = await _send(door, notes, protocol, example)
                progress.update(task, advance=1, last=f"{outcome.phase}: {outcome.title[:50]}")
                return outcome

            try:
                return list(
                    await asyncio.gather(*(send(protocol, example) for protocol, example in examples))
                )
            finally:
                notes.write()


def free_port(host: str) -> int:
    """Return a port that nobody listens at just now."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
    return port


def _door(settings: Settings, notes: Notes) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://{settings.host}:{settings.port}",
        headers={"Authorization": f"Bearer {notes.token}"},
        timeout=WAIT_SECONDS + 10,
        trust_env=False,
    )


async def _send(door: httpx.AsyncClient, notes: Notes, protocol: Protocol, example: LabelledCase) -> Outcome:
    key = f"{protocol.id}/{example.id}"
    elapsed = 0.0
    if key not in notes.cases:
        reply, elapsed = await _post(door, _body(protocol, example))
        if reply.status_code not in {200, 201, 202}:
            raise ConfigurationError(f"the example {key} was answered with {reply.status_code}: {reply.text}")
        notes.cases[key] = reply.json()["id"]
    case = notes.cases[key]
    status = (await door.get(f"/v1/cases/{case}")).raise_for_status().json()
    certificate = await _certificate(door, case)
    return Outcome(protocol.id, example.title, case, status["phase"], elapsed, certificate)


async def _post(door: httpx.AsyncClient, body: dict[str, Any]) -> tuple[httpx.Response, float]:
    """Post a case, again when a busy house says so, as any caller should; return the answer and its milliseconds."""
    headers = {"Idempotency-Key": secrets.token_hex(16), "Prefer": f"wait={WAIT_SECONDS}"}
    for _ in range(TURNED_AWAY_LIMIT):
        began = time.perf_counter()
        reply = await door.post("/v1/cases", json=body, headers=headers)
        elapsed = (time.perf_counter() - began) * 1000
        if reply.status_code not in {429, 503}:
            break
        await asyncio.sleep(float(reply.headers.get("Retry-After", "1")))
    return reply, elapsed


async def _certificate(door: httpx.AsyncClient, case: str) -> dict[str, Any] | None:
    """Return the case's certificate; one just made is sealed within the second."""
    for _ in range(20):
        reply = await door.get(f"/v1/cases/{case}/certificate")
        if reply.status_code == httpx.codes.OK:
            document: dict[str, Any] = reply.json()
            return document
        await asyncio.sleep(0.1)
    return None


def _body(protocol: Protocol, example: LabelledCase) -> dict[str, Any]:
    # A number that says nothing: the example's own name would tell a reviewer the answer.
    patient = f"made-up-{zlib.crc32(example.id.encode()) % 1_000_000:06d}"
    facts = example.raw_facts(SystemClock().now())
    context = record_of(protocol.question, facts)
    return {
        **({"context": context} if context else {}),
        "protocol": protocol.id,
        "site": SITE,
        "subject": {"system": "urn:example:demonstration", "value": patient},
        "risk_class": example.risk_class.value,
        "facts": {
            name: {
                "value": raw.value if isinstance(raw.value, str | bool) else _number(decimal_text(raw.value)),
                **({} if raw.unit is None else {"unit": raw.unit}),
                "observed_at": raw.observed_at.isoformat(),
                "status": raw.status,
                "source": raw.source,
            }
            for name, raw in facts.items()
        },
    }


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


async def _summary(
    out: Console,
    settings: Settings,
    house: House,
    notes: Notes,
    outcomes: list[Outcome],
    passwords: dict[str, str],
) -> None:
    for name in sorted({outcome.protocol for outcome in outcomes}):
        out.print()
        mine = [outcome for outcome in outcomes if outcome.protocol == name]
        out.print(_outcomes_table(name, mine), soft_wrap=False)
    with_models = [outcome for outcome in outcomes if outcome.protocol == PROTOCOL]
    if with_models:
        said = [await heard(house, outcome.case, outcome.title, _said(outcome)[0]) for outcome in with_models]
        out.print()
        out.print(heard_table(said), soft_wrap=False)
        out.print(told(said), markup=False)
    times = [
        outcome.milliseconds for outcome in outcomes if outcome.phase == "released" and outcome.milliseconds
    ]
    if times:
        out.print(
            f"median time from POST to released decision: {statistics.median(times):.0f} ms ({AT_ONCE} at a time)"
        )
    out.print(await _verified_receipt(settings, house, notes, outcomes), markup=False)
    address = f"http://{settings.host}:{settings.port}"
    lines = [f"clinicians' pages  {address}/", f"REST door          {address}/v1/cases"]
    lines += [f"model servers      {address}/fleet, for {OPERATOR[0]}"] if house.fleet else []
    lines += [f"log in as          {login}  password {password}" for login, password in passwords.items()]
    if not passwords:
        lines.append("log in             with the passwords that the first run printed")
    lines.append(f"API token          in {notes.path} (field token)")
    out.print(
        Panel("\n".join(lines), title="Arbiter is running; Ctrl-C stops it", expand=False), soft_wrap=False
    )
    out.print(
        "arbiter … in another shell sees this installation after\n"
        f"  export ARBITER_MODE=demonstration ARBITER_DATA={shlex.quote(str(settings.data.absolute()))}",
        markup=False,
        highlight=False,
    )
    if settings.fleet is not None and settings.protocols is not None:
        out.print(beside(settings.fleet, settings.protocols), markup=False, highlight=False)


def _outcomes_table(protocol: str, outcomes: list[Outcome]) -> Table:
    table = Table("outcome", "cases", "because", title=f"{protocol}: {len(outcomes)} example cases")
    told: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for outcome in outcomes:
        said, reasons = _said(outcome)
        totals[said] += 1
        told.update((said, reason) for reason in reasons)
    for said, count in totals.most_common():
        because = [f"{reason} ({n})" for (of, reason), n in told.most_common() if of == said]
        table.add_row(said, str(count), "\n".join(because))
    return table


def _said(outcome: Outcome) -> tuple[str, list[str]]:
    if outcome.certificate is None:
        return outcome.phase, []
    if "decision" in outcome.certificate:
        return f"decided: {outcome.certificate['decision']['title']}", []
    reasons = [reason["code"] for reason in outcome.certificate["verdict"]["reasons"]]
    return outcome.phase, sorted(set(reasons))


async def _verified_receipt(settings: Settings, house: House, notes: Notes, outcomes: list[Outcome]) -> str:
    """Fetch the receipt of a decided case and verify it with nothing but the log's public key."""
    decided = next((outcome for outcome in outcomes if outcome.phase == "released"), None)
    if decided is None:
        return "no case was decided, so there is no receipt to verify"
    async with _door(settings, notes) as door:
        receipt = (await door.get(f"/v1/cases/{decided.case}/receipt")).raise_for_status().content
    key = house.verifiers[0].encode()
    verified = verify_receipt(receipt, (VerifierKey.parse(key),))
    path = settings.data / "receipt.json"
    path.write_bytes(receipt)
    path.chmod(0o600)
    return (
        f"verified the receipt of {decided.case} offline, under a checkpoint of {verified.checkpoint.size} entries; "
        f"so can anyone:\n  .venv/bin/arbiter audit verify-receipt {path} --key '{key}'"
    )
