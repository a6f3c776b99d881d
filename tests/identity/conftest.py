"""A site to belong to, and hashing that takes no time: the parameters are argon2's own, tested once as they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from arbiter.identity import accounts
from arbiter.identity.sites import add_site
from arbiter.store.identities import Identities

FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(autouse=True)
def fast_hashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(accounts, "_HASHER", FAST)
    accounts._nobody.cache_clear()
    yield
    accounts._nobody.cache_clear()


@pytest.fixture
async def ward(identities: Identities) -> str:
    await add_site(identities, "ward", "Ward 7")
    await add_site(identities, "other", "Other hospital")
    return "ward"
