"""What attacks on the pages share: every address there is, and answers without what is any case's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import httpx
from starlette.routing import Mount, Route

from arbiter.model import CaseId
from tests.clinician_ui.conftest import Browser, Ward
from tests.clinician_ui.test_reading import unlike

EXPORT: Final = "e_" + "a" * 24


def routes(ward: Ward) -> Iterator[Route]:
    """Every route of the pages, static files left out."""
    application = cast(Any, ward.pages)
    while not hasattr(application, "routes"):
        application = application._application
    for route in application.routes:
        if not isinstance(route, Mount):
            assert isinstance(route, Route)
            yield route


def addresses(ward: Ward, method: str, case: str) -> list[str]:
    """Every address that takes this method, about that case where it is about one."""
    taking = [route.path for route in routes(ward) if method in (route.methods or ())]
    return sorted({path.replace("{case}", case).replace("{export}", EXPORT) for path in taking})


def of_a_case(ward: Ward, method: str, case: CaseId) -> list[str]:
    """The addresses that name the case."""
    return [path for path in addresses(ward, method, case) if case in path]


def bare(answer: httpx.Response, case: CaseId, browser: Browser) -> tuple[int, dict[str, str], str]:
    """An answer's status, headers and text without what is any case's own."""
    headers = {name: value.replace(case, "CASE") for name, value in answer.headers.items()}
    headers.pop("content-length", None)
    return answer.status_code, headers, unlike(answer.text, case, browser.token)
