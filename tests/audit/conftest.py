"""Fixtures of the audit tests."""

import pytest

from tests.audit.go_checker import GoChecker


@pytest.fixture(scope="session")
def go_checker(tmp_path_factory: pytest.TempPathFactory) -> GoChecker:
    """Return Go's checker, built once; skips the test where Go is not installed."""
    return GoChecker.build(tmp_path_factory.mktemp("go"))
