"""The database goes away under open pages, and the whole service away from its list."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import httpx
import psycopg
import pytest

import clinician_ui.downtime
from arbiter.errors import UnavailableError
from arbiter.identity.sites import add_site
from arbiter.model import RiskClass
from arbiter.serving import written
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow.downtime import everything_waiting
from arbiter.workflow.standing_work import keep_up
from clinician_ui.downtime import NAME, DowntimeFile
from clinician_ui.pages import create_pages
from tests.clinician_ui.conftest import ORIGIN, SUBJECT, Browser, Ward
from tests.clinician_ui.test_blindness import CASES
from tests.clinician_ui.test_sites_and_roles import BODIES, GUARDED
from tests.conftest import an_outage
from tests.houses import PASSWORD

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # What was in use when the engine replaced its pool.
    pytest.mark.usefixtures("cut_off_connections_are_put_away"),
    pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning"),
]

ADVICE = "Follow your local downtime procedure"


@pytest.fixture
def downtime(ward: Ward) -> DowntimeFile:
    return DowntimeFile(ward.house)


async def without_a_database(ward: Ward, kept: DowntimeFile, login: str = "anna") -> Browser:
    """Return a browser with a session, on pages that know the list `kept`."""
    transport = httpx.ASGITransport(create_pages(ward.house, kept), raise_app_exceptions=False)
    browser = Browser(httpx.AsyncClient(transport=transport, base_url=ORIGIN))
    browser.http.cookies = (await ward.logged_in(login)).http.cookies
    await until_it_is_back(browser)
    return browser


@asynccontextmanager
async def no_database(ward: Ward, server: EmbeddedPostgres, database: Database) -> AsyncIterator[None]:
    """The database is away while the block runs; afterwards what was cut off is replaced before anybody meets it."""
    with an_outage(server, database):
        yield
    await ward.house.store.engine.dispose()
    await ward.house.store._pool.check()


# --- the page ------------------------------------------------------------------------------------------------------


async def test_without_a_database_every_page_is_a_calm_503(
    ward: Ward, downtime: DowntimeFile, server: EmbeddedPostgres, module_database: Database
) -> None:
    case = await ward.case()
    await downtime.write()
    browser = await without_a_database(ward, downtime)
    async with no_database(ward, server, module_database):
        for method, path in GUARDED:
            address = path.replace("{case}", case)
            sent = BODIES.get(path, {})
            answer = await (browser.get(address) if method == "GET" else browser.send(address, **sent))
            page = unescape(answer.text)
            assert answer.status_code == 503, (method, path)
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["cache-control"] == "no-store"
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            assert "Arbiter cannot be used just now" in page
            assert ADVICE in page
            assert ("may or may not have been recorded" in page) is (method == "POST")
            for secret in (case, SUBJECT, "North Hospital", "Anna", "Error", "psycopg", "Traceback"):
                assert secret not in page, secret


async def test_a_log_in_without_a_database_is_answered_as_calmly(
    ward: Ward, downtime: DowntimeFile, server: EmbeddedPostgres, module_database: Database
) -> None:
    browser = await without_a_database(ward, downtime)
    browser.http.cookies.clear()
    await browser.get("/login")
    async with no_database(ward, server, module_database):
        answer = await browser.send("/login", login="anna", password=PASSWORD)
    assert answer.status_code == 503
    assert ADVICE in answer.text
    assert PASSWORD not in answer.text
    assert "arbiter-session" not in browser.http.cookies


async def test_the_page_tells_a_number_and_its_time_and_before_there_is_one_nothing(
    ward: Ward, downtime: DowntimeFile, server: EmbeddedPostgres, module_database: Database
) -> None:
    browser = await without_a_database(ward, downtime)
    for _ in range(2):
        async with no_database(ward, server, module_database):
            page = unescape((await browser.get("/worklist")).text)
        told = re.search(r"last seen, at [^<]*, <strong>(.*?)</strong> waited", page)
        if downtime.last_seen is None:
            assert told is None
            await ward.case(CASES["excluded"])
            await until_it_is_back(browser)
            await downtime.write()
            continue
        number = len(downtime.last_seen.cases)
        assert number >= 1
        assert told is not None
        assert told[1] == ("1 case" if number == 1 else f"{number} cases")


async def test_when_the_database_is_back_so_are_the_pages(ward: Ward, downtime: DowntimeFile) -> None:
    browser = await without_a_database(ward, downtime)
    await until_it_is_back(browser)


async def until_it_is_back(browser: Browser) -> None:
    for _ in range(100):
        answer = await browser.get("/worklist")
        if answer.status_code != 503:
            break
        await asyncio.sleep(0.1)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.ReadOnlySqlTransaction(f"cannot execute, row: {SUBJECT}"),
        psycopg.OperationalError(f"{SUBJECT}"),
        psycopg.errors.UndefinedTable(f"{SUBJECT}"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_the_database_refuses_is_a_503_and_never_quoted(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    async def broken(*_args: object, **_named: object) -> None:
        raise error

    browser = await ward.logged_in()
    monkeypatch.setattr("clinician_ui.routes.work.work_list.look", broken)
    answer = await browser.get("/worklist")
    assert answer.status_code == 503
    assert SUBJECT not in answer.text + caplog.text
    assert type(error).__name__ in caplog.text


async def test_the_advice_is_the_houses_own_and_text(ward: Ward) -> None:
    settings = ward.house.settings.model_copy(update={"downtime_advice": "Folder 7 <b>& call 4711</b>"})
    kept = DowntimeFile(replace(ward.house, settings=settings))
    await kept.write()
    assert "Folder 7 &lt;b&gt;&amp; call 4711&lt;/b&gt;" in kept.path.read_text("utf-8")


# --- the file ------------------------------------------------------------------------------------------------------


class Outside(HTMLParser):
    """Notes whatever a document would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fetching = {"src", "href", "srcset", "action", "data", "poster", "background", "style"}
        self.found += [f"{tag} {name}" for name, _ in attrs if name in fetching or name.startswith("on")]
        if tag in {"script", "link", "iframe", "object", "embed", "base", "form"}:
            self.found.append(tag)


async def test_the_file_holds_what_waits_at_every_site_and_stands_alone(
    ward: Ward, downtime: DowntimeFile
) -> None:
    waits = await ward.case(CASES["disagreement"], RiskClass.EMERGENCY)
    held = await ward.case()
    await ward.claimed(held, "ben")
    practice = await ward.case(training=True)
    await downtime.write()
    text = unescape(downtime.path.read_text("utf-8"))
    assert waits in text
    row = text[text.index(held) :][: text[text.index(held) :].index("</tr>")]
    assert "With a reviewer" in row
    assert practice not in text
    assert "Training cases, left out: 1" in text
    assert ADVICE in text
    assert "North Hospital" in text
    for secret in (
        SUBJECT,
        "visit-1",
        "Ben",
        "Anna",
        "disagree",
        "NEWS2",
        "escalat",
        "per minute",
        "ward-ceil",
    ):
        assert secret not in text, secret
    outside = Outside()
    outside.feed(text)
    assert outside.found == []
    style = text[text.index("<style>") : text.index("</style>")]
    assert "size:A4 landscape" in style
    assert "url(" not in style
    assert "@import" not in style


async def test_the_file_is_its_owners_alone_whatever_the_mask(ward: Ward, downtime: DowntimeFile) -> None:
    before = os.umask(0)
    try:
        await downtime.write()
    finally:
        os.umask(before)
    assert stat.S_IMODE(downtime.path.stat().st_mode) == 0o600
    assert downtime.path == ward.house.settings.data / NAME
    assert [path.name for path in downtime.path.parent.glob(f".{NAME}*")] == []


async def test_a_reader_sees_one_list_or_the_next_and_never_a_part(
    ward: Ward, downtime: DowntimeFile
) -> None:
    await downtime.write()
    with downtime.path.open("rb") as reading:
        beginning = reading.read(10)
        await ward.case()
        await downtime.write()
        whole = beginning + reading.read()
    assert whole.endswith(b"</html>")
    assert whole != downtime.path.read_bytes()
    assert downtime.path.read_bytes().endswith(b"</html>")


async def test_what_a_killed_writer_left_is_in_nobodys_way(ward: Ward, downtime: DowntimeFile) -> None:
    elsewhere = downtime.path.parent / "elsewhere"
    elsewhere.write_text("precious", "utf-8")
    left = downtime.path.with_name(f".{NAME}.{os.getpid()}")
    left.symlink_to(elsewhere)
    await downtime.write()
    assert elsewhere.read_text("utf-8") == "precious"
    assert not downtime.path.is_symlink()
    assert not left.exists()


async def test_without_a_database_the_file_stays_as_it_was(
    ward: Ward, downtime: DowntimeFile, server: EmbeddedPostgres, module_database: Database
) -> None:
    await ward.case()
    await downtime.write()
    before = downtime.path.read_bytes()
    async with no_database(ward, server, module_database):
        with pytest.raises(UnavailableError, match="does not answer"):
            await downtime.write()
    assert downtime.path.read_bytes() == before
    assert downtime.last_seen is not None


async def test_more_cases_than_a_list_holds_are_said_to_be_more(
    ward: Ward, downtime: DowntimeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await ward.case()
    number = len((await everything_waiting(ward.house)).cases)
    for most, whole in ((number + 10, True), (number - 1, False)):
        monkeypatch.setattr("arbiter.workflow.downtime.MOST_CASES", most)
        await downtime.write()
        assert ("This list is not whole" in downtime.path.read_text("utf-8")) is not whole


async def test_a_site_without_cases_has_no_sheet(ward: Ward, downtime: DowntimeFile) -> None:
    await add_site(ward.house.identities, "empty", "Empty Hospital")
    await downtime.write()
    assert "Empty Hospital" not in downtime.path.read_text("utf-8")


# --- kept written --------------------------------------------------------------------------------------------------


async def there(path: Path) -> None:
    for _ in range(100):
        if path.is_file():
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{path} was not written in time")


async def test_a_writer_that_fails_is_logged_and_tries_again(
    ward: Ward, downtime: DowntimeFile, caplog: pytest.LogCaptureFixture
) -> None:
    downtime.path.unlink(missing_ok=True)
    downtime.path.mkdir()
    writing = asyncio.create_task(keep_up("writing the downtime list", downtime.keep_writing))
    try:
        while "writing the downtime list has failed and is begun again" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        downtime.path.rmdir()
        await there(downtime.path)
    finally:
        writing.cancel()
        await asyncio.wait({writing})


async def test_the_list_is_written_anew_for_as_long_as_the_doors_are_open(
    ward: Ward, downtime: DowntimeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert clinician_ui.downtime.EVERY_SECONDS == 60.0
    monkeypatch.setattr("clinician_ui.downtime.EVERY_SECONDS", 0.05)
    async with written(downtime):
        for _ in range(2):
            downtime.path.unlink(missing_ok=True)
            await there(downtime.path)


async def test_closing_the_doors_leaves_a_list_of_that_moment(ward: Ward, downtime: DowntimeFile) -> None:
    async with written(downtime):
        await there(downtime.path)
        case = await ward.case()
        assert case not in downtime.path.read_text("utf-8")
    assert case in downtime.path.read_text("utf-8")


async def test_a_last_list_that_cannot_be_written_keeps_no_door_open(
    ward: Ward, downtime: DowntimeFile, caplog: pytest.LogCaptureFixture
) -> None:
    async with written(downtime):
        await there(downtime.path)
        downtime.path.unlink()
        downtime.path.mkdir()
    downtime.path.rmdir()
    assert "the downtime list was not written a last time" in caplog.text
    assert [path.name for path in downtime.path.parent.glob(f".{NAME}*")] == []
