"""Where a log-in may lead, and how cookies are set."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbiter.settings import Mode, Settings
from clinician_ui.session import cookies_for, log_in_address, safe_next


@pytest.mark.parametrize(
    "path",
    ["/worklist", "/worklist/print", "/glass", "/cases/c_abc234", "/cases/c_abc234/done", "/audit/entries"],
)
def test_a_log_in_leads_to_our_pages(path: str) -> None:
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/worklist",
        "javascript:alert(1)",
        "/worklist/list",
        "/worklist/print/x",
        "/glass/",
        "/worklist\n",
        "/worklist\r\nSet-Cookie: a=b",
        " /worklist",
        "/worklist?next=//evil.example",
        "/cases/../logout",
        "/cases/a/b",
        "/cases/%2e%2e",
        "/cases/" + "a" * 65,
        "/cases/ä",
        "/login",
        "/logout",
        "/static/../../etc/passwd",
        "/v1/cases",
        "worklist",
        "/work",
    ],
)
def test_a_log_in_leads_nowhere_else(path: str | None) -> None:
    assert safe_next(path) == "/worklist"
    assert log_in_address(path or "") == "/login"


@pytest.mark.parametrize(
    ("mode", "host", "asked", "secure"),
    [
        (Mode.DEMONSTRATION, "127.0.0.1", False, False),
        (Mode.DEMONSTRATION, "::1", False, False),
        (Mode.DEMONSTRATION, "localhost", False, False),
        (Mode.DEMONSTRATION, "127.0.0.1", True, True),
        (Mode.DEMONSTRATION, "0.0.0.0", False, True),
        (Mode.DEMONSTRATION, "arbiter.hospital.example", False, True),
        (Mode.PRODUCTION, "127.0.0.1", False, True),
        (Mode.PRODUCTION, "localhost", True, True),
    ],
)
def test_cookies_are_secure_but_in_a_demonstration_on_the_loopback(
    mode: Mode, host: str, asked: bool, secure: bool
) -> None:
    cookies = cookies_for(Settings(data=Path("x"), mode=mode, host=host, secure_cookies=asked))
    assert cookies.secure is secure
    assert cookies.session.startswith("__Host-") is secure
    assert cookies.log_in.startswith("__Host-") is secure
