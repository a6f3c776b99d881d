"""The list for a downtime beside a real service: there from the start on, and still there when the service is not."""

from __future__ import annotations

import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clinician_ui.downtime import NAME
from tests.system.service import KINDS, Service, case_body

EXCLUDED = 3
"""The kind of case that a clinician must see, by its place among `KINDS`."""


@pytest.fixture
def listed(service: Service) -> Iterator[Path]:
    """The list of a running service; the service is left running for whoever comes next."""
    yield service.data / NAME
    if not service.alive:
        service.start()


def escalated(service: Service, key: str) -> str:
    with httpx.Client(base_url=service.url, trust_env=False, timeout=30) as door:
        made = door.post(
            "/v1/cases",
            json=case_body(key, KINDS[EXCLUDED]),
            headers={
                "Authorization": f"Bearer {service.token}",
                "Idempotency-Key": key,
                "Prefer": "wait=20",
            },
        ).json()
    assert made["phase"] == "escalated"
    return str(made["id"])


def there(path: Path) -> str:
    ends_at = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < ends_at
        time.sleep(0.05)
    return path.read_text("utf-8")


@pytest.mark.timeout(180)
def test_a_stopped_service_leaves_the_list_of_its_last_moment_and_a_killed_one_that_of_its_last_minute(
    service: Service, listed: Path
) -> None:
    there(listed)
    assert stat.S_IMODE(listed.stat().st_mode) == 0o600
    first = escalated(service, "downtime-1")
    service.stop(signal.SIGTERM)
    assert first in listed.read_text("utf-8")

    listed.unlink()
    service.start()
    assert first in there(listed)
    service.kill()
    left = listed.read_text("utf-8")
    assert first in left
    assert left.endswith("</html>")
    assert "made-up" not in left.replace("made-up patients", "")
