"""An export is refused when anything of it is changed: by anybody without the log's key, and mostly by its holder too."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from arbiter.audit.canonical import canonical_bytes
from arbiter.audit.checkpoint import open_checkpoint, sign_checkpoint
from arbiter.audit.export.checking import ExportRefusedError, check_export
from arbiter.audit.export.layout import (
    ALL_CHECKPOINTS,
    CHECKPOINT,
    ENTRIES,
    EVENTS,
    KEYS,
    MANIFEST_NOTE,
    TABLE,
    ExportedEntry,
    payload_name,
    proof_name,
    salts_name,
)
from arbiter.audit.export.manifest import CONTAINER_PURPOSE, Manifest, Selection, sign_container
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey, open_note
from arbiter.documents.canonical import decode, encode
from arbiter.errors import VerificationError
from arbiter.verifying.containers import opened_archive
from arbiter.verifying.report import Verified, verify
from tests.exports import Exported, signed_again
from tests.verifying.conftest import Exports

Members = dict[str, bytes]


def verified(content: bytes, made: Exported, folder: Path) -> Verified:
    path = folder / "export.zip"
    path.write_bytes(content)
    return verify(path, made.keys)


def refused(content: bytes, made: Exported, folder: Path) -> str:
    with pytest.raises(ExportRefusedError) as refusal:
        verified(content, made, folder)
    return "\n".join(refusal.value.findings)


# --- by anybody ---------------------------------------------------------------------------------------------------


def places(content: bytes) -> Iterator[int]:
    """Every byte of the archive's own structures, and of its members' compressed data each 61st."""
    data: set[int] = set()
    with zipfile.ZipFile(BytesIO(content)) as archive:
        for info in archive.infolist():
            name = int.from_bytes(content[info.header_offset + 26 : info.header_offset + 28], "little")
            extra = int.from_bytes(content[info.header_offset + 28 : info.header_offset + 30], "little")
            start = info.header_offset + 30 + name + extra
            data.update(range(start, start + info.compress_size))
    for place in range(len(content)):
        if place not in data or place % 61 == 0:
            yield place


def test_a_flip_of_any_byte_of_the_file_is_refused(exports: Exports) -> None:
    content, keys = exports.case.content, exports.case.keys
    tried = 0
    for place in places(content):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        try:
            with opened_archive(BytesIO(changed), keys):
                pytest.fail(f"byte {place} of {len(content)} was changed and nobody noticed")
        except VerificationError:
            tried += 1
    assert tried > 10_000


def test_a_flip_is_refused_by_the_keys_inside_too(exports: Exports) -> None:
    content = exports.case.content
    for place in [*range(0, len(content), 997), *range(len(content) - 400, len(content))]:
        changed = bytearray(content)
        changed[place] ^= 0x40
        with pytest.raises(VerificationError), opened_archive(BytesIO(changed), ()):
            pass


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda content: content[:-1],
        lambda content: content + b"\n",
        lambda content: b"\0" + content,
        lambda content: content[: len(content) // 2],
        lambda content: content + content,
        lambda _content: b"",
        lambda _content: b"PK\x05\x06" + bytes(18),
        lambda content: content[: content.rfind(b"PK\x05\x06") + 20] + b"\0\0",
    ],
    ids=["shorter", "longer", "shifted", "half", "twice", "empty", "empty zip", "without its note"],
)
def test_a_file_of_another_extent_is_refused(
    exports: Exports, spoilt: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    refused(spoilt(exports.case.content), exports.case, tmp_path)


def test_another_logs_key_is_refused(exports: Exports, tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(exports.case.content)
    stranger = VerifierKey.parse(Ed25519NoteSigner("log.other.example", bytes(32)).verifier_key)
    namesake = VerifierKey.parse(Ed25519NoteSigner(exports.case.signer.name, bytes(32)).verifier_key)
    for key in (stranger, namesake):
        with pytest.raises(ExportRefusedError, match="known key"):
            verify(path, (key,))


def test_a_forger_who_signs_everything_with_a_key_of_their_own_is_refused_by_the_right_one(
    exports: Exports, tmp_path: Path
) -> None:
    forger = Ed25519NoteSigner(exports.case.signer.name, bytes(32))
    members = exports.case.members() | {KEYS: f"{forger.verifier_key}\n".encode()}
    note = exports.case.members()[CHECKPOINT]
    checkpoint = open_checkpoint(note, exports.case.keys).checkpoint
    members[CHECKPOINT] = sign_checkpoint(checkpoint, [forger])
    forged = signed_again(Exported(exports.case.content, forger, exports.case.cases), members)
    assert "known key" in refused(forged, exports.case, tmp_path)


def test_the_note_of_an_archive_is_no_checkpoint_and_no_manifests(exports: Exports) -> None:
    made = exports.case
    note = sign_container(made.signer.name, "0" * 64, 5, made.signer)
    assert open_note(note, made.keys).text.startswith(CONTAINER_PURPOSE)
    with pytest.raises(VerificationError):
        open_checkpoint(note, made.keys)
    with pytest.raises(ExportRefusedError, match="purpose"):
        check_export(InMemory(made.members() | {MANIFEST_NOTE: note}), made.keys)
    with pytest.raises(ExportRefusedError, match="purpose"):
        check_export(InMemory(made.members() | {MANIFEST_NOTE: made.members()[CHECKPOINT]}), made.keys)


class InMemory:
    """Members as a mapping."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def names(self) -> list[str]:
        return list(self._members)

    def chunks(self, name: str) -> Iterator[bytes]:
        if name not in self._members:
            raise VerificationError(f"{name}: there is no such member")
        yield self._members[name]


def test_a_member_dropped_added_renamed_or_changed_is_named(exports: Exports) -> None:
    made = exports.whole
    for name in made.members():
        members = made.members()
        content = members.pop(name)
        with pytest.raises(ExportRefusedError, match=name.rpartition("/")[2]):
            check_export(InMemory(members), made.keys)
        members[f"{name}x"] = content
        with pytest.raises(ExportRefusedError):
            check_export(InMemory(members), made.keys)
        del members[f"{name}x"]
        members[name] = content + b" "
        with pytest.raises(ExportRefusedError):
            check_export(InMemory(members), made.keys)
    with pytest.raises(ExportRefusedError, match="ADDED"):
        check_export(InMemory(made.members() | {"readme.txt": b"trust me"}), made.keys)


def test_a_member_that_stands_there_twice_is_refused(exports: Exports) -> None:
    class Twice(InMemory):
        def names(self) -> list[str]:
            return [*super().names(), ENTRIES]

    with pytest.raises(ExportRefusedError, match="more than once"):
        check_export(Twice(exports.case.members()), exports.case.keys)


# --- by whoever holds the log's key ----------------------------------------------------------------------------------


def lines(members: Members, name: str) -> list[bytes]:
    return members[name].splitlines(keepends=True)


def without_entry(members: Members, number: int) -> Members:
    """Leave out one entry and all that is made of it."""
    kept = dict(members)
    index = ExportedEntry.parse(lines(members, ENTRIES)[number].rstrip()).index
    kept[ENTRIES] = b"".join(line for i, line in enumerate(lines(members, ENTRIES)) if i != number)
    kept[TABLE] = b"".join(line for i, line in enumerate(lines(members, TABLE)) if i != number + 1)
    kept[EVENTS] = b"".join(line for i, line in enumerate(lines(members, EVENTS)) if i != number)
    del kept[proof_name(index)]
    return kept


def fewer(manifest: Manifest) -> Manifest:
    return replace(manifest, entries=manifest.entries - 1)


def test_signing_again_what_was_not_changed_verifies(exports: Exports, tmp_path: Path) -> None:
    for made in (exports.whole, exports.case, exports.picked):
        assert verified(signed_again(made, made.members()), made, tmp_path).evidence.trusted


@pytest.mark.parametrize("number", [0, 1, 4])
def test_an_entry_missing_at_the_beginning_or_in_the_middle_of_a_case_is_refused(
    exports: Exports, number: int, tmp_path: Path
) -> None:
    made = exports.case
    forged = signed_again(made, without_entry(made.members(), number), fewer)
    assert "seq" in refused(forged, made, tmp_path)


def test_an_end_cut_off_is_told_as_an_end_and_never_as_complete_beyond_it(
    exports: Exports, tmp_path: Path
) -> None:
    made = exports.picked
    whole = verified(made.content, made, tmp_path)
    assert whole.evidence.chains
    assert all(
        "picked out" in c.said() or "nothing can be said beyond" in c.said() for c in whole.evidence.chains
    )
    made = exports.case
    shown = verified(made.content, made, tmp_path).evidence.chains
    assert [(chain.complete, chain.closed) for chain in shown] == [(True, True)]
    cut = without_entry(made.members(), made.manifest().entries - 1)
    (chain,) = verified(signed_again(made, cut, fewer), made, tmp_path).evidence.chains
    assert chain.said().endswith("nothing can be said beyond")
    assert chain.last == shown[0].last - 1


def test_an_entry_missing_from_the_whole_log_is_refused(exports: Exports, tmp_path: Path) -> None:
    made = exports.whole
    last = made.manifest().entries - 1
    for number in (0, 7, last):
        refused(signed_again(made, without_entry(made.members(), number), fewer), made, tmp_path)


def test_a_manifest_that_counts_wrongly_is_refused(exports: Exports, tmp_path: Path) -> None:
    made = exports.case
    for change in (
        lambda m: replace(m, entries=m.entries + 1),
        lambda m: replace(m, chains=m.chains + 1),
        lambda m: replace(m, payloads=m.payloads - 1),
        lambda m: replace(m, whole=True),
        lambda m: replace(m, checkpoint=replace(m.checkpoint, size=m.checkpoint.size + 1)),
        lambda m: replace(m, selection=replace(m.selection, cases=("c_another",))),
        lambda m: replace(m, selection=Selection(cases=m.selection.cases)),
    ):
        refused(signed_again(made, made.members(), change), made, tmp_path)


def test_entries_in_another_order_repeated_or_changed_are_refused(exports: Exports, tmp_path: Path) -> None:
    made = exports.case
    members = made.members()
    given = lines(members, ENTRIES)
    first = ExportedEntry.parse(given[0].rstrip())
    other = ExportedEntry.of(first.index, first.body.replace(b"case.received", b"case.deceived"))
    for spoilt in (
        [given[1], given[0], *given[2:]],
        [given[0], *given],
        [other.line(), *given[1:]],
        [given[0].replace(b'"index":', b'"index": '), *given[1:]],
        [given[0].replace(first.hash.hex().encode(), b"0" * 64), *given[1:]],
    ):
        refused(signed_again(made, members | {ENTRIES: b"".join(spoilt)}), made, tmp_path)


def test_proofs_swapped_or_under_another_checkpoint_are_refused(exports: Exports, tmp_path: Path) -> None:
    made = exports.case
    members = made.members()
    indices = [ExportedEntry.parse(line.rstrip()).index for line in lines(members, ENTRIES)]
    one, two = proof_name(indices[0]), proof_name(indices[1])
    swapped = members | {one: members[two], two: members[one]}
    assert "proof" in refused(signed_again(made, swapped), made, tmp_path)
    older = lines(exports.whole.members(), ALL_CHECKPOINTS)[0]
    replaced = members[one].partition(b"\n\n")[0] + b"\n\n" + json.loads(older).encode()
    refused(signed_again(made, members | {one: replaced}), made, tmp_path)
    refused(signed_again(made, members | {CHECKPOINT: json.loads(older).encode()}), made, tmp_path)


def test_a_tile_changed_or_missing_is_refused(exports: Exports, tmp_path: Path) -> None:
    for made in (exports.case, exports.whole):
        members = made.members()
        tiles = [name for name in members if name.startswith("tile/")]
        assert tiles
        for name in tiles:
            flipped = bytes([members[name][0] ^ 1]) + members[name][1:]
            refused(signed_again(made, members | {name: flipped}), made, tmp_path)
            rest = {other: content for other, content in members.items() if other != name}
            refused(signed_again(made, rest), made, tmp_path)


def test_a_checkpoint_missing_or_forged_among_the_whole_logs_is_refused(
    exports: Exports, tmp_path: Path
) -> None:
    made = exports.whole
    members = made.members()
    given = lines(members, ALL_CHECKPOINTS)
    checkpoint = open_checkpoint(json.loads(given[0]).encode(), made.keys).checkpoint
    fork = sign_checkpoint(replace(checkpoint, root=bytes(32)), [made.signer]).decode()
    for spoilt in (given[:-1], [given[1], given[0], *given[2:]], [canonical_bytes(fork) + b"\n", *given[1:]]):
        refused(signed_again(made, members | {ALL_CHECKPOINTS: b"".join(spoilt)}), made, tmp_path)


def test_what_is_made_for_people_must_say_what_the_entries_say(exports: Exports, tmp_path: Path) -> None:
    made = exports.case
    members = made.members()
    for name, old, new in (
        (TABLE, b"case.decided", b"case.cancelled"),
        (EVENTS, b"case.decided", b"case.cancelled"),
        (EVENTS, b'"outcome":"0"', b'"outcome":"8"'),
    ):
        changed = members[name].replace(old, new)
        assert changed != members[name]
        assert name in refused(signed_again(made, members | {name: changed}), made, tmp_path)
        assert name in refused(signed_again(made, members | {name: members[name] * 2}), made, tmp_path)


def certificate_of(made: Exported) -> tuple[str, int]:
    prefix = f"payloads/{made.cases.decided}/"
    name = next(n for n in made.members() if n.startswith(prefix) and n.endswith("-certificate.json"))
    return name, int(name.removeprefix(prefix).partition("-")[0])


def test_a_certificate_changed_with_its_place_in_the_manifest_is_refused(
    exports: Exports, tmp_path: Path
) -> None:
    made = exports.case
    name, seq = certificate_of(made)
    document = decode(made.members()[name])
    document["decision"]["option"] = "urgent-review"
    forged = signed_again(made, made.members() | {name: encode(document)})
    assert f"entry {seq}: certificate: NOT WHAT" in refused(forged, made, tmp_path)


def test_a_document_of_another_case_another_name_or_with_another_salt_is_refused(
    exports: Exports, tmp_path: Path
) -> None:
    made, cases = exports.whole, exports.whole.cases
    members = made.members()
    one, other = payload_name(cases.decided, 0, "facts"), payload_name(cases.signed, 0, "facts")
    refused(signed_again(made, members | {one: members[other]}), made, tmp_path)
    request = payload_name(cases.decided, 0, "request")
    refused(signed_again(made, members | {one: members[request], request: members[one]}), made, tmp_path)
    salts = decode(members[salts_name(cases.decided)])
    salts["0-facts"], salts["0-request"] = salts["0-request"], salts["0-facts"]
    refused(signed_again(made, members | {salts_name(cases.decided): encode(salts)}), made, tmp_path)


def test_a_document_held_back_or_added_is_named(exports: Exports, tmp_path: Path) -> None:
    made = exports.case
    name, _ = certificate_of(made)
    salts_member = salts_name(made.cases.decided)
    salts = decode(made.members()[salts_member])
    key = name.rpartition("/")[2].removesuffix(".json")
    salt = salts.pop(key)
    rest = {n: content for n, content in made.members().items() if n != name}
    without = rest | {salts_member: encode(salts)}
    one_less = signed_again(made, without, lambda m: replace(m, payloads=m.payloads - 1))
    assert "GONE" in refused(one_less, made, tmp_path)
    added = made.members() | {
        salts_member: encode(salts | {key: salt, "0-praise": salt}),
        payload_name(made.cases.decided, 0, "praise"): b"{}",
    }
    one_more = signed_again(made, added, lambda m: replace(m, payloads=m.payloads + 1))
    assert "ADDED" in refused(one_more, made, tmp_path)


def test_a_protocol_or_rules_other_than_the_entries_name_are_refused(
    exports: Exports, tmp_path: Path
) -> None:
    made = exports.case
    members = made.members()
    names = [name for name in members if name.startswith("protocols/") and "fhir" not in name]
    assert len(names) >= 2, "a protocol and its rules"
    for name in names:
        old, new = (b"majority", b"unanimous") if b"majority" in members[name] else (b"a", b"b")
        changed = members[name].replace(old, new, 1)
        assert changed != members[name]
        told = refused(signed_again(made, members | {name: changed}), made, tmp_path)
        assert "RECOMPUTED" in told or "OTHER BYTES" in told, name
