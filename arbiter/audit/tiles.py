"""The log as static tiles (C2SP tlog-tiles): paths, widths, contents, and proofs made from tiles alone.

A tile of level L holds up to 256 consecutive hashes of tree level 8 * L. An entry bundle holds the entries under one
level-0 tile. What a tile must contain follows from the tree's size, so a reader can refuse any other width.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from arbiter.audit.entry import MAX_ENTRY_BYTES
from arbiter.audit.merkle import HASH_SIZE, NodeLookup, inclusion_parts, node_hash, split_hashes
from arbiter.errors import VerificationError

TILE_WIDTH = 256
TILE_HEIGHT = 8
MAX_LEVEL = 63
MAX_INDEX = 2**63 - 1

_CACHED_TILES = 256
_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile's coordinates: `level` (None for an entry bundle), `index` within the level, `width` in hashes or entries.

    Raises `ValueError` for coordinates that the format does not have; an empty tile is one of them.
    """

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= MAX_LEVEL:
            raise ValueError(f"no tile level {self.level}")
        if not 0 <= self.index <= MAX_INDEX:
            raise ValueError(f"no tile index {self.index}")
        if not 1 <= self.width <= TILE_WIDTH:
            raise ValueError(f"no tile of width {self.width}")

    @property
    def is_partial(self) -> bool:
        """True when the tile may still grow."""
        return self.width < TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix: `tile/0/x001/234.p/5`, `tile/entries/000`."""
        index, groups = divmod(self.index, 1000)
        number = f"{groups:03d}"
        while index:
            index, group = divmod(index, 1000)
            number = f"x{group:03d}/{number}"
        partial = f".p/{self.width}" if self.is_partial else ""
        return f"tile/{'entries' if self.level is None else self.level}/{number}{partial}"


def parse_tile_path(path: str) -> Tile:
    """Return the tile that `path` names; raises `VerificationError` for any spelling but the format's one."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise VerificationError("expected a tile's path, came another spelling")
    level, number, width = match.groups()
    index = int(number.replace("x", "").replace("/", ""))
    try:
        tile = Tile(None if level == "entries" else int(level), index, int(width or TILE_WIDTH))
    except ValueError as error:
        raise VerificationError(f"expected a tile's path: {error}") from error
    if tile.path != path:
        raise VerificationError("expected a tile's path, came another spelling")
    return tile


def tile_width(level: int | None, index: int, size: int) -> int:
    """Return how wide tile `index` of `level` (None for entries) is in a tree of `size` leaves; 0 for no such tile."""
    available = (size >> TILE_HEIGHT * (level or 0)) - index * TILE_WIDTH
    return max(0, min(TILE_WIDTH, available))


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield the hash tiles of a tree of `size` leaves: level by level, left to right, the partial one last."""
    level = 0
    while (hashes := size >> TILE_HEIGHT * level) > 0:
        for index in range(-(-hashes // TILE_WIDTH)):
            yield Tile(level, index, tile_width(level, index, size))
        level += 1


def tiles_for_proof(index: int, size: int) -> tuple[Tile, ...]:
    """Return the hash tiles that the inclusion proof of leaf `index` in a tree of `size` leaves is made of.

    Its own level-0 tile is among them. Raises `ValueError` when there is no such leaf.
    """
    parts = ((0, index), *(part for parts in inclusion_parts(index, size) for part in parts))
    places = {
        (level // TILE_HEIGHT, (place << level % TILE_HEIGHT) // TILE_WIDTH): None for level, place in parts
    }
    return tuple(Tile(level, place, tile_width(level, place, size)) for level, place in places)


def tile_from_hashes(tile: Tile, hashes: Sequence[bytes]) -> bytes:
    """Return a hash tile's content from its `tile.width` hashes of tree level `8 * tile.level`.

    Raises `ValueError` when their number or size is another.
    """
    if len(hashes) != tile.width or any(len(hash_) != HASH_SIZE for hash_ in hashes):
        raise ValueError(
            f"{tile.path} holds {tile.width} hashes of {HASH_SIZE} bytes, not {len(hashes)} such"
        )
    return b"".join(hashes)


def tile_from_nodes(tile: Tile, node: NodeLookup) -> bytes:
    """Return a hash tile's content from stored nodes; `node` is asked for levels 0, 8, 16… only."""
    if tile.level is None:
        raise ValueError("an entry bundle holds no hashes")
    start = tile.index * TILE_WIDTH
    return tile_from_hashes(tile, [node(TILE_HEIGHT * tile.level, start + i) for i in range(tile.width)])


class TileNodes:
    """Tells any node of a tree of `size` leaves from its tiles alone; a `NodeLookup` for the provers.

    `fetch` returns a tile's content; exactly the tiles of a tree of this size are asked for. Contents are checked for
    their width and not against the root: whatever is proved from them is verified against a checkpoint. Keeps the last
    few tiles. Raises `VerificationError` for a tile of another width, `ValueError` for a node outside the tree.
    """

    def __init__(self, size: int, fetch: Callable[[Tile], bytes]) -> None:
        self._size = size
        self._fetch = fetch
        self._tiles: dict[tuple[int, int], list[list[bytes]]] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """Return the hash of the perfect subtree `(level, index)`."""
        if level < 0 or index < 0 or (index + 1) << level > self._size:
            raise ValueError(f"no perfect subtree {index} of level {level} in a tree of size {self._size}")
        tile_level, height = divmod(level, TILE_HEIGHT)
        tile_index, offset = divmod(index << height, TILE_WIDTH)
        return self._tile(tile_level, tile_index)[height][offset >> height]

    def _tile(self, level: int, index: int) -> list[list[bytes]]:
        """Return the tile's hashes and, row by row above them, all nodes that they make."""
        key = (level, index)
        rows = self._tiles.get(key)
        if rows is None:
            tile = Tile(level, index, tile_width(level, index, self._size))
            data = self._fetch(tile)
            if len(data) != tile.width * HASH_SIZE:
                raise VerificationError(
                    f"{tile.path}: expected {tile.width * HASH_SIZE} bytes, came {len(data)}"
                )
            if len(self._tiles) >= _CACHED_TILES:
                del self._tiles[next(iter(self._tiles))]
            rows = self._tiles[key] = _rows(data)
        return rows


def _rows(data: bytes) -> list[list[bytes]]:
    row = split_hashes(data)
    rows = [row]
    while len(row) > 1:
        pairs = zip(row[::2], row[1::2], strict=False)
        row = [node_hash(left, right) for left, right in pairs]
        rows.append(row)
    return rows


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return an entry bundle: each entry as u16be length and bytes.

    Raises `ValueError` for none, more than 256, or an entry of 64 KiB or more.
    """
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise ValueError(f"a bundle holds 1 to {TILE_WIDTH} entries, not {len(entries)}")
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise ValueError(f"an entry in a bundle has at most {MAX_ENTRY_BYTES} bytes")
    return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])


def parse_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """Return the `width` entries of a bundle; raises `VerificationError` when the bytes hold more or fewer."""
    entries: list[bytes] = []
    place = 0
    while place < len(data) and len(entries) < width:
        end = place + 2 + int.from_bytes(data[place : place + 2], "big")
        if len(data) < place + 2 or len(data) < end:
            raise VerificationError(f"entry {len(entries)} of the bundle is cut off")
        entries.append(data[place + 2 : end])
        place = end
    if len(entries) != width or place != len(data):
        raise VerificationError(f"expected a bundle of {width} entries, came more or fewer")
    return tuple(entries)
