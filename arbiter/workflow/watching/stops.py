"""Which protocols decide nothing alone for now, because of what audits found, or because nobody reads them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Stops:
    """What this process knows of it, by protocol id: read again from the database every minute, and before anything is decided.

    `frozen`: an alarm stands, which a person lifts. `behind`: a decision that was drawn has waited for its readers longer than
    `audit_days`; that ends by itself once it is read. `mark` is the order of the newest step of an alarm that this process
    knows of, None before it has looked. While the database does not answer, what was known stays.
    """

    frozen: frozenset[str] = frozenset()
    behind: frozenset[str] = frozenset()
    mark: int | None = None

    def hold(self, protocol: str | None) -> bool:
        """Return whether a protocol decides nothing alone; where it cannot be told which it is, whether any does not."""
        if protocol is None:
            return bool(self.frozen or self.behind)
        return protocol in self.frozen or protocol in self.behind
