"""Sites: the hospitals or wards between which cases are kept apart."""

from __future__ import annotations

import re
from collections.abc import Iterable

from arbiter.errors import RefusedError
from arbiter.store.identities import Identities

_SITE_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_LONGEST_NAME = 200


def check_name(name: str, what: str) -> str:
    """Return the name without surrounding space; raise RefusedError when it is empty, too long or unprintable."""
    stripped = name.strip()
    if not stripped or len(stripped) > _LONGEST_NAME or not stripped.isprintable():
        came = f"{len(stripped)}" if stripped.isprintable() else "some that do not print"
        raise RefusedError(f"a {what}'s name is 1 to {_LONGEST_NAME} printable characters, came {came}")
    return stripped


async def add_site(identities: Identities, site_id: str, name: str) -> None:
    """Add a site; its id is 1 to 64 of a-z, 0-9 and inner hyphens. Raises RefusedError or ConflictError."""
    if not _SITE_ID.fullmatch(site_id):
        raise RefusedError(
            f"a site's id is 1 to 64 characters of a-z, 0-9 and inner hyphens, came {site_id[:64]!r}"
        )
    await identities.add_site(site_id, check_name(name, "site"))


async def check_sites(identities: Identities, site_ids: Iterable[str]) -> frozenset[str]:
    """Return the ids as a set; raise RefusedError when there is none or one names no site."""
    wanted = frozenset(site_ids)
    if not wanted:
        raise RefusedError("expected at least one site, none came")
    if unknown := await identities.unknown_sites(wanted):
        raise RefusedError(f"no such site: {', '.join(unknown)}; `arbiter sites list` shows those there are")
    return wanted
