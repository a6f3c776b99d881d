"""What `arbiter doctor` can say without the database: keys, file modes, disk, clock, protocols, and what the settings name elsewhere."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pydantic_settings import BaseSettings

from arbiter.cli.doctor.findings import Finding, attempted, first_of
from arbiter.cli.doctor.key_checks import open_keys, state_of_keys
from arbiter.protocols.loader import read_shipped, shipped
from arbiter.settings import PREFIX, Settings
from arbiter.store.embedded import socket_folder_of
from arbiter.store.modes import too_open
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.protocol_checking import check_read_bundle

LEAST_FREE_BYTES = 256 * 1024**2
LITTLE_FREE_BYTES = 2 * 1024**3
SLOW_FSYNC_MS = 20.0
_FSYNCS = 25
_TOLD_MODES = 5
_BLOCK = b"\0" * 4096
_TIME_ERROR = 5
"""adjtimex(2): the kernel does not consider its clock synchronised."""

_REACH_SECONDS = 3.0
_NOT_ELSEWHERE = frozenset({"database_url", "database_owner_url"})
_PORTS = {"http": 80, "https": 443, "smtp": 25, "smtps": 465}


def protocols() -> Iterator[Finding]:
    """Load every shipped protocol and run its rules' own tests."""
    for name in shipped():
        advice = "the package is damaged or changed: install it again"
        yield from attempted(f"protocol {name}", advice, lambda name=name: _protocol(name))  # type: ignore[misc]


def _protocol(name: str) -> Iterator[Finding]:
    bundle = check_read_bundle(read_shipped(name))
    tests = sum(len(rule.tests) for rule in bundle.protocol.rules)
    yield Finding(f"protocol {name}", "ok", f"{bundle.protocol.version}, {tests} rule tests pass")


def keys(settings: Settings) -> Iterator[Finding]:
    """Open the keys as a start would, and the kept checkpoint with them."""
    advice = "a new installation: `arbiter keys init ORIGIN`; else restore the folder, owned by the service's user, mode 0700"
    yield from attempted("keys", advice, lambda: _keys(settings))


def _keys(settings: Settings) -> Iterator[Finding]:
    keyring = open_keys(settings)
    if settings.origin is not None and settings.origin != keyring.origin:
        found = f"ARBITER_ORIGIN is {settings.origin}, the log's key is that of {keyring.origin}"
        yield Finding(
            "keys", "fail", found, "set ARBITER_DATA to the right installation, or correct ARBITER_ORIGIN"
        )
    else:
        yield Finding("keys", "ok", f"readable by their owner alone; the log is {keyring.origin}")
    yield from state_of_keys(keyring)
    kept = KeptCheckpoint(settings.data)
    checkpoint = kept.read(keyring.verifiers)
    if checkpoint is None:
        advice = "right before the first start; later, restore the file: without it a rolled-back database goes unnoticed"
        yield Finding("kept checkpoint", "warn", f"{kept.path} is not there", advice)
    else:
        yield Finding("kept checkpoint", "ok", f"signed by this log, of {checkpoint.size} entries")


def modes(settings: Settings) -> Iterator[Finding]:
    """Look for files and folders of the installation that others on the machine have rights to."""
    advice = "make the data folder, for the service's user alone, or set ARBITER_DATA"
    yield from attempted("file modes", advice, lambda: _modes(settings.data))


def _modes(folder: Path) -> Iterator[Finding]:
    found = too_open(folder, socket_folder_of(folder))
    if not found:
        yield Finding("file modes", "ok", f"{folder} and what is in it are their owner's alone")
        return
    told = first_of([str(each) for each in found], _TOLD_MODES)
    first = found[0]
    advice = f"`chmod {first.expected:04o} {first.path}`, and so on"
    if any(each.reached for each in found):
        yield Finding(
            "file modes",
            "fail",
            told,
            f"{advice}; what others could read, they may have read",
        )
    else:
        # The data folder lets nobody through: nobody got there, and nobody would while it stays so.
        yield Finding("file modes", "warn", told, advice)


def disk(settings: Settings) -> Iterator[Finding]:
    """Measure the room under the data folder and how long it takes to force a block to its disk."""
    advice = "make the data folder, writable for the service's user alone, or set ARBITER_DATA"
    yield from attempted("disk", advice, lambda: _disk(settings.data))


def _disk(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    found = f"{free / 1024**3:.1f} GiB free under {folder}"
    if free < LEAST_FREE_BYTES:
        yield Finding("disk space", "fail", found, "make room: a full disk stops the database")
    elif free < LITTLE_FREE_BYTES:
        yield Finding("disk space", "warn", found, "make room before the database needs it")
    else:
        yield Finding("disk space", "ok", found)
    middle, worst = _fsync_ms(folder)
    found = f"median {middle:.2f} ms, slowest of {_FSYNCS} {worst:.1f} ms"
    if middle > SLOW_FSYNC_MS:
        yield Finding(
            "fsync", "warn", found, "each case waits for several: use a disk with a protected write cache"
        )
    else:
        yield Finding("fsync", "ok", found)


def _fsync_ms(folder: Path) -> tuple[float, float]:
    times = []
    with tempfile.TemporaryFile(dir=folder, prefix=".doctor-") as file:
        for _ in range(_FSYNCS):
            file.write(_BLOCK)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return sorted(times)[_FSYNCS // 2], max(times)


def clock() -> Iterator[Finding]:
    """Ask the kernel whether something keeps its clock right: deadlines and the log take its word."""
    try:
        # A struct timex with no mode set only asks; it is smaller than this on every platform.
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (AttributeError, OSError):
        state = -1
    advice = "run chrony or another NTP client: deadlines and the log's times rest on this clock"
    if state < 0:
        yield Finding("clock", "warn", "the kernel does not say whether its clock is synchronised", advice)
    elif state == _TIME_ERROR:
        yield Finding("clock", "warn", "the kernel says that its clock is not synchronised", advice)
    else:
        yield Finding("clock", "ok", "synchronised, says the kernel")


async def endpoints(settings: BaseSettings) -> AsyncIterator[Finding]:
    """Try to reach whatever else the settings name by a URL: model servers, mail, telemetry."""
    for name in type(settings).model_fields:
        if name in _NOT_ELSEWHERE:
            continue
        for address in _addresses(getattr(settings, name)):
            yield await _reached(f"{PREFIX}{name.upper()}", address)


def _addresses(value: object) -> Iterator[str]:
    match value:
        case str() if "://" in value:
            yield value
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _addresses(item)
        case dict():
            for item in value.values():
                yield from _addresses(item)


async def _reached(variable: str, address: str) -> Finding:
    parts = urlsplit(address)
    port = parts.port or _PORTS.get(parts.scheme)
    # Never the whole address: it may hold a password.
    where = f"{parts.hostname}:{port}"
    advice = f"start it, open the way to it, or correct {variable}"
    if parts.hostname is None or port is None:
        return Finding(variable, "fail", "no host and port in it", advice)
    try:
        async with asyncio.timeout(_REACH_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
        writer.close()
    except (OSError, TimeoutError):
        return Finding(variable, "fail", f"{where} takes no connection", advice)
    return Finding(variable, "ok", f"{where} takes connections")
