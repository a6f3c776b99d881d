"""Checks an export from its members and verifier keys alone, and names everything that is wrong.

In order: the keys, the manifest and its signature, each member's size and hash, the checkpoints, then in one pass over
the entries their form, hash, proof, place in their case's chain and in the other members that are made of them; then
the tiles, and the decrypted documents against the commitments. What the first steps refuse is not read further.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from arbiter.audit.canonical import parse_canonical
from arbiter.audit.checkpoint import Checkpoint, OpenedCheckpoint, open_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.export import layout
from arbiter.audit.export.chains import Chains, ChainShown
from arbiter.audit.export.events import event_line
from arbiter.audit.export.layout import ExportedEntry
from arbiter.audit.export.manifest import MAX_MANIFEST_BYTES, Manifest, check_manifest
from arbiter.audit.fields import field_of
from arbiter.audit.merkle import prove_inclusion, verify_inclusion
from arbiter.audit.note import VerifierKey, decode_base64
from arbiter.audit.openings import Disclosed, misfits
from arbiter.audit.proof import TlogProof
from arbiter.audit.recovery import Recovery
from arbiter.audit.tiles import TILE_WIDTH, Tile, TileNodes, encode_bundle, tile_width
from arbiter.audit.verify import LogRefusedError, LogVerifier, Row
from arbiter.errors import VerificationError

MOST_FINDINGS = 50
MAX_NOTE_BYTES = 1_000_000
_ROWS = 2_000

__all__ = ["Evidence", "ExportRefusedError", "Members", "check_export"]


class Members(Protocol):
    """An export's members, wherever they lie. Each raises `VerificationError` for a member that cannot be read."""

    def names(self) -> Sequence[str]:
        """Return every member's name, as often as there is one."""
        ...

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes."""
        ...


class ExportRefusedError(VerificationError):
    """The export does not check out; `findings` say all that was found, the message the first."""

    def __init__(self, findings: Sequence[str]) -> None:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(findings[0] + more)
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an export shows once everything checks out.

    `trusted` says whether keys came from elsewhere than the export. Of a whole log `recoveries` say where it lost
    entries. `chains` are the cases' chains by name; `disclosed` the decrypted documents by case, with the case's entries
    shown.
    """

    manifest: Manifest
    opened: OpenedCheckpoint
    trusted: bool
    checkpoints: int
    recoveries: tuple[Recovery, ...]
    chains: tuple[ChainShown, ...]
    disclosed: dict[str, tuple[tuple[Entry, ...], tuple[Disclosed, ...]]]

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint under which every entry was shown to stand."""
        return self.opened.checkpoint


def check_export(members: Members, trusted: Sequence[VerifierKey] = ()) -> Evidence:
    """Check an export and return what it shows; `trusted` are keys from elsewhere, and then the only ones believed.

    Raises:
        ExportRefusedError: with what is wrong, up to `MOST_FINDINGS`.
    """
    try:
        return _Check(members, tuple(trusted)).run()
    except ExportRefusedError:
        raise
    except VerificationError as error:
        raise ExportRefusedError([str(error)]) from error


def read_whole(members: Members, name: str, limit: int = MAX_MANIFEST_BYTES) -> bytes:
    """Return a member's bytes; raises `VerificationError` for one that is not there or longer than `limit`."""
    found = bytearray()
    for chunk in members.chunks(name):
        found += chunk
        if len(found) > limit:
            raise VerificationError(f"{name}: expected at most {limit} bytes")
    return bytes(found)


def lines_of(members: Members, name: str) -> Iterator[bytes]:
    """Yield a member's lines without their ends; raises `VerificationError` for one that no line end closes."""
    rest = b""
    for chunk in members.chunks(name):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > MAX_MANIFEST_BYTES:
            raise VerificationError(f"{name}: a line without end")
    if rest:
        raise VerificationError(f"{name}: its last line has no end")


def keys_of(members: Members) -> tuple[VerifierKey, ...]:
    """Return the keys that an export carries; raises `VerificationError` for none, or a line that is none."""
    keys = tuple(
        VerifierKey.parse(line.decode("utf-8", "replace")) for line in lines_of(members, layout.KEYS)
    )
    if not keys:
        raise VerificationError(f"{layout.KEYS}: expected at least one verifier key")
    return keys


@dataclass(slots=True)
class _Check:
    members: Members
    trusted: tuple[VerifierKey, ...]
    findings: list[str] = field(default_factory=list)
    names: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)

    def run(self) -> Evidence:
        verifiers = self.trusted or keys_of(self.members)
        manifest = self._manifest(verifiers)
        self._refuse_if_wrong()
        note = read_whole(self.members, layout.CHECKPOINT, MAX_NOTE_BYTES)
        opened = open_checkpoint(note, verifiers)
        if opened.checkpoint != manifest.checkpoint:
            raise VerificationError("the newest checkpoint is not the one that the manifest names")
        verifier = self._log_verifier(manifest, verifiers)
        entries = _Entries(self, manifest, note, opened.checkpoint, verifier)
        entries.run()
        checkpoints = 1
        recoveries: tuple[Recovery, ...] = ()
        if verifier is not None:
            try:
                report = verifier.finish()
                checkpoints, recoveries = report.checkpoints, report.recoveries
            except LogRefusedError as error:
                for finding in error.findings:
                    self.found(finding.detail)
        self._counts(manifest, entries)
        disclosed = self._documents(manifest, entries)
        self._unused(manifest)
        self._refuse_if_wrong()
        return Evidence(
            manifest=manifest,
            opened=opened,
            trusted=bool(self.trusted),
            checkpoints=checkpoints,
            recoveries=recoveries,
            chains=tuple(entries.chains.shown()),
            disclosed=disclosed,
        )

    def found(self, detail: str) -> None:
        self.findings.append(detail)
        if len(self.findings) >= MOST_FINDINGS:
            raise ExportRefusedError(self.findings)

    def _refuse_if_wrong(self) -> None:
        if self.findings:
            raise ExportRefusedError(self.findings)

    def _manifest(self, verifiers: Sequence[VerifierKey]) -> Manifest:
        content = read_whole(self.members, layout.MANIFEST)
        note = read_whole(self.members, layout.MANIFEST_NOTE, MAX_NOTE_BYTES)
        origin = check_manifest(note, sha256(content).hexdigest(), len(content), verifiers)
        manifest = Manifest.parse(content)
        if manifest.checkpoint.origin != origin:
            raise VerificationError(
                f"the manifest is of {manifest.checkpoint.origin} and was signed by {origin}"
            )
        self._members(manifest)
        return manifest

    def _members(self, manifest: Manifest) -> None:
        there = Counter(self.members.names())
        self.names = frozenset(there)
        stated = {member.name: member for member in manifest.members}
        own = {layout.MANIFEST, layout.MANIFEST_NOTE}
        for name in sorted(name for name, times in there.items() if times > 1):
            self.found(f"{name}: a member of that name more than once")
        for name in sorted(self.names - stated.keys() - own):
            self.found(f"{name}: ADDED, the manifest knows no such member")
        for name, member in stated.items():
            if name not in self.names:
                self.found(f"{name}: GONE, the manifest lists it")
                continue
            digest, size = sha256(), 0
            for chunk in self.members.chunks(name):
                digest.update(chunk)
                size += len(chunk)
            if (size, digest.hexdigest()) != (member.size, member.sha256):
                self.found(f"{name}: its bytes are not those that the manifest lists")

    def _log_verifier(self, manifest: Manifest, verifiers: Sequence[VerifierKey]) -> LogVerifier | None:
        if not manifest.whole:
            return None
        notes = (layout.parse_note_line(line) for line in lines_of(self.members, layout.ALL_CHECKPOINTS))
        statements = layout.parse_statements(read_whole(self.members, layout.RECOVERIES))
        return LogVerifier(notes, verifiers, statements=statements)

    def _counts(self, manifest: Manifest, entries: _Entries) -> None:
        if entries.count != manifest.entries:
            self.found(f"expected {manifest.entries} entries as the manifest says, came {entries.count}")
        if len(entries.chains) != manifest.chains:
            self.found(f"expected {manifest.chains} chains as the manifest says, came {len(entries.chains)}")
        if manifest.whole and entries.count != manifest.checkpoint.size:
            self.found("the manifest calls the log whole, and entries are missing")
        if not manifest.selection.picks:
            for case in manifest.selection.cases:
                if case not in entries.chains:
                    self.found(f"case {case}: selected, and none of its entries is shown")

    def _documents(
        self, manifest: Manifest, entries: _Entries
    ) -> dict[str, tuple[tuple[Entry, ...], tuple[Disclosed, ...]]]:
        disclosed: dict[str, tuple[tuple[Entry, ...], tuple[Disclosed, ...]]] = {}
        count = 0
        for case in sorted(entries.opened):
            documents = tuple(self._case_documents(case))
            count += len(documents)
            for misfit in misfits(entries.opened[case], documents):
                self.found(f"case {case}, entry {misfit.seq}: {misfit.name}: {misfit.detail}")
            disclosed[case] = (tuple(entries.opened[case]), documents)
        if count != manifest.payloads:
            self.found(f"expected {manifest.payloads} documents as the manifest says, came {count}")
        if count and not manifest.selection.payloads:
            self.found("documents are shown that nobody asked for")
        return disclosed

    def _case_documents(self, case: str) -> Iterator[Disclosed]:
        place = layout.salts_name(case)
        self.used.add(place)
        salts = parse_canonical(read_whole(self.members, place))
        if not isinstance(salts, dict):
            raise VerificationError(f"{place}: expected an object of salts")
        for key in salts:
            number, _, name = key.partition("-")
            seq, salt = layout.parse_number(number), field_of(salts, key, str, place)
            member = layout.payload_name(case, seq, name)
            self.used.add(member)
            yield Disclosed(seq, name, decode_base64(salt), read_whole(self.members, member))

    def _unused(self, manifest: Manifest) -> None:
        """Refuse members that look like evidence and that nothing above has read."""
        for member in manifest.members:
            name = member.name
            evidence = name.startswith(
                ("tile/", layout.PROOFS_FOLDER, layout.PAYLOADS_FOLDER, "checkpoints/")
            )
            if evidence and name not in self.used and name not in _READ_ABOVE:
                self.found(f"{name}: belongs to no entry shown")


_READ_ABOVE = {layout.CHECKPOINT, layout.ALL_CHECKPOINTS, layout.RECOVERIES, layout.PROOFS}


class _Entries:
    """The pass over the entries, in step with every member that has something of each."""

    def __init__(
        self,
        check: _Check,
        manifest: Manifest,
        note: bytes,
        checkpoint: Checkpoint,
        verifier: LogVerifier | None,
    ) -> None:
        self._check = check
        self._manifest = manifest
        self._note = note
        self._checkpoint = checkpoint
        self._verifier = verifier
        self._nodes = TileNodes(checkpoint.size, self._tile)
        self._bundle: list[bytes] = []
        self._rows: list[Row] = []
        self._last = -1
        self.count = 0
        self.chains = Chains(picked=manifest.selection.picks)
        prefix, salts = layout.PAYLOADS_FOLDER, f"/{layout.SALTS}"
        self.opened: dict[str, list[Entry]] = {
            name.removeprefix(prefix).removesuffix(salts): []
            for name in check.names
            if name.startswith(prefix) and name.endswith(salts)
        }

    def run(self) -> None:
        members = self._check.members
        table = lines_of(members, layout.TABLE)
        events = lines_of(members, layout.EVENTS)
        proofs = (
            map(layout.parse_proof_line, lines_of(members, layout.PROOFS))
            if layout.PROOFS in self._check.names
            else None
        )
        if next(table, b"") + b"\n" != layout.table_head():
            self._check.found(f"{layout.TABLE}: another heading")
        for line in lines_of(members, layout.ENTRIES):
            try:
                exported = ExportedEntry.parse(line)
                entry = Entry.from_bytes(exported.body)
                proof = self._proof(exported.index) if proofs is None else next(proofs, None)
                self._entry(exported, entry, proof)
                self._beside(exported, entry, proof, next(table, b""), next(events, b""))
            except ExportRefusedError:
                raise
            except VerificationError as error:
                self._check.found(f"line {self.count + 1} of {layout.ENTRIES}: {error}")
            self.count += 1
        for rest, name in ((table, layout.TABLE), (events, layout.EVENTS), (proofs or (), layout.PROOFS)):
            if next(iter(rest), None) is not None:
                self._check.found(f"{name}: has more than one line an entry")
        self._close_bundle()
        self._feed()

    def _entry(self, exported: ExportedEntry, entry: Entry, proof: TlogProof | None) -> None:
        place = f"entry {exported.index}"
        if exported.index <= self._last:
            raise VerificationError(f"{place}: repeated or out of order")
        self._last = exported.index
        if not self._manifest.selection.admits(entry):
            raise VerificationError(f"{place}: is not among what was selected")
        if proof is None or proof.index != exported.index or proof.checkpoint != self._note:
            raise VerificationError(f"{place}: has no proof of its own under the newest checkpoint")
        verify_inclusion(
            exported.hash, exported.index, self._checkpoint.size, proof.hashes, self._checkpoint.root
        )
        if (
            self._nodes(0, exported.index) != exported.hash
            or prove_inclusion(exported.index, self._checkpoint.size, self._nodes) != proof.hashes
        ):
            raise VerificationError(f"{place}: the tiles do not make its proof")
        self.chains.add(entry, exported)
        if entry.case in self.opened:
            self.opened[entry.case].append(entry)
        if self._verifier is not None:
            self._rows.append((exported.index, exported.body, exported.hash))
            self._bundled(exported)
            if len(self._rows) >= _ROWS:
                self._feed()

    def _beside(
        self, exported: ExportedEntry, entry: Entry, proof: TlogProof | None, row: bytes, event: bytes
    ) -> None:
        if row + b"\n" != layout.table_row(exported, entry):
            self._check.found(f"{layout.TABLE}: the row of entry {exported.index} does not say what it says")
        if proof is not None and event + b"\n" != event_line(exported, entry, proof, self._checkpoint.origin):
            self._check.found(f"{layout.EVENTS}: the event of entry {exported.index} is not made of it")

    def _feed(self) -> None:
        if self._verifier is not None:
            rows, self._rows = self._rows, []
            self._verifier.feed(rows)

    def _proof(self, index: int) -> TlogProof:
        name = layout.proof_name(index)
        self._check.used.add(name)
        return TlogProof.parse(read_whole(self._check.members, name, MAX_NOTE_BYTES))

    def _tile(self, tile: Tile) -> bytes:
        self._check.used.add(tile.path)
        if tile.path not in self._check.names:
            raise VerificationError(f"{tile.path}: a tile that a proof needs is not there")
        return read_whole(self._check.members, tile.path)

    def _bundled(self, exported: ExportedEntry) -> None:
        self._bundle.append(exported.body)
        if (exported.index + 1) % TILE_WIDTH == 0:
            self._close_bundle()

    def _close_bundle(self) -> None:
        if not self._bundle:
            return
        index = self._last // TILE_WIDTH
        tile = Tile(None, index, tile_width(None, index, self._checkpoint.size))
        self._check.used.add(tile.path)
        bodies, self._bundle = self._bundle, []
        if len(bodies) > TILE_WIDTH or read_whole(self._check.members, tile.path) != encode_bundle(bodies):
            self._check.found(f"{tile.path}: is not the bundle of its entries")
