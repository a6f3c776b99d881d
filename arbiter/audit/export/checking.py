"""Checks an export from its members and verifier keys alone, and names everything that is wrong.

In order: the keys and the statements that lead to them, the manifest and its signature, each member's size and hash, the
checkpoints, then in one pass over the entries their form, hash, proof, place in their case's chain and in the other
members that are made of them; then the tiles, and the decrypted documents against the commitments. What the first steps
refuse is not read further.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from arbiter.audit.canonical import parse_canonical
from arbiter.audit.checkpoint import Checkpoint, LogKey, OpenedCheckpoint
from arbiter.audit.entry import Entry
from arbiter.audit.export import layout
from arbiter.audit.export.believing import Trust, believed_keys, follows
from arbiter.audit.export.chains import Chains, ChainShown
from arbiter.audit.export.events import event_line
from arbiter.audit.export.layout import ExportedEntry
from arbiter.audit.export.manifest import Manifest, check_manifest
from arbiter.audit.export.newest import Newest, Second, open_newest
from arbiter.audit.export.reading import Members, keys_of, lines_of, read_whole, statements_of
from arbiter.audit.export.statements import StatedInLog, makes_statement, recoveries_of
from arbiter.audit.fields import field_of
from arbiter.audit.merkle import prove_inclusion, verify_inclusion
from arbiter.audit.note import MAX_NOTE_BYTES, VerifierKey, can_check, decode_base64
from arbiter.audit.openings import Disclosed, misfits
from arbiter.audit.proof import TlogProof
from arbiter.audit.recovery import Recovery
from arbiter.audit.tiles import TILE_WIDTH, Tile, TileNodes, encode_bundle, tile_width
from arbiter.audit.verify import LogRefusedError, LogVerifier, Row
from arbiter.errors import VerificationError

MOST_FINDINGS = 50
_ROWS = 2_000

__all__ = ["Evidence", "ExportRefusedError", "check_export", "keys_for"]


class ExportRefusedError(VerificationError):
    """The export does not check out; `findings` say all that was found, the message the first."""

    def __init__(self, findings: Sequence[str]) -> None:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(findings[0] + more)
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an export shows once everything checks out.

    `trusted` says whether keys came from elsewhere than the export, `signer` which key signed it, and `followed` how many
    statements about the log's keys it carries. Of a whole log `recoveries` say where it lost entries. `chains` are the cases' chains by name; `disclosed` the decrypted documents by case, with the case's entries
    shown.
    """

    manifest: Manifest
    opened: OpenedCheckpoint
    second: Second
    trusted: bool
    signer: VerifierKey
    followed: int
    checkpoints: int
    recoveries: tuple[Recovery, ...]
    chains: tuple[ChainShown, ...]
    disclosed: dict[str, tuple[tuple[Entry, ...], tuple[Disclosed, ...]]]

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint under which every entry was shown to stand."""
        return self.opened.checkpoint


def check_export(
    members: Members, trusted: Sequence[VerifierKey] = (), trust: Trust | None = None
) -> Evidence:
    """Check an export and return what it shows.

    `trusted` are keys from elsewhere, `trust` is the same with more to follow; what is given is all that is believed.

    Raises:
        ExportRefusedError: with what is wrong, up to `MOST_FINDINGS`.
    """
    try:
        return _Check(members, Trust(tuple(trusted)) if trust is None else trust).run()
    except ExportRefusedError:
        raise
    except VerificationError as error:
        raise ExportRefusedError([str(error)]) from error


def keys_for(members: Members, trust: Trust) -> tuple[VerifierKey, ...]:
    """Return the keys by which an export is checked; without any from elsewhere, those that it carries itself.

    Raises:
        VerificationError: for statements about keys that do not follow, or contradict what was brought along.
    """
    carried = keys_of(members)
    return believed_keys(trust if trust.given else Trust(carried), carried, statements_of(members))


@dataclass(slots=True)
class _Check:
    members: Members
    trust: Trust
    findings: list[str] = field(default_factory=list)
    names: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)
    statements: tuple[StatedInLog, ...] = ()

    def run(self) -> Evidence:
        verifiers = keys_for(self.members, self.trust)
        manifest, signer = self._manifest(verifiers)
        self._refuse_if_wrong()
        newest = open_newest(read_whole(self.members, layout.CHECKPOINT, MAX_NOTE_BYTES), verifiers)
        checkpoint = newest.opened.checkpoint
        if checkpoint != manifest.checkpoint:
            raise VerificationError("the newest checkpoint is not the one that the manifest names")
        self.statements = statements_of(self.members)
        for stated in self.statements:
            stated.verify(checkpoint)
        verifiers = tuple(key for key in verifiers if can_check(key.type))
        verifier = self._log_verifier(manifest, verifiers)
        entries = _Entries(self, manifest, newest, verifier)
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
            opened=newest.opened,
            second=newest.second,
            trusted=self.trust.given,
            signer=signer,
            followed=len(self.statements),
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

    def _manifest(self, verifiers: Sequence[VerifierKey]) -> tuple[Manifest, VerifierKey]:
        content = read_whole(self.members, layout.MANIFEST)
        note = read_whole(self.members, layout.MANIFEST_NOTE, MAX_NOTE_BYTES)
        signer = check_manifest(note, sha256(content).hexdigest(), len(content), verifiers)
        manifest = Manifest.parse(content)
        origin, size = manifest.checkpoint.origin, manifest.checkpoint.size
        if origin != signer.name:
            raise VerificationError(f"the manifest is of {origin} and was signed by {signer.name}")
        if not isinstance(signer, LogKey):
            raise VerificationError(
                f"{layout.STATEMENTS}: the statements about the keys of {origin} do not name {signer.key_id.hex()}, which "
                "signed the export"
            )
        if not signer.may_sign(size):
            last = "on" if signer.last_size is None else f"to {signer.last_size}"
            raise VerificationError(
                f"the export was signed by key {origin}+{signer.key_id.hex()}, which may sign sizes from "
                f"{signer.first_size} {last}, and its checkpoint has size {size}: somebody signs with a key that is not "
                "the log's any more, or not yet"
            )
        if self.trust.given and not follows(self.trust, verifiers, signer):
            raise VerificationError(
                f"the export was signed by key {origin}+{signer.key_id.hex()}, which the key that you gave has replaced: "
                "whoever has it since could have made this, and left out that it was retired. If the export is from before, "
                "give that key too, or the file that `arbiter keys export-public` writes"
            )
        self._members(manifest)
        return manifest, signer

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
        return LogVerifier(notes, verifiers, statements=recoveries_of(self.statements))

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
                ("tile/", "keys/", layout.PROOFS_FOLDER, layout.PAYLOADS_FOLDER, "checkpoints/")
            )
            if evidence and name not in self.used and name not in _READ_ABOVE:
                self.found(f"{name}: belongs to no entry shown")


_READ_ABOVE = {layout.CHECKPOINT, layout.ALL_CHECKPOINTS, layout.STATEMENTS, layout.PROOFS}


class _Entries:
    """The pass over the entries, in step with every member that has something of each."""

    def __init__(
        self,
        check: _Check,
        manifest: Manifest,
        newest: Newest,
        verifier: LogVerifier | None,
    ) -> None:
        self._check = check
        self._manifest = manifest
        # Proofs by the thousand carry the Ed25519 signature alone: the other one is seventeen times as long.
        self._note = newest.short if layout.PROOFS in check.names else newest.note
        self._checkpoint = checkpoint = newest.opened.checkpoint
        self._verifier = verifier
        self._stated = {stated.index: stated.body for stated in check.statements}
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
        if self._manifest.whole and self._stated:
            self._check.found(f"{layout.STATEMENTS}: states what no entry of the log does")

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
        if makes_statement(entry) and self._stated.pop(exported.index, None) != exported.body:
            raise VerificationError(
                f"{place}: an entry {entry.type}, and {layout.STATEMENTS} does not hold what it states"
            )
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
