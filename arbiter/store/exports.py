"""Exports in the database: which cases a site has, and the jobs that make exports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from arbiter.store.transaction import Where, run

_OF_SITES = "SELECT id FROM case_file WHERE id = ANY(%(cases)s) AND site_id = ANY(%(sites)s)"


async def cases_of_sites(where: Where, cases: Sequence[str], sites: Iterable[str]) -> frozenset[str]:
    """Return those of the cases that belong to one of the sites."""
    rows = await run(where, _OF_SITES, {"cases": list(cases), "sites": sorted(sites)})
    return frozenset(row[0] for row in rows)
