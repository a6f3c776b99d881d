"""How sure a panel is of what it decides, whoever is missing: what a certified level is compared with, in one number."""

from __future__ import annotations

from collections.abc import Sequence

from arbiter.adjudication.aggregation import tally
from arbiter.adjudication.bench import Bench, hear
from arbiter.adjudication.quorum import completions
from arbiter.model import Opinion


def least_probability(bench: Bench, opinions: Sequence[Opinion], option: str) -> float | None:
    """Return the least posterior probability of an option over all that the missing members could have said.

    It is None where a voice has no record, or more could have been said than is ever supposed: then nothing is decided.

    Raises:
        UndecidableError: when an opinion must not be weighed with the others.
    """
    heard, at = hear(bench, opinions), bench.option_ids().index(option)
    missing = [voice for voice in heard if voice.is_missing]
    supposed = completions(bench, heard, missing, or_abstains=True) if missing else iter(())
    if supposed is None:
        return None
    found = [tally(bench, each).posterior for each in (heard, *supposed)]
    known = [posterior[at] for posterior in found if posterior is not None]
    return min(known) if len(known) == len(found) else None
