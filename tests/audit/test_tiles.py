"""Tiles: the paths and widths of C2SP tlog-tiles, its own examples, and proofs made from tiles alone."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.merkle import (
    Frontier,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from arbiter.audit.tiles import (
    Tile,
    TileNodes,
    encode_bundle,
    parse_bundle,
    parse_tile_path,
    tile_from_hashes,
    tile_from_nodes,
    tile_width,
    tiles_of,
)
from arbiter.errors import VerificationError
from tests.audit.logs import nodes_of

SIZE = 66_000
LEAVES = tuple(leaf_hash(b"%d" % i) for i in range(SIZE))
STORED = {(0, i): hash_ for i, hash_ in enumerate(LEAVES)} | {
    (node.level, node.index): node.hash for node in Frontier().extend(LEAVES).nodes
}
TILES = {
    tile.path: tile_from_nodes(tile, lambda level, index: STORED[level, index]) for tile in tiles_of(SIZE)
}

NODES = nodes_of(LEAVES)
ROOT = root_of(LEAVES)


def fetch(tile: Tile) -> bytes:
    """Return a tile of the tree of SIZE leaves."""
    return TILES[tile.path]


def test_paths_of_the_specification() -> None:
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(0, 1234067, 1).path == "tile/0/x001/x234/067.p/1"
    assert Tile(None, 0).path == "tile/entries/000"
    assert Tile(None, 1000, 255).path == "tile/entries/x001/000.p/255"
    assert Tile(63, 999).path == "tile/63/999"


@given(st.none() | st.integers(0, 63), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_a_path_reads_back(level: int | None, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert parse_tile_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/067",
        "tile/0/x001",
        "tile/0/x001/x067",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/8/0/000",
        "tile/data/000",
        "tile/entries/000.p/0",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/1/2",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/..",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/" + "x001/" * 7 + "000",
        "TILE/0/000",
        "tile/0/X001/000",
    ],
)
def test_any_other_path_is_refused(path: str) -> None:
    with pytest.raises(VerificationError):
        parse_tile_path(path)


@pytest.mark.parametrize(
    ("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)]
)
def test_a_tile_that_cannot_be_is_not_made(level: int, index: int, width: int) -> None:
    with pytest.raises(ValueError, match="no tile"):
        Tile(level, index, width)


def test_tiles_of_the_specifications_tree_of_70000() -> None:
    # "273 full level 0 tiles, one partial level 0 tile of width 112, one full level 1 tile, one partial level 1 tile of
    # width 17, and one partial level 2 tile of width 1"
    tiles = list(tiles_of(70_000))
    assert len(tiles) == 273 + 1 + 1 + 1 + 1
    assert all(not tile.is_partial for tile in tiles[:273])
    assert [(t.level, t.index, t.width) for t in tiles[273:]] == [
        (0, 273, 112),
        (1, 0, 256),
        (1, 1, 17),
        (2, 0, 1),
    ]


def test_tiles_of_the_specifications_tree_of_256() -> None:
    assert [(t.level, t.index, t.width) for t in tiles_of(256)] == [(0, 0, 256), (1, 0, 1)]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000])
def test_widths_agree_with_the_tiles_that_exist_and_none_is_empty(size: int) -> None:
    widths = {(tile.level, tile.index): tile.width for tile in tiles_of(size)}
    for level in range(4):
        for index in range(300):
            assert tile_width(level, index, size) == widths.get((level, index), 0)
    assert tile_width(None, 0, size) == tile_width(0, 0, size)


def test_level_two_tile_holds_the_root_of_65536_leaves() -> None:
    assert TILES["tile/2/000.p/1"] == root_of(LEAVES[:65_536])


@pytest.mark.parametrize("index", [0, 255, 256, 65_535, 65_536, 65_791, 65_792, 65_999])
def test_inclusion_is_proved_from_tiles_alone(index: int) -> None:
    proof = prove_inclusion(index, SIZE, TileNodes(SIZE, fetch))
    assert proof == prove_inclusion(index, SIZE, NODES)
    verify_inclusion(LEAVES[index], index, SIZE, proof, ROOT)


@pytest.mark.parametrize("old", [1, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 65_999])
def test_consistency_is_proved_from_tiles_alone(old: int) -> None:
    proof = prove_consistency(old, SIZE, TileNodes(SIZE, fetch))
    verify_consistency(old, root_of(LEAVES[:old]), SIZE, ROOT, proof)


def test_a_frontier_is_loaded_from_tiles_alone() -> None:
    assert Frontier.load(SIZE, TileNodes(SIZE, fetch)) == Frontier().extend(LEAVES).frontier


@pytest.mark.parametrize(
    "change", [lambda d: d[:-1], lambda d: d + b"\x00", lambda d: d[:-32], lambda d: d + d[:32]]
)
def test_a_tile_of_another_width_is_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(VerificationError, match=r"tile/0/256\.p|tile/0/257\.p/208: expected"):
        TileNodes(SIZE, lambda tile: change(fetch(tile)))(0, SIZE - 1)


def test_a_flipped_tile_makes_no_proof_that_verifies() -> None:
    def flipped(tile: Tile) -> bytes:
        data = fetch(tile)
        return bytes([data[0] ^ 1]) + data[1:] if tile.path == "tile/0/000" else data

    proof = prove_inclusion(3, SIZE, TileNodes(SIZE, flipped))
    with pytest.raises(VerificationError):
        verify_inclusion(LEAVES[3], 3, SIZE, proof, ROOT)


@pytest.mark.parametrize(("level", "index"), [(0, SIZE), (16, 1), (17, 0), (1, SIZE // 2), (-1, 0), (0, -1)])
def test_a_node_outside_the_tree_is_not_told(level: int, index: int) -> None:
    with pytest.raises(ValueError, match="no perfect subtree"):
        TileNodes(SIZE, fetch)(level, index)


def test_a_tile_takes_its_own_number_of_hashes() -> None:
    with pytest.raises(ValueError, match="2 hashes"):
        tile_from_hashes(Tile(0, 0, 2), LEAVES[:3])
    with pytest.raises(ValueError, match="2 hashes"):
        tile_from_hashes(Tile(0, 0, 2), [LEAVES[0], LEAVES[1][:31]])
    with pytest.raises(ValueError, match="bundle"):
        tile_from_nodes(Tile(None, 0, 2), nodes_of(LEAVES[:2]))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_a_bundle_reads_back(entries: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(entries), len(entries)) == tuple(entries)


def test_a_bundle_carries_length_and_bytes() -> None:
    assert encode_bundle([b"ab", b"", b"c" * 256]) == b"\x00\x02ab" + b"\x00\x00" + b"\x01\x00" + b"c" * 256


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (b"", 1),
        (b"\x00", 1),
        (b"\x00\x02a", 1),
        (b"\x00\x01a", 2),
        (b"\x00\x01a\x00\x01b", 1),
        (b"\x00\x01a\x00", 1),
        (b"\x00\x01a\x00", 2),
    ],
)
def test_a_cut_or_overlong_bundle_is_refused(data: bytes, width: int) -> None:
    with pytest.raises(VerificationError):
        parse_bundle(data, width)


@pytest.mark.parametrize("entries", [[], [b""] * 257, [b"x" * 65_536]])
def test_an_impossible_bundle_is_not_made(entries: list[bytes]) -> None:
    with pytest.raises(ValueError, match="bundle"):
        encode_bundle(entries)
