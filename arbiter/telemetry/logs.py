"""Log lines that cannot quote a patient: JSON on standard error or in a file, and over OTLP where that is configured.

A message leaves only if its template stands as a constant in the code that logged it; what was put together beforehand
(an f-string of a library, a report on a failed task) is withheld. Of its arguments leave numbers, classes, words of our
own enums, case ids, ids of requests and incidents, and what our code vouches for with `Safe`. All else becomes `?`.
An exception is told by its class and the place that raised it, never by its text.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Final

from opentelemetry._logs import Logger, LoggerProvider, LogRecord, SeverityNumber

from arbiter.telemetry.catalogue import CASE_ID, EXCEPTION_PLACE, EXCEPTION_TYPE, METHODS
from arbiter.telemetry.spans import trace_id

WITHHELD: Final = "[withheld: not a constant of the code]"

_OWN: Final = ("arbiter", "clinician_ui")
_SHAPES: Final = re.compile(rf"{CASE_ID.pattern}|[0-9a-f]{{16}}")
_HUMPS: Final = re.compile(r"[A-Z][A-Za-z]{2,60}")


class Safe(str):
    """Text that our code vouches for in a log line: made of our own words and ids, of nothing that a caller sent."""

    __slots__ = ()


def message_of(record: logging.LogRecord) -> str:
    """Return what may be told of a record's message. To be called where the record is emitted, not later."""
    template = record.msg
    if not isinstance(template, str) or not _stands_in_code(template, record):
        return WITHHELD
    if not record.args:
        return template
    try:
        if isinstance(record.args, Mapping) and "%(" not in template:
            # One argument that is a mapping: its names are as little ours as its values.
            return template % _told(record.args)
        if isinstance(record.args, Mapping):
            return template % {name: _told(value) for name, value in record.args.items()}
        return template % tuple(_told(value) for value in record.args)
    except (TypeError, ValueError, KeyError):
        # A number was expected and withheld, or the call is wrong: the template alone is always fit to be told.
        return template


def _stands_in_code(template: str, record: logging.LogRecord) -> bool:
    """Return whether the code that logged holds the template as a constant. Found by walking up from here."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, and what `logging` itself does
    while frame is not None:
        if frame.f_code.co_filename == record.pathname and frame.f_code.co_name == record.funcName:
            return template in frame.f_code.co_consts
        frame = frame.f_back
    return False


def _told(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | Safe):
        return value
    if isinstance(value, BaseException | type):
        return (value if isinstance(value, type) else type(value)).__name__
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    fits = isinstance(value, str) and (value in METHODS or _SHAPES.fullmatch(value) or _is_exception(value))
    return value if fits else "?"


def _is_exception(name: str) -> bool:
    """Return whether an exception class has this name."""
    if not _HUMPS.fullmatch(name):
        return False
    found: set[type] = set()
    waiting: list[type] = [BaseException]
    while waiting:
        one = waiting.pop()
        if one.__name__ == name:
            return True
        below: list[type] = type.__subclasses__(one)
        fresh = [each for each in below if each not in found]
        found.update(fresh)
        waiting.extend(fresh)
    return False


def _exception_of(record: logging.LogRecord) -> tuple[str, str] | None:
    """Return the class of a record's exception and the module and line that raised it."""
    if not record.exc_info or record.exc_info[0] is None:
        return None
    traceback = record.exc_info[2]
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    place = "?"
    if traceback is not None:
        place = f"{traceback.tb_frame.f_globals.get('__name__', '?')}:{traceback.tb_lineno}"
    return record.exc_info[0].__qualname__, place


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, trace, and an exception's class and place."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. An exception's own text stays out: it may quote what it choked on."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message_of(record),
        }
        current = trace_id()
        if current:
            line["trace"] = current
        raised = _exception_of(record)
        if raised is not None:
            line["exception"], line["raised_at"] = raised
        return json.dumps(line, ensure_ascii=False)


class OverOtlp(logging.Handler):
    """Hands log lines to OpenTelemetry, told as in the JSON lines: our own, and warnings of libraries.

    The exporter's own library is left out, because a failing export would feed itself.
    """

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider
        self._loggers: dict[str, Logger] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether this record is exported."""
        if record.name.split(".")[0] in _OWN:
            return True
        return record.levelno >= logging.WARNING and not record.name.startswith("opentelemetry")

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record on."""
        attributes = {}
        raised = _exception_of(record)
        if raised is not None:
            attributes = {EXCEPTION_TYPE.name: raised[0], EXCEPTION_PLACE.name: raised[1]}
        logger = self._loggers.get(record.name)
        if logger is None:
            logger = self._loggers[record.name] = self._provider.get_logger(record.name)
        logger.emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                severity_text=record.levelname,
                severity_number=_severity(record.levelno),
                body=message_of(record),
                attributes=attributes,
            )
        )


def _severity(level: int) -> SeverityNumber:
    for least, severity in (
        (logging.CRITICAL, SeverityNumber.FATAL),
        (logging.ERROR, SeverityNumber.ERROR),
        (logging.WARNING, SeverityNumber.WARN),
        (logging.INFO, SeverityNumber.INFO),
    ):
        if level >= least:
            return severity
    return SeverityNumber.DEBUG


def export_lines_to(handler: OverOtlp | None) -> None:
    """Hand this process's log lines to that handler too, or to none any more."""
    root = logging.getLogger()
    others = [kept for kept in root.handlers if not isinstance(kept, OverOtlp)]
    root.handlers[:] = others if handler is None else [*others, handler]


def log_to_stderr(level: str = "info") -> None:
    """Send this process's log to standard error as JSON lines."""
    _send_to(logging.StreamHandler(sys.stderr), level)


def log_to_file(path: Path, level: str = "info") -> None:
    """Send this process's log to a file as JSON lines, for when the terminal shows something else; its owner alone reads it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        # One that was there before may have been made for everybody.
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    _send_to(logging.FileHandler(path, encoding="utf-8"), level)


def _send_to(handler: logging.Handler, level: str) -> None:
    handler.setFormatter(JsonLines())
    # Of a line that cannot be written, `logging` would print the arguments.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers[:] = [handler, *(kept for kept in root.handlers if isinstance(kept, OverOtlp))]
    root.setLevel(level.upper())
    # Their lines tell of every request, job and connection, and carry addresses.
    for noisy in (
        "httpx",
        "httpcore",
        "procrastinate",
        "uvicorn.access",
        "urllib3",
        "arbiter.store.database._Pool",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
