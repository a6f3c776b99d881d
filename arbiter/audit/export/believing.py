"""Which keys whoever checks an export believes: those they trust, and those to which statements lead from these.

INVARIANT: a key is believed only where statements connect it to a trusted one and each of them was signed by the keys at
both of its ends, so that the holder of a trusted key, or of one believed already, has vouched for it. A rotation binds
its keys to the sizes that they may sign (`arbiter.audit.rotation`), and leads from the new one to the old one too, which
it names. A recovery leads from the old origin to the keys that it names for the new one (`arbiter.audit.recovery`), if a
key signed it that was not retired; it names none of the old origin's, so it leads nowhere from the new one.

Backwards a key is believed for former checkpoints alone: it signs no export and begins no origin (`follows`). Whoever
has it since it was replaced would leave out that it was retired, and nobody could see that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from arbiter.audit.checkpoint import LogKey
from arbiter.audit.export.statements import StatedInLog
from arbiter.audit.note import SignatureType, VerifierKey, open_note, parse_note
from arbiter.audit.public_keys import KeyHistory
from arbiter.audit.recovery import Statement
from arbiter.audit.rotation import Rotation, current_keys, follow_rotations
from arbiter.errors import VerificationError

__all__ = ["Trust", "believed_keys", "follows"]


@dataclass(frozen=True, slots=True)
class Trust:
    """What somebody brings along from elsewhere: verifier keys, and logs' keys with their statements."""

    keys: tuple[VerifierKey, ...] = ()
    histories: tuple[KeyHistory, ...] = ()

    @property
    def given(self) -> bool:
        """Whether anything was brought along at all."""
        return bool(self.keys or self.histories)

    @property
    def every_key(self) -> tuple[VerifierKey, ...]:
        """Every key that is trusted as given, before any statement of an export is read."""
        return (*self.keys, *(key for history in self.histories for key in history.keys))

    @property
    def signing(self) -> frozenset[VerifierKey]:
        """The Ed25519 ones among them, without the sizes they may sign."""
        return frozenset(_plain(key) for key in self.every_key if key.type is SignatureType.ED25519)


@dataclass(frozen=True, slots=True)
class _Link:
    """A recovery: which origin it left, which it began, and the keys that it names for it."""

    note: bytes
    said: Statement


def believed_keys(
    trust: Trust, carried: Sequence[VerifierKey], statements: Sequence[StatedInLog]
) -> tuple[VerifierKey, ...]:
    """Return the believed keys, a log's with the sizes they may sign; `carried` are those that the export names.

    Of the carried keys none is believed for being carried, but the ML-DSA-44 key of a log that never stated any: the
    Ed25519 key that signs the export vouches for that.

    Raises:
        VerificationError: for statements that do not follow, or contradict what was brought along.
    """
    rotations: dict[str, list[bytes]] = {}
    links = []
    for stated in statements:
        text = parse_note(stated.content).text
        if stated.is_rotation:
            rotations.setdefault(Rotation.parse(text).origin, []).append(stated.content)
        else:
            links.append(_Link(stated.content, Statement.parse(text)))
    named = _named(links)
    for history in trust.histories:
        rotations[history.origin] = _longer(history, rotations.get(history.origin, []))
    origins = {*rotations, *(key.name for key in trust.keys)}
    origins |= {origin for link in links for origin in (link.said.old, link.said.new)}
    chains = {
        origin: _chain(origin, trust, carried, rotations.get(origin, []), named.get(origin, ()))
        for origin in sorted(origins)
    }
    believed = _connected(trust, chains, links)
    _check_links(links, believed, chains)
    kept = [key for origin in sorted(believed) for key in chains[origin]]
    _check_second(trust, chains, believed)
    known = {key.public() for key in kept}
    return (*kept, *(key for key in trust.keys if _plain(key) not in known))


def follows(trust: Trust, believed: Sequence[VerifierKey], key: LogKey) -> bool:
    """Tell whether a believed Ed25519 key is a trusted one, or came after one: not merely before."""
    chain = [known for known in believed if isinstance(known, LogKey) and known.name == key.name]
    return key in _following(trust, chain)


def _following(trust: Trust, chain: Sequence[LogKey]) -> tuple[LogKey, ...]:
    """Return an origin's Ed25519 keys from the first trusted one on; all of one to which only a recovery leads."""
    signing = [key for key in chain if key.type is SignatureType.ED25519]
    first = next((place for place, key in enumerate(signing) if key.public() in trust.signing), 0)
    return tuple(signing[first:])


def _named(links: Sequence[_Link]) -> dict[str, tuple[VerifierKey, ...]]:
    """Return the keys that recoveries name, by origin: an origin begins once, with one pair of keys."""
    named: dict[str, tuple[VerifierKey, ...]] = {}
    for link in links:
        if any(key.name != link.said.new for key in link.said.keys):
            raise VerificationError(f"a recovery names a key of another name for {link.said.new}")
        if link.said.keys and named.setdefault(link.said.new, link.said.keys) != link.said.keys:
            raise VerificationError(f"two recoveries name different keys for {link.said.new}")
    return named


def _check_links(
    links: Sequence[_Link], believed: frozenset[str], chains: Mapping[str, Sequence[LogKey]]
) -> None:
    """Refuse a recovery that tells of a believed origin's beginning and that its key did not sign."""
    for link in links:
        if link.said.new in believed and not _signed(link.note, chains[link.said.new]):
            raise VerificationError(f"no known key of {link.said.new} signed the recovery that began it")


def _longer(history: KeyHistory, stated: list[bytes]) -> list[bytes]:
    """Return the longer of two records of a log's rotations, of which one must begin with the other."""
    common = min(len(history.statements), len(stated))
    for number in range(common):
        if _text(history.statements[number]) != _text(stated[number]):
            raise VerificationError(
                f"key rotation {number + 1} of {history.origin} is another here than in the public keys that you gave: "
                "one of both was signed for somebody's eyes alone. Keep both, and ask who runs the log"
            )
    return stated if len(stated) > common else list(history.statements)


def _text(note: bytes) -> str:
    return parse_note(note).text


def _chain(
    origin: str,
    trust: Trust,
    carried: Sequence[VerifierKey],
    rotations: Sequence[bytes],
    named: tuple[VerifierKey, ...],
) -> tuple[LogKey, ...]:
    """Return what an origin's keys are if those are believed that it is said to have begun with."""
    said = [history.first for history in trust.histories if history.origin == origin]
    said += [Rotation.parse(_text(rotations[0])).old] if rotations else []
    said += [named] if named else []
    if not said:
        return _unstated(origin, trust, carried)
    if any(first != said[0] for first in said):
        raise VerificationError(f"{origin} is said to have begun with one key, and with another")
    return follow_rotations(said[0], rotations)


def _unstated(origin: str, trust: Trust, carried: Sequence[VerifierKey]) -> tuple[LogKey, ...]:
    """Return the keys of an origin of which no statement speaks: those trusted, and the carried ML-DSA-44 key else."""
    first, given, named = (
        [key for key in keys if (key.name, key.type) == (origin, kind)]
        for keys, kind in (
            (trust.keys, SignatureType.ED25519),
            (trust.keys, SignatureType.MLDSA44_COSIGNATURE),
            (carried, SignatureType.MLDSA44_COSIGNATURE),
        )
    )
    return tuple(LogKey(key.name, key.type, key.public_key) for key in (*first, *(given or named)))


def _connected(
    trust: Trust, chains: Mapping[str, Sequence[LogKey]], links: Sequence[_Link]
) -> frozenset[str]:
    """Return the origins that are trusted, and those that recoveries connect with them."""
    believed = {
        origin for origin, keys in chains.items() if any(key.public() in trust.signing for key in keys)
    }
    # A log rarely has more than two origins; each round that finds none ends it.
    for _ in links:
        before = len(believed)
        for link in links:
            if link.said.old in believed and _vouched(trust, link, chains):
                believed.add(link.said.new)
        if len(believed) == before:
            break
    return frozenset(believed)


def _vouched(trust: Trust, link: _Link, chains: Mapping[str, Sequence[LogKey]]) -> bool:
    """Tell whether a key of the old origin, not one replaced before any trusted one, vouches for keys of the new that signed."""
    return (
        bool(link.said.keys)
        and _signed(link.note, current_keys(_following(trust, chains[link.said.old])))
        and _signed(link.note, link.said.keys[:1])
    )


def _signed(note: bytes, keys: Iterable[VerifierKey]) -> bool:
    """Tell whether one of these Ed25519 keys signed; raises `VerificationError` for a bad signature of any of them."""
    signing = [key for key in keys if key.type is SignatureType.ED25519]
    known = {(key.name, key.key_id) for key in signing}
    if not any((line.name, line.key_id) in known for line in parse_note(note).signatures):
        return False
    return bool(open_note(note, signing).verified)


def _check_second(trust: Trust, chains: Mapping[str, Sequence[LogKey]], believed: frozenset[str]) -> None:
    """Refuse a record of a log's keys that holds none of the ML-DSA-44 keys which were brought along for it."""
    for origin in believed:
        given = {
            _plain(key)
            for key in trust.keys
            if (key.name, key.type) == (origin, SignatureType.MLDSA44_COSIGNATURE)
        }
        if given and not given & {key.public() for key in chains[origin]}:
            ids = ", ".join(sorted(key.key_id.hex() for key in given))
            raise VerificationError(
                f"none of the ML-DSA-44 keys that you gave for {origin} ({ids}) is among those that the log states"
            )


def _plain(key: VerifierKey) -> VerifierKey:
    return VerifierKey(key.name, key.type, key.public_key)
