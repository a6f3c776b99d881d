"""The composition root: settings in, a running house out. Nothing else builds the parts.

`open_house` starts or finds the database, reads the keys, refuses a database that lies behind the kept checkpoint, and
puts the use cases' parts together. `run_house` adds the work that never ends: sealing, deadlines, telling people, the safety net.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from arbiter.clock import SystemChance, SystemClock
from arbiter.cosigning.circle import NOBODY, check_apart
from arbiter.cosigning.loader import read_circle
from arbiter.duty.loader import read_duty
from arbiter.errors import ConfigurationError
from arbiter.fleet.fleet import NO_FLEET
from arbiter.fleet.loader import read_fleet
from arbiter.fleet.token import read_token
from arbiter.panels.vllm.pool import close_servers, open_servers
from arbiter.ports import Chance, Clock
from arbiter.settings import Mode, Settings
from arbiter.store.calibrations import keep_calibration
from arbiter.store.cases.sharing import StepWriter
from arbiter.store.database import Database, keep_running, open_engine, open_pool, prepare_database
from arbiter.store.identities import Identities
from arbiter.store.keys import Keyring, passphrase_from, read_keys
from arbiter.store.modes import close_to_others
from arbiter.store.origins import former_verifiers
from arbiter.store.protocols import keep_bundle
from arbiter.store.sessions import Sessions
from arbiter.store.transaction import Store
from arbiter.store.vault import Vault
from arbiter.telemetry import trace_id
from arbiter.workflow.admission import Admission
from arbiter.workflow.backups.restoring import check_not_restoring
from arbiter.workflow.bell import Bell
from arbiter.workflow.calibrations.standings import hear_of_approved, look_for_approved
from arbiter.workflow.calling import check_calling, check_mailing, warn_of_calling
from arbiter.workflow.canaries import look_for_moved
from arbiter.workflow.canary.nights import hear_of_canaries, tend_canaries
from arbiter.workflow.deadlines import sweep
from arbiter.workflow.deliberation import take_up
from arbiter.workflow.dispatching import Dispatcher
from arbiter.workflow.drift.taking import watch_drift
from arbiter.workflow.erasure.clearing import settle_erasures, tend_erasures
from arbiter.workflow.erasure.erasure_list import ErasureList
from arbiter.workflow.errands import Errands
from arbiter.workflow.exports.jobs import make_exports
from arbiter.workflow.fleet_notes import note_breakers, note_the_rest
from arbiter.workflow.fleet_proving import Prover
from arbiter.workflow.fleet_watch import tell_fleet
from arbiter.workflow.gauges import gauged
from arbiter.workflow.house import House
from arbiter.workflow.log.circle_in_force import check_circle, note_circle
from arbiter.workflow.log.countersigning import Countersigner
from arbiter.workflow.log.evidence import watch_log
from arbiter.workflow.log.evidence_folder import EvidenceFolder
from arbiter.workflow.log.guard import LogGuard, empty_log
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.log.keys import log_keys_of, settle_log_keys
from arbiter.workflow.log.sealing import Sealer
from arbiter.workflow.log.witnessing import Rounds
from arbiter.workflow.postbox import Postbox
from arbiter.workflow.protocol_checking import bundles
from arbiter.workflow.queue import SafetyNet
from arbiter.workflow.register import note_lock
from arbiter.workflow.releasing import release_sealed
from arbiter.workflow.shelf import put_in_force
from arbiter.workflow.standing_work import end_all, keep_up
from arbiter.workflow.watching.alarms import hear_of_stops, look_for_stops

FINISH_SECONDS = 10.0
"""How long a stopping process lets the cases in its hands go on; the rest is the safety net's."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Time and chance; tests bring their own."""

    clock: Clock
    chance: Chance
    trace_id: Callable[[], str] = trace_id


REAL = Ports(SystemClock(), SystemChance())


@asynccontextmanager
async def open_house(
    settings: Settings, ports: Ports = REAL, *, check_log: bool = True, restoring: bool = False
) -> AsyncIterator[House]:
    """Yield a house whose use cases work; nothing is sealed or swept unless `run_house` surrounds the work too.

    `check_log` is false for what is needed to put a refused log right, and for nothing else. `restoring` is said by whoever
    ends a restore; nobody else gets in before that.

    Raises:
        ConfigurationError: when keys, database or log are not fit to work with.
    """
    if not restoring:
        check_not_restoring(settings.data)
    if settings.data.is_dir():
        await asyncio.to_thread(close_to_others, settings.data)
    keyring = await asyncio.to_thread(
        read_keys, settings.data, passphrase_from(settings.keys_passphrase_file)
    )
    if settings.origin is not None and settings.origin != keyring.origin:
        raise ConfigurationError(
            f"ARBITER_ORIGIN is {settings.origin}, the log's key is that of {keyring.origin}"
        )
    database = await prepare_database(settings)
    watching = asyncio.create_task(_watch(database))
    try:
        async with open_house_on(settings, database, keyring, ports, check_log=check_log) as house:
            yield house
    finally:
        await _stop([watching])
        await asyncio.to_thread(database.close)


@asynccontextmanager
async def open_house_on(
    settings: Settings, database: Database, keyring: Keyring, ports: Ports, *, check_log: bool = True
) -> AsyncIterator[House]:
    """Yield a house on a database that is ready, with keys that are read."""
    engine = open_engine(database.app_url, settings.database_pool_size)
    pool = open_pool(database.conninfo, settings.database_pool_size)
    safety_net = SafetyNet(database.conninfo)
    servers = open_servers(
        NO_FLEET if settings.fleet is None else read_fleet(settings.fleet),
        read_token(settings.model_server_token_file),
        ports.clock,
        proofs_needed=settings.mode is Mode.PRODUCTION,
    )
    try:
        await pool.open(wait=True)
        store = Store.in_turn(engine, pool)
        keyring = await settle_log_keys(store, keyring, behind=not check_log)
        log_keys = log_keys_of(keyring, former_verifiers(settings.data))
        kept = KeptCheckpoint(settings.data)
        guard = LogGuard(
            store, kept, EvidenceFolder(settings.data), keyring.origin, log_keys.verifiers, ports.clock.now
        )
        vault = Vault(keyring, ports.chance)
        house = House(
            settings=settings,
            store=store,
            steps=StepWriter(store),
            clock=ports.clock,
            chance=ports.chance,
            vault=vault,
            identities=Identities(engine),
            sessions=Sessions(engine),
            shelf=put_in_force(bundles(settings.protocols), servers),
            guard=guard,
            sealer=Sealer(store, log_keys.signers, ports.clock, kept, guard),
            bell=Bell(),
            errands=Errands(),
            admission=Admission(settings.capacity),
            safety_net=safety_net,
            keyring=keyring,
            log_keys=log_keys,
            countersigner=Countersigner(log_keys.seconds, log_keys.verifiers, guard),
            duty=None if settings.duty is None else read_duty(settings.duty),
            postbox=Postbox(),
            trace_id=ports.trace_id,
            database=database,
            erasures=ErasureList(settings.data, vault.mac, ports.chance),
            fleet=servers,
            circle=NOBODY if settings.witnesses is None else read_circle(settings.witnesses),
        )
        check_calling(house)
        check_apart(house.circle, house.verifiers)
        if check_log:
            await guard.open(empty_log(log_keys.signers))
            await check_circle(house.circle, store)
        await _keep_protocols(house)
        if check_log:
            await settle_erasures(house)
        house.sealer.then(lambda: _after_seal(house))
        house.identities.when_locked(lambda *locked: note_lock(house, *locked))
        yield house
    finally:
        await close_servers(servers)
        await pool.close()
        await engine.dispose()


@asynccontextmanager
async def run_house(house: House) -> AsyncIterator[None]:
    """Seal, sweep and take up left-over cases for as long as the block runs; then finish what is in hand.

    Raises:
        ConfigurationError: before anything is done, when an escalation could not call whom it is to call.
    """
    check_mailing(house)
    warn_of_calling(house)
    await note_circle(house)
    await look_for_moved(house)
    await look_for_approved(house)
    await look_for_stops(house)
    prover = Prover(house)
    if house.fleet and house.fleet.proofs.needed:
        await prover.first_round()
    sealing = asyncio.create_task(keep_up("sealing", house.sealer.run))
    others = [
        asyncio.create_task(keep_up("watching deadlines", lambda: sweep(house))),
        asyncio.create_task(keep_up("telling people", lambda: Dispatcher(house).run())),
        asyncio.create_task(keep_up("erasing", lambda: tend_erasures(house))),
        asyncio.create_task(keep_up("watching the load", house.admission.watch)),
        asyncio.create_task(keep_up("watching the log", lambda: watch_log(house))),
        asyncio.create_task(keep_up("making exports", lambda: make_exports(house))),
        asyncio.create_task(keep_up("the canary", lambda: tend_canaries(house))),
        asyncio.create_task(keep_up("hearing of canaries", lambda: hear_of_canaries(house))),
        asyncio.create_task(keep_up("hearing of calibrations", lambda: hear_of_approved(house))),
        asyncio.create_task(keep_up("hearing of alarms", lambda: hear_of_stops(house))),
        asyncio.create_task(keep_up("watching for drift", lambda: watch_drift(house))),
    ]
    if house.fleet:
        others.append(asyncio.create_task(keep_up("probing the fleet", house.fleet.keep_probing)))
        others.append(asyncio.create_task(keep_up("noting the fleet", lambda: note_breakers(house))))
        if house.fleet.proofs.needed:
            others.append(asyncio.create_task(keep_up("proving the fleet", prover.run)))
        telling = keep_up("telling of the fleet", lambda: tell_fleet(house))
        others.append(asyncio.create_task(telling))
    if house.circle.witnesses:
        others.append(asyncio.create_task(keep_up("asking witnesses", lambda: Rounds(house).run())))
    if house.settings.workers:
        net = house.safety_net
        work = keep_up("the safety net", lambda: net.work(lambda case, last: take_up(house, case, last)))
        others.append(asyncio.create_task(work))
    try:
        with gauged(house):
            yield
    finally:
        await _stop(others)
        await house.errands.finish(FINISH_SECONDS)
        if not sealing.done() and house.guard.refusal is None:
            await note_the_rest(house)
            last_round = house.sealer.request()
            await asyncio.wait(
                {last_round, sealing}, timeout=FINISH_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        await _stop([sealing])


async def _after_seal(house: House) -> None:
    house.cosigned.wanted.set()
    await release_sealed(house)


async def _watch(database: Database) -> None:
    if database.embedded is not None:
        await keep_up("watching the embedded database", lambda: keep_running(database))


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    await end_all(tasks)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_protocols(house: House) -> None:
    async with house.store.begin() as transaction:
        for shelved in house.shelf.current.values():
            protocol = shelved.protocol
            await keep_bundle(
                transaction,
                protocol.content_hash,
                protocol.id,
                protocol.version,
                shelved.bundle.files,
                house.clock.now(),
            )
            if shelved.bundle.calibration is not None:
                await keep_calibration(transaction, shelved.bundle.calibration, house.clock.now())
