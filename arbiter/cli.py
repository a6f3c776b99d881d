"""The command line: `arbiter demo | serve | worker | keys | migrate | protocol | clients | accounts | sites | audit | webhooks | replay`.

A command imports what it needs when it runs: whoever checks a receipt offline does not wait for a database to load.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from arbiter import __version__
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey
from arbiter.audit.receipt import verify_receipt
from arbiter.audit.verify import LogRefusedError
from arbiter.clock import SystemChance, SystemClock
from arbiter.errors import ArbiterError, RefusedError
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.settings import Settings, read_settings
from arbiter.store.keys import init_keys, read_keys
from arbiter.webhook_commands import webhooks

if TYPE_CHECKING:
    from arbiter.workflow.house import House

_T = TypeVar("_T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Arbiter puts a panel of clinical models between a hospital's systems and an important decision.",
)
keys = typer.Typer(
    no_args_is_help=True, help="The log's signing key and the keys that keep case content secret."
)
protocol = typer.Typer(no_args_is_help=True, help="Protocol bundles: the question, the panel, the policy.")
clients = typer.Typer(no_args_is_help=True, help="Hospital systems that may call the REST door.")
accounts = typer.Typer(no_args_is_help=True, help="People who may log in.")
sites = typer.Typer(no_args_is_help=True, help="The sites that cases belong to.")
audit = typer.Typer(no_args_is_help=True, help="Check the log, with or without the database.")
for name, group in (
    ("keys", keys), ("protocol", protocol), ("clients", clients), ("accounts", accounts), ("sites", sites),
    ("audit", audit), ("webhooks", webhooks),
):  # fmt: skip
    app.add_typer(group, name=name)

# What is printed is copied and piped: no line is broken in two.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

ClientRoles = Annotated[
    list[Role],
    typer.Option(
        "--role",
        help="integration-client, paging-client, auditor or administrator; may be given more than once.",
    ),
]
AccountRoles = Annotated[
    list[Role],
    typer.Option(
        "--role", help="Any role but integration-client and paging-client; may be given more than once."
    ),
]
Sites = Annotated[list[str], typer.Option("--site", help="A site's id; may be given more than once.")]


def main() -> None:
    """Run a command; every error of ours is one line of advice and exit status 1."""
    try:
        app()
    except LogRefusedError as error:
        err.print(f"arbiter: the log does not check out, {len(error.findings)} findings", style="bold red")
        for finding in error.findings:
            err.print(f"  {finding.detail}", markup=False)
        sys.exit(1)
    except RefusedError as error:
        err.print(f"[bold red]refused:[/] {error}")
        for problem in error.problems:
            err.print(f"  {problem.pointer}: {problem.detail}", markup=False)
        sys.exit(1)
    except ArbiterError as error:
        err.print(f"arbiter: {error}", style="bold red", markup=False)
        sys.exit(1)
    except OSError as error:
        err.print(f"arbiter: {error.filename or ''}: {error.strerror}", style="bold red", markup=False)
        sys.exit(1)


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    return uvloop.run(work)


def _in_house(work: Callable[[House], Coroutine[Any, Any, _T]]) -> _T:
    """Run a use case against the house of this environment without starting its doors or workers."""
    from arbiter.wiring import open_house

    async def inside() -> _T:
        async with open_house(read_settings()) as house:
            return await work(house)

    return _run(inside())


@app.command()
def version() -> None:
    """Print the version."""
    out.print(__version__)


@app.command()
def demo() -> None:
    """Start everything on the embedded database and put the example cases through the REST door.

    A second run goes on with the same data. ARBITER_DATA and ARBITER_PORT move it.
    """
    from arbiter import demo as demonstration
    from arbiter.telemetry import start_tracing

    start_tracing()
    _run(demonstration.run(out))


@app.command()
def serve() -> None:
    """Serve the REST door and the clinicians' pages until interrupted."""
    from arbiter.telemetry import log_to_stderr, start_tracing

    log_to_stderr()
    start_tracing()
    _run(_serve(read_settings()))


async def _serve(settings: Settings) -> None:
    from arbiter import serving
    from arbiter.wiring import open_house, run_house

    async with open_house(settings) as house, run_house(house), serving.open_doors(house, settings) as stop:
        err.print(f"Arbiter {__version__} serves http://{settings.host}:{settings.port}; Ctrl-C stops it")
        await stop.wait()
        err.print("stopping: finishing what is in hand")


@app.command()
def worker() -> None:
    """Seal, watch deadlines and take up left-over cases, without any door."""
    from arbiter.telemetry import log_to_stderr, start_tracing

    log_to_stderr()
    start_tracing()
    _run(_work(read_settings()))


async def _work(settings: Settings) -> None:
    from arbiter import serving
    from arbiter.wiring import open_house, run_house

    stop = serving.stop_on_signals()
    async with open_house(settings) as house, run_house(house):
        err.print(f"Arbiter {__version__} works; Ctrl-C stops it")
        await stop.wait()


@app.command()
def migrate() -> None:
    """Bring the schema of the server named by ARBITER_DATABASE_OWNER_URL to this release's version."""
    from arbiter.store import migrate as migrations

    settings = read_settings()
    if settings.database_owner_url is None:
        raise typer.BadParameter("set ARBITER_DATABASE_OWNER_URL; the embedded database migrates by itself")
    migrations.upgrade(settings.database_owner_url)
    out.print(f"the schema is at {migrations.head()}")


@app.command()
def replay(case: str) -> None:
    """Decide a case again from its recorded inputs and compare the certificate's bytes."""
    from arbiter.workflow.auditing import replay_case

    replayed = _in_house(lambda house: replay_case(house, CaseId(case)))
    for step in replayed:
        out.print(f"entry {step.seq}: {step.said}")
    if not all(step.same for step in replayed):
        raise typer.Exit(1)


@keys.command("init")
def keys_init(
    origin: Annotated[str, typer.Argument(help="The log's name, e.g. log.hospital.example/arbiter")],
) -> None:
    """Make the keys (files of mode 0600 under ARBITER_DATA/keys); existing ones are never overwritten."""
    settings = read_settings()
    keyring = init_keys(settings.data, origin, SystemChance())
    out.print(
        f"made {settings.data / 'keys'} for the log {keyring.origin}; copy the folder to a safe place now"
    )


@keys.command("show")
def keys_show() -> None:
    """Print the log's public verifier key; needs nothing but the keys."""
    keyring = read_keys(read_settings().data)
    out.print(Ed25519NoteSigner(keyring.origin, keyring.log_seed).verifier_key, markup=False)


@protocol.command("check")
def protocol_check(folder: Path) -> None:
    """Check a protocol bundle: structure, references, conditions, and the rules' own tests."""
    from arbiter.workflow.protocol_checking import check_bundle

    checked = check_bundle(folder)
    out.print(
        f"{checked.protocol.id} {checked.protocol.version}: {len(checked.protocol.question.facts)} facts, "
        f"{len(checked.protocol.seats)} seats, {len(checked.protocol.rules)} rules, {len(checked.examples)} examples"
    )
    out.print(f"content hash {checked.protocol.content_hash}")


@protocol.command("list")
def protocol_list() -> None:
    """List the shipped protocols."""
    from arbiter.protocols.loader import shipped

    for shipped_name in shipped():
        out.print(shipped_name)


@clients.command("register")
def clients_register(name: str, role: ClientRoles, site: Sites) -> None:
    """Register a system and print its token, which is shown this once."""
    from arbiter.identity.clients import register_client

    async def register(house: House) -> tuple[str, str]:
        principal, token = await register_client(
            house.identities, SystemClock(), SystemChance(), name, role, site
        )
        return principal.id, token

    client, token = _in_house(register)
    out.print(f"registered {client}; its token, shown this once:")
    out.print(token, markup=False)


@clients.command("list")
def clients_list() -> None:
    """List registered systems."""
    from arbiter.identity.clients import list_clients

    rows = _in_house(lambda house: list_clients(house.identities))
    _list(
        ("id", "name", "roles", "sites", "disabled"),
        (
            (row.id, row.name, ",".join(row.roles), ",".join(row.sites), str(row.disabled_at or ""))
            for row in rows
        ),
    )


@clients.command("disable")
def clients_disable(client: str) -> None:
    """Refuse a system's token from now on."""
    from arbiter.identity.clients import disable_client

    _in_house(lambda house: disable_client(house.identities, SystemClock(), client))


@accounts.command("create")
def accounts_create(login: str, display_name: str, role: AccountRoles, site: Sites) -> None:
    """Create a person's account; the password is asked for."""
    from arbiter.identity.accounts import create_account

    password = typer.prompt("password (12 characters or more)", hide_input=True, confirmation_prompt=True)

    async def create(house: House) -> str:
        principal = await create_account(
            house.identities, SystemClock(), SystemChance(), login, display_name, password, role, site
        )
        return principal.id

    out.print(f"created {_in_house(create)}")


@accounts.command("list")
def accounts_list() -> None:
    """List people's accounts."""
    from arbiter.identity.accounts import list_accounts

    rows = _in_house(lambda house: list_accounts(house.identities))
    _list(
        ("id", "login", "name", "roles", "sites", "disabled"),
        (
            (
                row.id,
                row.login,
                row.display_name,
                ",".join(row.roles),
                ",".join(row.sites),
                str(row.disabled_at or ""),
            )
            for row in rows
        ),
    )


@accounts.command("disable")
def accounts_disable(account: str) -> None:
    """End a person's access, open sessions included; ACCOUNT is the id that `accounts list` shows."""
    from arbiter.identity.accounts import disable_account

    _in_house(lambda house: disable_account(house.identities, SystemClock(), account))


@sites.command("list")
def sites_list() -> None:
    """List the sites."""
    _list(("id", "name"), _in_house(lambda house: house.identities.sites()))


@sites.command("add")
def sites_add(site: str, name: str) -> None:
    """Add a site."""
    from arbiter.identity.sites import add_site

    _in_house(lambda house: add_site(house.identities, site, name))


@audit.command("verify")
def audit_verify() -> None:
    """Verify the whole log in the database: every entry, chain and checkpoint, and its tail against the kept checkpoint."""
    from arbiter.workflow.auditing import verify_log
    from arbiter.workflow.kept import NAME as KEPT_NAME

    async def verify(house: House) -> str:
        path = house.settings.data / KEPT_NAME
        kept = await asyncio.to_thread(path.read_bytes) if path.exists() else None
        with _progress() as progress:
            task = progress.add_task("entries", total=None)

            def advance(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            report = await verify_log(house, kept, advance)
        size = 0 if report.newest is None else report.newest.size
        against = (
            "no kept checkpoint to compare with"
            if kept is None
            else "none missing against the kept checkpoint"
        )
        return (
            f"verified {report.entries} entries of {report.cases} cases under {report.checkpoints} checkpoints; "
            f"newest covers {size}; {against}"
        )

    out.print(_in_house(verify))


@audit.command("verify-receipt")
def audit_verify_receipt(
    file: Path,
    key: Annotated[str, typer.Option("--key", help="The log's verifier key, from somewhere you trust.")],
) -> None:
    """Verify a receipt offline: no database, no network, nothing of Arbiter's but the verifier key."""
    verified = verify_receipt(file.read_bytes(), (VerifierKey.parse(key),))
    entry = verified.entry
    out.print(
        f"{entry.type} of case {entry.case} at {entry.at.isoformat()}: entry {entry.seq}, under a checkpoint of "
        f"{verified.checkpoint.size} entries signed by {verified.checkpoint.origin}"
    )
    for opened, content in verified.contents:
        out.print(f"{opened}: {len(content)} bytes, as committed to")


def _list(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to a person, and whole values with tabs between to a program."""
    if not out.is_terminal:
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table()
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name == "id")
    for row in rows:
        table.add_row(*row)
    out.print(table, soft_wrap=False)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
    )
