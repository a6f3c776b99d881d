"""Exports of a log whose key was rotated, twice: verified from the first key alone, by anybody, anywhere."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import pytest

from arbiter.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.export.checking import ExportRefusedError
from arbiter.audit.export.events import event_line
from arbiter.audit.export.layout import (
    CHECKPOINT,
    ENTRIES,
    EVENTS,
    KEYS,
    STATEMENTS,
    ExportedEntry,
    proof_name,
)
from arbiter.audit.export.manifest import Selection
from arbiter.audit.export.newest import Second
from arbiter.audit.export.statements import StatedInLog
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import Ed25519NoteSigner, SignatureType, Signer, VerifierKey, parse_note
from arbiter.audit.proof import TlogProof
from arbiter.audit.public_keys import KeyHistory, write_public_keys
from arbiter.audit.rotation import Act, Rotation, next_rotation
from arbiter.errors import ConflictError
from arbiter.model import ActorId, CaseId
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.verifying.report import Verified, verify
from arbiter.verifying.script import RefusedError, check_archive
from arbiter.workflow.exports.making import make_export
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from tests.exports import Exported, Furnished, an_auditor, exported, signed_again
from tests.houses import a_house
from tests.verifying.bare import Bare

WHO = ActorId("operator:carla")
NO_CASES = Furnished(CaseId(""), CaseId(""), CaseId(""))
HOUSE = Selection(cases=(HOUSE_CHAIN,))
STRANGER = Ed25519NoteSigner("log.hospital.example/arbiter", b"s" * 32)
STRANGERS_SECOND = MlDsa44Key(STRANGER.name, b"s" * 32)
STRANGERS = tuple(VerifierKey.parse(key.verifier_key) for key in (STRANGER, STRANGERS_SECOND))


@dataclass(frozen=True)
class Rotated:
    """Exports before, during and after two rotations, and what was published of the keys then."""

    early: Exported
    overlap: Exported
    whole: Exported
    part: Exported
    seconds: tuple[MlDsa44Key, ...]
    early_keys: bytes
    late_keys: bytes

    @property
    def first(self) -> VerifierKey:
        return self.early.keys[0]


@pytest.fixture(scope="module")
def rotated(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Rotated:
    return asyncio.run(_rotate(module_database, tmp_path_factory.mktemp("rotated") / "data"))


def public_keys(house: House) -> bytes:
    return write_public_keys(house.keyring.first, house.keyring.statements)


async def _write(house: House) -> None:
    await note_in_house(house, house.store, "house.tried", WHO, {})
    await house.sealer.round()


async def _rotate(database: Database, folder: Path) -> Rotated:
    async with a_house(folder, database, running=False) as house:
        auditor, _ = await an_auditor(house)
        await _write(house)
        early = await exported(house, auditor, HOUSE, NO_CASES)
        early_keys, seconds = public_keys(house), house.log_keys.seconds
        await begin_rotation(house, WHO)
    async with a_house(folder, database, running=False) as house:
        await _write(house)
        overlap = await exported(house, auditor, HOUSE, NO_CASES)
        await finish_rotation(house, WHO)
    async with a_house(folder, database, running=False) as house:
        await _write(house)
        await begin_rotation(house, WHO)
    async with a_house(folder, database, running=False) as house:
        await _write(house)
        await finish_rotation(house, WHO)
        with pytest.raises(ConflictError, match="restart it with the present folder"):
            # As a process that has the first key alone and was never restarted.
            await make_export(_with_signer(house, early.signer), auditor, HOUSE, BytesIO())
    async with a_house(folder, database, running=False) as house:
        await _write(house)
        whole = await exported(house, auditor, Selection(), NO_CASES)
        part = await exported(house, auditor, HOUSE, NO_CASES)
        seconds += house.log_keys.seconds
        return Rotated(early, overlap, whole, part, seconds, early_keys, public_keys(house))


def _with_signer(house: House, signer: Signer) -> House:
    return replace(house, log_keys=replace(house.log_keys, signers=(signer,)))


def verified(made: Exported, trusted: VerifierKey, folder: Path, content: bytes | None = None) -> Verified:
    path = folder / "export.zip"
    path.write_bytes(made.content if content is None else content)
    return verify(path, (trusted,))


def refused(made: Exported, trusted: VerifierKey, folder: Path, content: bytes) -> str:
    with pytest.raises(ExportRefusedError) as refusal:
        verified(made, trusted, folder, content)
    return "\n".join(refusal.value.findings)


# --- followed -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["early", "overlap", "whole", "part"])
def test_who_trusts_the_first_key_alone_verifies_every_export_anywhere(
    rotated: Rotated, bare: Bare, which: str
) -> None:
    made: Exported = getattr(rotated, which)
    folder = bare.unpacked(made)
    (bare.folder / "early.keys").write_bytes(rotated.early_keys)
    (bare.folder / "late.keys").write_bytes(rotated.late_keys)
    steps = {"early": 0, "overlap": 1}.get(which, 4)
    for place in ("export.zip", str(folder)):
        for given in (
            ("--key", rotated.first.encode()),
            ("--keys", "early.keys"),
            ("--keys", "late.keys"),
            ("--key", STRANGER.verifier_key, "--key", rotated.first.encode()),
        ):
            ran = bare.verify(bare.folder / "verifier.py", place, *given, "--json")
            assert ran.returncode == 0, ran.stdout + ran.stderr
            said = json.loads(ran.stdout)
            assert said["statements_about_keys"] == steps
            assert said["second_signature"] == "good"
            assert said["signed_by"].endswith(made.keys[0].key_id.hex())


def test_the_whole_log_verifies_with_every_checkpoint_from_the_first_key(
    rotated: Rotated, tmp_path: Path
) -> None:
    found = verified(rotated.whole, rotated.first, tmp_path).evidence
    assert found.manifest.whole
    assert found.checkpoints >= 6
    assert found.followed == 4
    assert found.signer != rotated.first


def test_another_key_is_refused_and_told_what_came_and_what_to_do(rotated: Rotated, bare: Bare) -> None:
    bare.unpacked(rotated.whole)
    ran = bare.verify(bare.folder / "verifier.py", "export.zip", "--key", STRANGER.verifier_key)
    assert ran.returncode == 1
    newest = rotated.whole.keys[0]
    for word in (STRANGER.verifier_key.split("+")[1], newest.key_id.hex(), "keys export-public", "--keys"):
        assert word in ran.stdout
    told = refused(
        rotated.whole, VerifierKey.parse(STRANGER.verifier_key), bare.folder, rotated.whole.content
    )
    for word in ("no known key", newest.key_id.hex(), "keys export-public"):
        assert word in told


def test_a_later_key_does_not_make_an_older_archive_run(rotated: Rotated, bare: Bare) -> None:
    """A retired key may be in other hands: what it signed runs for nobody who trusts its successor."""
    bare.unpacked(rotated.early)
    ran = bare.verify(bare.folder / "verifier.py", "export.zip", "--key", rotated.whole.keys[0].encode())
    assert ran.returncode == 1
    assert "no known key" in ran.stdout


@pytest.mark.parametrize(
    ("content", "status", "word"),
    [
        (None, 2, "no.keys"),
        (b"", 1, "expected verifier keys"),
        (b"arbiter/log-keys/v1\nfirst nonsense\n", 1, "expected verifier keys"),
        (b"arbiter/log-keys/v2\n", 1, "expected verifier keys"),
        (b"\xff\xfe", 1, "expected verifier keys"),
    ],
    ids=["missing", "empty", "no key in it", "another version", "no text"],
)
def test_a_file_of_keys_that_is_none_is_told_of(
    rotated: Rotated, bare: Bare, content: bytes | None, status: int, word: str
) -> None:
    bare.unpacked(rotated.early)
    if content is not None:
        (bare.folder / "no.keys").write_bytes(content)
    ran = bare.verify(bare.folder / "verifier.py", "export.zip", "--keys", "no.keys")
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert word in ran.stdout + ran.stderr


def test_a_file_of_keys_with_another_history_is_refused(rotated: Rotated, bare: Bare) -> None:
    """Two statements of one number: the log has told different people different things."""
    bare.unpacked(rotated.whole)
    old = (rotated.first, VerifierKey.parse(rotated.seconds[0].verifier_key))
    lie = next_rotation([], Act.OVERLAP, 1, old, STRANGERS).sign(rotated.early.signer, STRANGER)
    (bare.folder / "other.keys").write_bytes(write_public_keys(old, [lie]))
    ran = bare.verify(bare.folder / "verifier.py", "export.zip", "--keys", "other.keys")
    assert ran.returncode == 1
    assert "key rotation 1" in ran.stdout
    assert "ask who runs the log" in ran.stdout


# --- forged ---------------------------------------------------------------------------------------------------------


def stated(made: Exported) -> list[StatedInLog]:
    return [StatedInLog.parse(line) for line in made.members()[STATEMENTS].splitlines()]


def with_statements(made: Exported, statements: list[StatedInLog]) -> dict[str, bytes]:
    return made.members() | {STATEMENTS: b"".join(statement.line() for statement in statements)}


@pytest.mark.parametrize("left_out", [0, 1, 2, 3])
def test_a_statement_left_out_of_the_whole_log_is_refused(
    rotated: Rotated, left_out: int, tmp_path: Path
) -> None:
    """By whoever holds the newest key: an end that is not told of would leave a stolen key believed."""
    made = rotated.whole
    kept = [statement for number, statement in enumerate(stated(made)) if number != left_out]
    forged = signed_again(made, with_statements(made, kept))
    assert refused(made, made.keys[0], tmp_path, forged)
    assert refused(made, rotated.first, tmp_path, forged)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda all_: all_[::-1], "order"),
        (lambda all_: [all_[0], *all_], "order"),
        (lambda all_: [replace(all_[0], salt=b"x" * 32), *all_[1:]], "commits to"),
        (lambda all_: [replace(all_[0], hashes=all_[1].hashes), *all_[1:]], "does not hold it"),
        (lambda all_: [replace(all_[0], index=all_[0].index + 1), *all_[1:]], "does not hold it"),
        (lambda all_: [*all_, replace(all_[-1], index=all_[-1].index + 1)], "key rotation 5"),
        (
            lambda all_: [replace(all_[0], content=all_[0].content.replace(b"size ", b"size 9")), *all_[1:]],
            "key rotation 1",
        ),
        (lambda all_: [replace(all_[0], content=all_[2].content), *all_[1:]], "key rotation 1"),
    ],
    ids=[
        "reordered",
        "twice",
        "other salt",
        "other path",
        "other place",
        "at the end",
        "other size",
        "swapped",
    ],
)
def test_statements_that_are_not_the_logs_are_refused(
    rotated: Rotated,
    change: Callable[[list[StatedInLog]], list[StatedInLog]],
    told: str,
    tmp_path: Path,
) -> None:
    made = rotated.whole
    forged = signed_again(made, with_statements(made, change(stated(made))))
    assert told in refused(made, made.keys[0], tmp_path, forged)


def forged_from(rotated: Rotated, lie: bytes) -> bytes:
    """An archive that a stranger signed throughout, with a statement that is to lead from the first key to theirs."""
    made = Exported(rotated.early.content, STRANGER, NO_CASES)
    entry = stated(rotated.whole)[0]
    members = with_statements(made, [replace(entry, content=lie, hashes=())])
    note = members[CHECKPOINT]
    checkpoint = open_checkpoint(note, rotated.early.keys).checkpoint
    members[KEYS] = f"{STRANGER.verifier_key}\n".encode()
    return signed_again(made, members | {CHECKPOINT: signed(checkpoint, STRANGER, STRANGERS_SECOND)})


@pytest.mark.parametrize("signers", ["new alone", "old alone", "both, for another log", "none of both"])
def test_a_forged_rotation_leads_to_no_key(rotated: Rotated, signers: str, tmp_path: Path) -> None:
    old = (rotated.first, VerifierKey.parse(rotated.seconds[0].verifier_key))
    new = STRANGERS[0]
    rotation = next_rotation([], Act.OVERLAP, 1, old, STRANGERS)
    by = {
        "new alone": (STRANGER, STRANGER),
        "old alone": (rotated.early.signer, rotated.early.signer),
        "both, for another log": (rotated.early.signer, STRANGER),
        "none of both": (Ed25519NoteSigner(new.name, b"1" * 32), Ed25519NoteSigner(new.name, b"2" * 32)),
    }
    if signers == "both, for another log":
        rotation = replace(rotation, origin="log.other.example/arbiter")
    content = forged_from(rotated, rotation.sign(*by[signers]))
    told = refused(rotated.early, rotated.first, tmp_path, content)
    assert "key rotation 1" in told or "no known key" in told
    with pytest.raises(RefusedError, match="no known key"):
        check_archive(tmp_path / "export.zip", [rotated.first.encode()])
    # Who trusts the stranger gets as far as the statement, and no further.
    assert "no known key" not in refused(rotated.early, new, tmp_path, content)


def test_a_rotation_that_both_keys_signed_and_the_log_does_not_hold_is_refused(
    rotated: Rotated, tmp_path: Path
) -> None:
    """By whoever stole the first key: they have to show the entry too, and the log's readers see it."""
    old = (rotated.first, VerifierKey.parse(rotated.seconds[0].verifier_key))
    lie = next_rotation([], Act.OVERLAP, 1, old, STRANGERS).sign(rotated.early.signer, STRANGER)
    content = forged_from(rotated, lie)
    told = refused(rotated.early, rotated.first, tmp_path, content)
    assert "commits to" in told
    # And who has the keys as the house publishes them knows of another rotation.
    assert Rotation.parse(parse_note(lie).text).number == 1
    history = KeyHistory(old, tuple(s.content for s in stated(rotated.whole)))
    assert len(history.keys) == 6


def test_a_retired_key_signs_no_newer_export(rotated: Rotated, tmp_path: Path) -> None:
    whole = rotated.whole
    thief = Exported(whole.content, rotated.early.signer, NO_CASES)
    content = signed_again(thief, whole.members())
    for trusted in (rotated.first, whole.keys[0]):
        told = refused(whole, trusted, tmp_path, content)
        assert "may sign sizes from 0 to" in told


def test_a_replaced_key_signs_no_export_for_whoever_trusts_its_successor_alone(
    rotated: Rotated, tmp_path: Path
) -> None:
    """A retired key's thief shows the log as it was during the rotation: nothing there says that the key was retired."""
    made = rotated.overlap
    second = made.keys[0]
    thief = Exported(made.content, rotated.early.signer, NO_CASES)
    content = signed_again(thief, made.members())
    assert second != rotated.first
    told = refused(made, second, tmp_path, content)
    assert "which the key that you gave has replaced" in told
    assert "keys export-public" in told
    # What the successor signed itself is believed, with the checkpoints before it; and the old key by whoever gives it.
    assert verified(made, second, tmp_path).evidence.trusted
    assert verified(made, rotated.first, tmp_path, content).evidence.signer == rotated.first


# --- the second signature -------------------------------------------------------------------------------------------


def with_newest(made: Exported, note: bytes) -> dict[str, bytes]:
    """The members with another newest note, in every proof and event too, as whoever makes an export writes them."""
    members = made.members()
    events = []
    for line in members[ENTRIES].splitlines():
        shown = ExportedEntry.parse(line)
        proof = replace(TlogProof.parse(members[proof_name(shown.index)]), checkpoint=note)
        members[proof_name(shown.index)] = proof.encode()
        origin = made.signer.name
        events.append(event_line(shown, Entry.from_bytes(shown.body), proof, origin))
    return members | {CHECKPOINT: note, EVENTS: b"".join(events)}


def signed(checkpoint: Checkpoint, first: Signer, *seconds: MlDsa44Key, at: int = 1_700_000_000) -> bytes:
    return sign_checkpoint(checkpoint, [first, *(second.at(at) for second in seconds)])


def test_published_checkpoints_and_exported_ones_carry_both_signatures(
    rotated: Rotated, tmp_path: Path
) -> None:
    for made in (rotated.early, rotated.overlap, rotated.whole):
        lines = parse_note(made.members()[CHECKPOINT]).signatures
        sizes = sorted(len(line.signature) for line in lines)
        assert sizes == ([64, 64, 2428, 2428] if made is rotated.overlap else [64, 2428])
        for name, content in made.members().items():
            if name.startswith("proofs/"):
                assert TlogProof.parse(content).checkpoint == made.members()[CHECKPOINT]


def test_the_second_signature_made_at_another_time_is_as_good(rotated: Rotated, tmp_path: Path) -> None:
    made = rotated.early
    checkpoint = made.manifest().checkpoint
    note = signed(checkpoint, made.signer, rotated.seconds[0])
    assert note != made.members()[CHECKPOINT]
    found = verified(made, rotated.first, tmp_path, signed_again(made, with_newest(made, note)))
    assert found.evidence.second is Second.GOOD


@pytest.mark.parametrize(
    ("forge", "told"),
    [
        (lambda c, first, second: signed(c, first), "lacks the ML-DSA-44 signature"),
        (
            lambda c, first, second: signed(c, first, MlDsa44Key(c.origin, b"9" * 32)),
            "lacks the ML-DSA-44 signature",
        ),
        (
            lambda c, first, second: signed(c, first, MlDsa44Key("log.other.example", b"9" * 32)),
            "lacks the ML-DSA-44 signature",
        ),
        (
            lambda c, first, second: sign_checkpoint(
                c, [first], parse_note(signed(replace(c, size=c.size + 1), first, second)).signatures[1:]
            ),
            "bad signature",
        ),
        (
            lambda c, first, second: sign_checkpoint(
                c, [first], parse_note(signed(replace(c, root=bytes(32)), first, second)).signatures[1:]
            ),
            "bad signature",
        ),
    ],
    ids=["stripped", "another key", "another log's key", "over another size", "over another root"],
)
def test_a_second_signature_that_is_not_the_logs_over_this_is_refused(
    rotated: Rotated, forge: Callable[[Checkpoint, Signer, MlDsa44Key], bytes], told: str, tmp_path: Path
) -> None:
    """By whoever broke Ed25519, and holds the first key by that."""
    made = rotated.early
    note = forge(made.manifest().checkpoint, made.signer, rotated.seconds[0])
    forged = signed_again(made, with_newest(made, note))
    assert told in refused(made, rotated.first, tmp_path, forged)


def test_a_second_key_exchanged_in_the_archive_does_not_pass_for_the_one_that_was_given(
    rotated: Rotated, tmp_path: Path
) -> None:
    made, evil = rotated.early, MlDsa44Key(rotated.early.signer.name, b"9" * 32)
    note = signed(made.manifest().checkpoint, made.signer, evil)
    members = with_newest(made, note) | {KEYS: f"{made.signer.verifier_key}\n{evil.verifier_key}\n".encode()}
    path = tmp_path / "export.zip"
    path.write_bytes(signed_again(made, members))
    # With Ed25519's key alone, its holder's word is all there is.
    assert verify(path, (rotated.first,)).evidence.second is Second.GOOD
    with pytest.raises(ExportRefusedError, match="ML-DSA-44"):
        verify(path, (rotated.first, VerifierKey.parse(rotated.seconds[0].verifier_key)))


NOT_SUPPORTED = (
    "    def mldsa_supported(self) -> bool:\n        return False\n\n    def _mldsa_was(self) -> bool:\n"
)


@pytest.mark.parametrize("lacks", ["the module", "the algorithm"])
def test_where_the_library_lacks_it_that_is_said_and_the_rest_is_checked(
    rotated: Rotated, bare: Bare, lacks: str, tmp_path: Path
) -> None:
    """As releases before 47.0.0, and as that one, whose wheels have the module without the algorithm."""
    packages = tmp_path / "older"
    shutil.copytree(bare.packages, packages)
    hazmat = packages / "cryptography" / "hazmat"
    if lacks == "the module":
        (hazmat / "primitives" / "asymmetric" / "mldsa.py").unlink()
    else:
        backend = hazmat / "backends" / "openssl" / "backend.py"
        text = backend.read_text()
        assert "    def mldsa_supported(self) -> bool:\n" in text
        backend.write_text(text.replace("    def mldsa_supported(self) -> bool:\n", NOT_SUPPORTED))
    older = Bare(packages, bare.folder)
    made = rotated.overlap
    older.unpacked(made)
    (bare.folder / "early.keys").write_bytes(rotated.early_keys)
    ran = older.verify(bare.folder / "verifier.py", "export.zip", "--keys", "early.keys")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "second signature (ML-DSA-44): NOT CHECKED" in ran.stdout
    assert "48.0.0" in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("VERIFIED: ")
    # A line that cannot be checked has to stand there all the same.
    checkpoint = rotated.early.manifest().checkpoint
    stripped = with_newest(rotated.early, signed(checkpoint, rotated.early.signer))
    older.unpacked(rotated.early, signed_again(rotated.early, stripped))
    ran = older.verify(bare.folder / "verifier.py", "export.zip", "--keys", "early.keys")
    assert ran.returncode == 1
    assert "lacks the ML-DSA-44 signature" in ran.stdout


def test_the_keys_named_are_those_of_the_log(rotated: Rotated) -> None:
    kinds = [VerifierKey.parse(line).type for line in rotated.whole.members()[KEYS].decode().split()]
    assert kinds.count(SignatureType.ED25519) == kinds.count(SignatureType.MLDSA44_COSIGNATURE) == 3
