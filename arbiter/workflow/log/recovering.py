"""A log that lost entries for good goes on under a new origin that says so: two persons, one entry, one transaction.

The order makes each step safe to be killed after. The new key lies beside the old one; the old public key is kept; the
entry and the first checkpoint of the new origin are committed together; the kept checkpoint's file follows; then the
keys change places. Before the commit the log is refused as it was, after it until the last step, and `recover` goes on
where it stopped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256

from arbiter.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from arbiter.audit.note import VerifierKey
from arbiter.audit.recovery import (
    RECOVERED,
    RECOVERY_CHAIN,
    STATEMENT,
    Loss,
    Recovery,
    Statement,
    verify_recovery,
)
from arbiter.errors import LogUnfitError, RefusedError, UnauthenticatedError, VerificationError
from arbiter.identity.accounts import authenticate
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.ports import Signer
from arbiter.store.keys import AS_BEFORE, Wish, check_origin, where_is
from arbiter.store.log.checkpoints import StoredCheckpoint, load_newest_checkpoint
from arbiter.store.log.sealing import add_checkpoint, number_one
from arbiter.store.origins import keep_former, prepare_next, switch_to_next
from arbiter.store.transaction import driver_connection
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.faults import Fault
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.log.loss_words import words_of
from arbiter.workflow.log.recoveries import load_statements
from arbiter.workflow.log.stored_tree import frontier_under

SHORTEST_REASON = 10
LONGEST_REASON = 1000

_LOSSES = {Fault.BEHIND: Loss.BEHIND, Fault.FORKED: Loss.FORKED}
_NUMBERED = re.compile(r"(.+)\.([1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done: the evidence, the new origin's verifier key, whether an earlier run had committed it.

    `where` says in words where the new origin's private key lies.
    """

    recovery: Recovery
    verifier_key: str
    resumed: bool
    where: str


async def two_persons(house: House, credentials: Sequence[tuple[str, str]]) -> tuple[Principal, Principal]:
    """Return the two accounts that logins and passwords prove.

    Raises:
        UnauthenticatedError, ForbiddenError: RefusedError: when both are one person's.
    """
    proven = []
    for login, password in credentials:
        try:
            principal = await authenticate(house.identities, house.clock, login, password)
        except UnauthenticatedError as error:
            raise UnauthenticatedError(f"{login}: {error}") from error
        principal.require(Permission.LOG_RECOVER)
        proven.append(principal)
    first, second = proven
    if first.id == second.id:
        raise RefusedError("two different persons are needed, and both accounts are the same")
    return first, second


async def recover(
    house: House,
    by: tuple[Principal, Principal],
    reason: str,
    new_origin: str | None = None,
    wish: Wish = AS_BEFORE,
) -> Recovered:
    """Begin a new origin on a log that is behind its kept checkpoint or contradicts it; or finish what was begun.

    Its key is made where the present one lies, in a token or in a file, unless `wish` says otherwise.

    Raises:
        ConfigurationError: when the token cannot make a key; nothing is changed.
        RefusedError: when the log is fit, or unfit in a way that a new origin would only hide; nothing is changed.
        LogRefusedError: when what is left does not verify.
    """
    reason = " ".join(reason.split())
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise RefusedError(f"expected a reason of {SHORTEST_REASON} to {LONGEST_REASON} printable characters")
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
    begun = house.key_folder.next_signer()
    if begun is not None and newest is not None and _is_of(newest, begun):
        return await _finish(house, begun, newest, resumed=True)
    statement = await _statement(house, by, reason, newest, new_origin)
    data = house.settings.data
    signer = prepare_next(house.key_folder, statement.new, house.chance, wish.place(house.signer))
    # Signed by the old key, it leads whoever holds that one to the new ones.
    statement = replace(statement, keys=house.key_folder.next_verifiers())
    keep_former(data, house.keyring.first, house.keyring.statements)
    sealed = await _write(house, by[0], statement, signer, newest)
    return await _finish(house, signer, sealed, resumed=False)


async def _statement(
    house: House,
    by: tuple[Principal, Principal],
    reason: str,
    newest: StoredCheckpoint | None,
    new_origin: str | None,
) -> Statement:
    """Return what is to be said; raise RefusedError when there is nothing to say."""
    with suppress(LogUnfitError):
        await house.guard.check()
    refusal = house.guard.refusal
    if refusal is None:
        raise RefusedError("the log is fit: it extends what was kept, and there is nothing to recover from")
    if refusal.fault not in _LOSSES:
        raise RefusedError(f"a new origin would not put this right: {refusal.told}")
    # What is left is all that the new origin will vouch for.
    await verify_log(house, None)
    kept = KeptCheckpoint(house.settings.data).note() or b""
    checkpoint = open_checkpoint(kept, house.verifiers).checkpoint
    kind = _LOSSES[refusal.fault]
    old = house.signer.name
    new = check_origin(new_origin or _successor(old))
    if new in {key.name for key in house.verifiers}:
        raise RefusedError(f"{new} is or was this log's origin already; a new one needs a new name")
    size = 0 if newest is None else newest.size
    return Statement(
        kind=kind,
        old=old,
        new=new,
        kept=kept,
        stored=None if newest is None else newest.note.encode("utf-8"),
        lost=(size if kind is Loss.BEHIND else None, checkpoint.size),
        by=(by[0].id, by[1].id),
        at=house.clock.now(),
        reason=reason,
        words=words_of(kind, old, new, newest, checkpoint),
        prefix=None if refusal.evidence is None else refusal.evidence.prefix,
    )


async def _write(
    house: House, actor: Principal, statement: Statement, signer: Signer, newest: StoredCheckpoint | None
) -> StoredCheckpoint:
    """Commit the entry and the new origin's first checkpoint over it; return the checkpoint."""
    note = statement.sign([house.signer, signer])
    verify_recovery(note, (*house.verifiers, VerifierKey.parse(signer.verifier_key)))
    async with house.store.begin() as transaction:
        connection = await driver_connection(transaction)
        seq = await note_in_house(
            house, transaction, RECOVERED, actor.id, {STATEMENT: note}, chain=RECOVERY_CHAIN
        )
        found, leaves = await number_one(connection, RECOVERY_CHAIN, seq)
        if found != newest or len(leaves) != 1:
            raise RefusedError(
                "the log has changed since it was looked at: stop every Arbiter, then try again"
            )
        (leaf,) = leaves
        size = 0 if newest is None else newest.size
        if leaf.index != size or sha256(b"\x00" + (leaf.body or b"")).digest() != leaf.hash:
            raise VerificationError(f"expected the entry of the recovery as leaf {size}")
        extension = (await frontier_under(transaction, newest)).extend([leaf.hash])
        body = Checkpoint(signer.name, extension.frontier.size, extension.frontier.root())
        sealed = StoredCheckpoint(
            body.size, body.root, sign_checkpoint(body, [signer]).decode("utf-8"), house.clock.now()
        )
        await add_checkpoint(connection, sealed, extension.nodes)
    return sealed


async def _finish(house: House, signer: Signer, sealed: StoredCheckpoint, *, resumed: bool) -> Recovered:
    """Keep the new origin's checkpoint and let the keys change places: once the entry is committed, and again if need be."""
    keys = (*house.verifiers, VerifierKey.parse(signer.verifier_key))
    statements = await load_statements(house.store)
    recovery = verify_recovery(statements[max(statements)][1], keys)
    if recovery.statement.new != signer.name:
        raise RefusedError(
            f"the newest recovery began {recovery.statement.new}, the key at hand is {signer.name}'s"
        )
    kept = KeptCheckpoint(house.settings.data)
    with kept.alone():
        note = kept.note()
        if note == recovery.statement.kept:
            kept.replace(sealed.note.encode("utf-8"))
        elif note != sealed.note.encode("utf-8"):
            raise RefusedError(
                f"the kept checkpoint {kept.path} is neither the one that the recovery quotes nor the new origin's; "
                "restore the one that it quotes, and run this again"
            )
        kept.sync()
    switch_to_next(house.key_folder, VerifierKey.parse(house.signer.verifier_key))
    return Recovered(recovery, signer.verifier_key, resumed, where_is(signer))


def _is_of(newest: StoredCheckpoint, signer: Signer) -> bool:
    try:
        open_checkpoint(newest.note.encode("utf-8"), [VerifierKey.parse(signer.verifier_key)])
    except VerificationError:
        return False
    return True


def _successor(origin: str) -> str:
    """Return the name that follows: `log.2` after `log`, `log.3` after `log.2`."""
    numbered = _NUMBERED.fullmatch(origin)
    if numbered is None or int(numbered[2]) < 2:
        return f"{origin}.2"
    return f"{numbered[1]}.{int(numbered[2]) + 1}"
