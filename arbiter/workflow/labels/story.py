"""What a case's entries tell of it up to a checkpoint: nothing is opened for that.

Entries say in the clear what happened, in which order and by whom; what was said is sealed. So whether a case can have a label is known
before anything about the patient is read, and a case that cannot is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from arbiter.audit.entry import Entry
from arbiter.lifecycle.entries import EntryType
from arbiter.store.log.chains import Placed
from arbiter.workflow.watching.reading import has_seen_more

_CONCLUSIONS = frozenset({EntryType.DECIDED.value, EntryType.ESCALATED.value, EntryType.FACTS_WANTED.value})
_FACTS = frozenset({EntryType.RECEIVED.value, EntryType.AMENDED.value})


@dataclass(frozen=True, slots=True)
class Story:
    """A case's entries below a size of the log, oldest first, numbered from 0; at least one."""

    entries: tuple[Entry, ...]

    @property
    def since(self) -> tuple[Entry, ...]:
        """The entries that follow the facts that stand: what was said of others says nothing of these."""
        last = max(entry.seq for entry in self.entries if entry.type in _FACTS)
        return self.entries[last + 1 :]

    @property
    def conclusion(self) -> Entry | None:
        """What the facts that stand came to first: decided, escalated or asked for more; None while the panel is at it."""
        return next((entry for entry in self.since if entry.type in _CONCLUSIONS), None)

    @property
    def is_decided_alone(self) -> bool:
        """Whether the panel decided on these facts and nobody took that back for want of a witness: a clinician then saw it all."""
        concluded = self.conclusion
        return (
            concluded is not None
            and concluded.type == EntryType.DECIDED
            and all(entry.type != EntryType.WITHDRAWN for entry in self.since)
        )

    @property
    def came_of_dispute(self) -> bool:
        """Whether the facts that stand reached a clinician only because a decision on earlier ones was disputed."""
        last = max(entry.seq for entry in self.entries if entry.type in _FACTS)
        return any(entry.type == EntryType.CONTESTED for entry in self.entries[:last])

    @property
    def may_have_label(self) -> bool:
        """Whether somebody told what turned out to be right, or judged these facts: a decision on earlier ones is read on those."""
        judged = (
            {EntryType.COMMITTED, EntryType.AUDIT_READ} if self.is_decided_alone else {EntryType.COMMITTED}
        )
        return self.has(EntryType.OUTCOME) or any(entry.type in judged for entry in self.since)

    def has(self, kind: EntryType) -> bool:
        """Return whether there is an entry of that kind."""
        return any(entry.type == kind for entry in self.entries)

    def has_seen_panel(self, person: str, before: int) -> bool:
        """Return whether that person had seen more than a blind case before entry `before`, on these facts or on earlier ones.

        The panel may have been shown, or the content read in another role: what keeps somebody from auditing a decision keeps an
        opinion of theirs from being a label.
        """
        return has_seen_more(self.entries[:before], person)


def story_under(placed: Iterable[Placed], size: int) -> Story | None:
    """Return what a chain's entries tell as far as a checkpoint of `size` covers them, None where it covers none."""
    covered = takewhile(lambda row: row[2] is not None and row[2] < size, placed)
    entries = tuple(Entry.from_bytes(body) for _, body, _ in covered)
    return Story(entries) if entries else None
