"""What `arbiter doctor` says of the keys: encrypted or not, rotations under way, hardware that answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cache

from arbiter.audit.note import SignatureType
from arbiter.audit.rotation import current_keys
from arbiter.cli.doctor.findings import Finding, attempted
from arbiter.settings import Settings
from arbiter.store.keys import HardwareKek, HardwareSigner, Keyring, passphrase_from, read_keys
from arbiter.store.transaction import Where
from arbiter.store.wrapping import count_all_wrapped
from arbiter.workflow.log.keys import recorded_rotations

_FINISH = "restart every process with the new keys, then `arbiter keys rotate log --finish`"

# Asked once, however many checks open the keys.
_passphrase = cache(passphrase_from)


def open_keys(settings: Settings) -> Keyring:
    """Return the keys as a start would read them."""
    return read_keys(settings.data, _passphrase(settings.keys_passphrase_file))


def state_of_keys(keyring: Keyring) -> Iterator[Finding]:
    """Say how the keys are kept and which sign."""
    if keyring.folder is not None and keyring.folder.encrypted:
        yield Finding("key files", "ok", "encrypted under a passphrase")
    else:
        advice = "run `arbiter keys passphrase`, unless the disk is encrypted or this is a demonstration"
        yield Finding("key files", "warn", "not encrypted, or not all of them", advice)
    yield _log_key(keyring)
    for pair in keyring.signing:
        if isinstance(pair.first, HardwareSigner):
            yield from _hardware("hardware key", pair.first, "signs")
    for kek_id, kek in sorted(keyring.keks.items()):
        if isinstance(kek, HardwareKek):
            yield from _hardware(f"hardware {kek_id}", kek, "wraps and unwraps")


def _log_key(keyring: Keyring) -> Finding:
    signing = keyring.signing
    ids = " and ".join(pair.verifiers[0].key_id.hex() for pair in signing)
    current = [key for key in current_keys(keyring.verifiers) if key.type is SignatureType.ED25519]
    if keyring.pending is not None:
        found = f"{ids} signs; a rotation made key {keyring.pending.verifiers[0].key_id.hex()} and did not enter it"
        return Finding(
            "log key", "warn", found, "run `arbiter keys rotate log` again: it goes on with that key"
        )
    if len(current) > 1:
        found = f"a rotation is under way: {ids} signs since {current[-1].first_size} entries"
        return Finding("log key", "warn", found, _FINISH)
    if len(keyring.pairs) > len(signing):
        advice = "run `arbiter keys rotate log --finish` again: it removes what is retired"
        return Finding("log key", "warn", f"{ids} signs; a retired private key is still here", advice)
    if signing[-1].second is None:
        advice = "`arbiter keys rotate log` adds one"
        return Finding("log key", "warn", f"{ids} signs; there is no ML-DSA-44 key beside it", advice)
    return Finding("log key", "ok", f"{ids} signs, with an ML-DSA-44 key beside it")


def _hardware(check: str, key: HardwareSigner | HardwareKek, does: str) -> Iterator[Finding]:
    def probe() -> Iterator[Finding]:
        key.probe()
        yield Finding(check, "ok", f"the token {key.place.token} {does}")

    yield from attempted(check, "connect the token, and look at the module and the PIN's file", probe)


async def keys_and_database(keyring: Keyring, where: Where) -> AsyncIterator[Finding]:
    """Say whether the folder's keys are those that the database's content needs."""
    recorded = await recorded_rotations(where, keyring.origin)
    if recorded != keyring.statements:
        found = f"the database records {len(recorded)} steps of rotation, the key folder {len(keyring.statements)}"
        advice = "with more in the database: copy the folder from the host that rotated; with fewer: it was rolled back"
        yield Finding(
            "key rotation", "warn" if len(recorded) > len(keyring.statements) else "fail", found, advice
        )
    else:
        yield Finding("key rotation", "ok", f"folder and database agree, {len(recorded)} steps")
    counts = await count_all_wrapped(where)
    lacking = sorted(counts.keys() - keyring.keks.keys())
    behind = sum(count for kek_id, count in counts.items() if kek_id != keyring.current_kek)
    if lacking:
        found = f"{counts[lacking[0]]} keys are wrapped under {lacking[0]}, which this host lacks"
        yield Finding(
            "key encryption", "fail", found, "copy that file from the host that has it, or from escrow"
        )
    elif behind:
        found = f"{behind} of {sum(counts.values())} keys are not wrapped under {keyring.current_kek} yet"
        yield Finding(
            "key encryption", "warn", found, "run `arbiter keys rotate kek`: it goes on where it stopped"
        )
    else:
        yield Finding(
            "key encryption", "ok", f"{sum(counts.values())} keys wrapped, all under {keyring.current_kek}"
        )
