"""What a log line can tell: constants and ids. Everything else is withheld, at every level and from every library."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.errors import NotFoundError
from arbiter.lifecycle.states import Phase
from arbiter.telemetry.logs import WITHHELD, JsonLines, Safe, log_to_file

SECRET = "Mrs Jones 7714403"
CASE_ID = "c_" + "abcdefgh234567" + "abcdefghij"

log = logging.getLogger("tests.told")


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What JSON lines say of all that is logged."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    # Past the test runner's own handlers, which format what these lines withhold.
    told = [log, logging.getLogger("asyncio")]
    for logger in told:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    for logger in told:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


def test_ids_numbers_and_words_of_ours_are_told(lines: Callable[[], list[dict[str, Any]]]) -> None:
    log.info("case %s is %s after %.1f ms", CASE_ID, Phase.ESCALATED, 12.34)
    log.info("%(method)s failed with %(error)s", {"method": "GET", "error": NotFoundError(SECRET)})
    log.info("%s at %s by %s: %s", ValueError, Path("/srv"), "TimeoutError", Safe("watching deadlines"))
    log.info("request %s took %d tries: %s", "0123456789abcdef", 3, True)
    assert [line["message"] for line in lines()] == [
        f"case {CASE_ID} is escalated after 12.3 ms",
        "GET failed with NotFoundError",
        "ValueError at /srv by TimeoutError: watching deadlines",
        "request 0123456789abcdef took 3 tries: True",
    ]


@pytest.mark.parametrize(
    "value",
    [SECRET, "Jones", "9434765919", Decimal("612.37"), {"name": SECRET}, [SECRET], (SECRET,), SECRET.encode(),
     f"/v1/cases/{SECRET}", CASE_ID + "x", CASE_ID.upper(), "c_jones", object(), "0123456789abcdeF"],
)  # fmt: skip
def test_anything_else_is_not(lines: Callable[[], list[dict[str, Any]]], value: object) -> None:
    log.warning("of %s", value)
    log.warning("of %(it)s and no more", {"it": value})
    assert [line["message"] for line in lines()] == ["of ?", "of ? and no more"]


def test_where_a_number_was_wanted_and_withheld_the_template_is_told() -> None:
    name = "test_where_a_number_was_wanted_and_withheld_the_template_is_told"
    record = logging.LogRecord(
        "x", logging.INFO, __file__, 1, "a number %d of %.1f", (SECRET, 2.5), None, name
    )
    assert json.loads(JsonLines().format(record))["message"] == "a number %d of %.1f"


@given(st.text(min_size=3).filter(lambda text: text not in "told ?: "))
def test_no_text_comes_through_an_argument(text: str) -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "told: %s", (text,), None, "test_no_text")
    assert text not in json.loads(JsonLines().format(record))["message"] or text in WITHHELD


def test_a_message_put_together_beforehand_is_withheld(lines: Callable[[], list[dict[str, Any]]]) -> None:
    log.error(f"told of {SECRET}")  # noqa: G004 - what is tested
    log.error("told of " + SECRET)  # noqa: G003 - as above
    log.error("told of {}".format(SECRET))  # noqa: G001, UP032 - as above
    log.error(ValueError(SECRET))
    log.error(SECRET % ())  # noqa: G002 - as above
    assert {line["message"] for line in lines()} == {WITHHELD}


def test_an_exception_is_told_by_class_and_place(lines: Callable[[], list[dict[str, Any]]]) -> None:
    try:
        raise LookupError(SECRET) from KeyError(SECRET)  # noqa: TRY301 - what is told of it is tested
    except LookupError:
        log.exception("it failed")
    (line,) = lines()
    assert (line["message"], line["exception"]) == ("it failed", "LookupError")
    assert line["raised_at"].startswith("tests.telemetry.test_logs:")
    assert SECRET not in json.dumps(line)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_task_that_failed_unseen_is_not_quoted(lines: Callable[[], list[dict[str, Any]]]) -> None:
    async def fail() -> None:
        raise ValueError(SECRET)

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    (line,) = [line for line in lines() if line["logger"] == "asyncio" and line["level"] == "error"]
    assert (line["message"], line["exception"]) == (WITHHELD, "ValueError")


def test_extra_fields_and_stacks_stay_out(lines: Callable[[], list[dict[str, Any]]]) -> None:
    log.info("told", extra={"patient": SECRET}, stack_info=True)
    assert set(lines()[0]) == {"at", "level", "logger", "message"}


def test_a_file_gets_the_same_lines(tmp_path: Path) -> None:
    root = logging.getLogger()
    handlers, level, raises = list(root.handlers), root.level, logging.raiseExceptions
    try:
        log_to_file(tmp_path / "log", "debug")
        log.debug("of %s", SECRET)
        log.debug("of %s", CASE_ID)
        told = [json.loads(line)["message"] for line in (tmp_path / "log").read_text().splitlines()]
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.raiseExceptions = raises
    assert told[-2:] == ["of ?", f"of {CASE_ID}"]
