"""Programs that no one here wrote accept our checkpoints, tiles and proofs, and refuse tampered ones."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from arbiter.audit.merkle import leaf_hash, prove_consistency, prove_inclusion, root_of
from arbiter.audit.note import Ed25519NoteSigner, parse_note
from arbiter.audit.tiles import (
    TILE_WIDTH,
    Tile,
    TileNodes,
    encode_bundle,
    tile_from_nodes,
    tile_width,
    tiles_of,
)
from tests.audit.go_checker import ConsistencyClaim, GoChecker, InclusionClaim, require_tool, write_log
from tests.audit.logs import KEYS, ORIGIN, SIGNER, example_entries, nodes_of, note_at
from tests.patience import PATIENCE_SECONDS

SIZES = (1, 2, 255, 256, 257, 1000, 66_000)


def tile_files(entries: Sequence[bytes], leaves: Sequence[bytes]) -> dict[str, bytes]:
    """Return all tiles and entry bundles of a log by path."""
    size, node = len(leaves), nodes_of(leaves)
    files = {tile.path: tile_from_nodes(tile, node) for tile in tiles_of(size)}
    for index in range(-(-size // TILE_WIDTH)):
        bundle = Tile(None, index, tile_width(None, index, size))
        start = index * TILE_WIDTH
        files[bundle.path] = encode_bundle(entries[start : start + bundle.width])
    return files


def export(folder: Path, size: int) -> None:
    """Write a log of `size` entries with proofs made from its tiles alone."""
    entries = example_entries(size) if size <= 1000 else [b"entry %d" % i for i in range(size)]
    leaves = [leaf_hash(entry) for entry in entries]
    files = tile_files(entries, leaves)
    node = TileNodes(size, lambda tile: files[tile.path])
    root = root_of(leaves)
    places = {0, 1, size // 3, 254, 255, 256, 257, 511, 512, 65_535, 65_536, size - 2, size - 1, size}
    inclusion = [
        InclusionClaim(i, size, root, leaves[i], prove_inclusion(i, size, node))
        for i in sorted(places)
        if 0 <= i < size
    ]
    consistency = [
        ConsistencyClaim(m, root_of(leaves[:m]), size, root, prove_consistency(m, size, node))
        for m in sorted(places)
        if 0 < m <= size
    ]
    write_log(folder, SIGNER.verifier_key, note_at(leaves, size), files, inclusion, consistency)


@pytest.mark.parametrize("size", SIZES)
def test_go_accepts_checkpoint_tiles_bundles_and_proofs(
    go_checker: GoChecker, tmp_path: Path, size: int
) -> None:
    export(tmp_path, size)
    summary = go_checker.accepts(tmp_path)
    assert f"{ORIGIN} at size {size}, {size} leaves, {size} entries" in summary


def test_go_accepts_every_proof_up_to_size_40(go_checker: GoChecker, tmp_path: Path) -> None:
    entries = example_entries(40)
    leaves = [leaf_hash(entry) for entry in entries]
    node, roots = nodes_of(leaves), [root_of(leaves[:n]) for n in range(41)]
    inclusion = [
        InclusionClaim(i, n, roots[n], leaves[i], prove_inclusion(i, n, node))
        for n in range(1, 41)
        for i in range(n)
    ]
    consistency = [
        ConsistencyClaim(m, roots[m], n, roots[n], prove_consistency(m, n, node))
        for n in range(1, 41)
        for m in range(1, n + 1)
    ]
    write_log(
        tmp_path,
        SIGNER.verifier_key,
        note_at(leaves, 40),
        tile_files(entries, leaves),
        inclusion,
        consistency,
    )
    assert go_checker.accepts(tmp_path).endswith("820 inclusion and 820 consistency proofs")


def test_go_accepts_the_empty_log(go_checker: GoChecker, tmp_path: Path) -> None:
    write_log(tmp_path, SIGNER.verifier_key, note_at((), 0), {})
    assert "at size 0" in go_checker.accepts(tmp_path)


def flip(path: str) -> Callable[[Path], None]:
    """Return a tampering that flips a bit in the middle of a file."""

    def tamper(folder: Path) -> None:
        data = bytearray((folder / path).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / path).write_bytes(data)

    return tamper


def cut(path: str) -> Callable[[Path], None]:
    """Return a tampering that cuts a file's last 32 bytes."""

    def tamper(folder: Path) -> None:
        (folder / path).write_bytes((folder / path).read_bytes()[:-32])

    return tamper


def swap_bundles(folder: Path) -> None:
    """Exchange two entry bundles."""
    first, second = (folder / "tile/entries" / name for name in ("000", "001"))
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)


def stranger(folder: Path) -> None:
    """Check against the key of another log of the same name."""
    (folder / "vkey").write_text(Ed25519NoteSigner(ORIGIN, b"s" * 32).verifier_key)


def grow(folder: Path) -> None:
    """Claim one more leaf in the signed note."""
    note = (folder / "checkpoint").read_text()
    (folder / "checkpoint").write_text(note.replace("\n1000\n", "\n1001\n"))


def mend(old: str, new: str) -> Callable[[Path], None]:
    """Return a tampering that replaces text in the proofs once."""

    def tamper(folder: Path) -> None:
        text = (folder / "proofs.json").read_text()
        assert old in text
        (folder / "proofs.json").write_text(text.replace(old, new, 1))

    return tamper


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (flip("tile/0/000"), "tiles: the leaves do not lead to the root"),
        (flip("tile/0/003.p/232"), "tiles: downloaded inconsistent tile"),
        (flip("tile/1/000.p/3"), "tiles: downloaded inconsistent tile"),
        (cut("tile/0/001"), "tiles:"),
        (cut("tile/entries/003.p/232"), "entry bundles: tile/entries/003.p/232: entry 231 is cut off"),
        (flip("tile/entries/002"), "entry bundles:"),
        (swap_bundles, "entry bundles: entry 0 does not hash to its leaf"),
        (stranger, "checkpoint:"),
        (grow, "checkpoint: invalid signature"),
        (flip("checkpoint"), "checkpoint:"),
        (lambda folder: (folder / "tile/0/002").unlink(), "tiles:"),
        (mend('"index": 254', '"index": 253'), "inclusion of leaf 253"),
        (mend('"old_size": 256', '"old_size": 255'), "consistency from size 255"),
        (mend('"proof": ["', '"proof": ["' + "A" * 43 + '=", "'), "inclusion of leaf 0"),
    ],
)
def test_go_refuses_a_tampered_log(
    go_checker: GoChecker, tmp_path: Path, tamper: Callable[[Path], None], reason: str
) -> None:
    export(tmp_path, 1000)
    go_checker.accepts(tmp_path)
    tamper(tmp_path)
    assert reason in go_checker.refuses(tmp_path)


def openssl_verifies(folder: Path, body: bytes, signature: bytes) -> bool:
    """Ask openssl whether `signature` is the log's over `body`."""
    public = Ed25519PublicKey.from_public_bytes(KEYS[0].public_key)
    (folder / "key.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (folder / "body").write_bytes(body)
    (folder / "signature").write_bytes(signature)
    command = [require_tool("openssl"), "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem"]
    done = subprocess.run(
        [*command, "-in", "body", "-sigfile", "signature"],
        cwd=folder,
        check=False,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
    )
    return done.returncode == 0


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 1000])
def test_openssl_accepts_the_checkpoints_signature_and_no_other(tmp_path: Path, size: int) -> None:
    leaves = [leaf_hash(b"%d" % i) for i in range(size)]
    note = parse_note(note_at(leaves, size))
    body, signature = note.text.encode(), note.signatures[0].signature
    assert openssl_verifies(tmp_path, body, signature)
    changed = body.replace(b"\n%d\n" % size, b"\n%d\n" % (size + 1))
    assert not openssl_verifies(tmp_path, changed, signature)
    assert not openssl_verifies(tmp_path, body, signature[:-1] + bytes([signature[-1] ^ 1]))


def test_a_missing_tool_skips_or_fails_where_tools_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_OUTSIDE_CHECKERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="not installed"):
        require_tool("no-such-program")
    monkeypatch.setenv("REQUIRE_OUTSIDE_CHECKERS", "1")
    with pytest.raises(pytest.fail.Exception, match="is set"):
        require_tool("no-such-program")
