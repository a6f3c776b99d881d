"""Traces and logs. Neither ever carries a patient's data: spans are named by route, log lines by case id."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from arbiter import __version__

NAME = "arbiter"

tracer = trace.get_tracer(NAME, __version__)


def start_tracing() -> None:
    """Make spans real, so that entries carry trace ids; nothing is exported unless an exporter is added."""
    resource = Resource.create({"service.name": NAME, "service.version": __version__})
    trace.set_tracer_provider(TracerProvider(resource=resource))


def trace_id() -> str:
    """Return the present W3C trace id as 32 hex digits, or the empty string outside a trace."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, trace, and an exception's class and place."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. An exception's own text stays out: it may quote what it choked on."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        current = trace_id()
        if current:
            line["trace"] = current
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__qualname__
            traceback = record.exc_info[2]
            while traceback is not None and traceback.tb_next is not None:
                traceback = traceback.tb_next
            if traceback is not None:
                line["raised_at"] = (
                    f"{traceback.tb_frame.f_globals.get('__name__', '?')}:{traceback.tb_lineno}"
                )
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send this process's log to standard error as JSON lines."""
    _send_to(logging.StreamHandler(sys.stderr), level)


def log_to_file(path: Path, level: int = logging.INFO) -> None:
    """Send this process's log to a file as JSON lines, for when the terminal shows something else."""
    _send_to(logging.FileHandler(path, encoding="utf-8"), level)


def _send_to(handler: logging.Handler, level: int) -> None:
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Their lines tell of every request and job, and carry addresses.
    for noisy in ("httpx", "procrastinate", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
