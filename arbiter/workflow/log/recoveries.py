"""What the entries of recoveries commit to: their verifiers need it beside the rows."""

from __future__ import annotations

from collections.abc import Mapping

from arbiter.audit.recovery import RECOVERY_CHAIN, STATEMENT
from arbiter.store.house_chain import load_house_documents
from arbiter.store.transaction import Where


async def load_statements(where: Where) -> Mapping[int, tuple[bytes, bytes]]:
    """Return the statements with their salts, by the number of the entry in the recovery chain."""
    documents = await load_house_documents(where, RECOVERY_CHAIN)
    return {d.seq: (d.salt, d.content) for d in documents if d.name == STATEMENT}
