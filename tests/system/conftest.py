"""One installation for the whole folder: what one module's tests leave behind makes the next one's log longer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.service import Service, a_service


@pytest.fixture(scope="session")
def installation() -> Iterator[Service]:
    with a_service() as made:
        yield made


@pytest.fixture
def service(installation: Service) -> Service:
    """The installation with its serving process running."""
    if not installation.alive:
        installation.start()
    return installation
