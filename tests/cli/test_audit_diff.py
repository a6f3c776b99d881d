"""`arbiter audit diff`: what was added between two checkpoints, and loudly where two signed ones cannot both be true."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.merkle import EMPTY_ROOT, leaf_hash, root_of
from arbiter.audit.note import Ed25519NoteSigner, parse_note
from arbiter.audit.tiles import Tile, encode_bundle, tile_width, tiles_of
from arbiter.cli.failing import Status
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.store.log.leaves import load_leaves_from
from arbiter.workflow import publishing
from tests.cli.conftest import Arbiter
from tests.cli.logged import CASES, SIZES, Command, Logged, a_logged_service, command_on
from tests.system.service import ORIGIN

LOUD = "CONTRADICTION"


@pytest.fixture(scope="module")
def logged() -> Iterator[Logged]:
    with a_logged_service() as made:
        yield made


@pytest.fixture(scope="module")
def token_file(logged: Logged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The token of an auditor of every site."""

    async def register() -> str:
        async with logged.service.house() as house:
            roles, sites = frozenset({Role.AUDITOR}), frozenset({"north"})
            return (
                await register_client(house.identities, house.clock, house.chance, "auditor", roles, sites)
            )[1]

    path = tmp_path_factory.mktemp("auditor") / "token"
    path.write_text(asyncio.run(register()))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def folder(logged: Logged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole log as files, as anyone who mirrors it has them, and its bundles."""
    root = tmp_path_factory.mktemp("log")
    size = logged.size

    async def fetch() -> dict[str, bytes]:
        async with logged.service.house() as house, house.store.read() as transaction:
            files = {"checkpoint": (await publishing.checkpoint(house)).encode()}
            for tile in tiles_of(size):
                assert tile.level is not None
                width = tile.width if tile.is_partial else None
                files[tile.path] = await publishing.tile(house, tile.level, tile.index, width)
            for index in range(-(-size // 256)):
                bundle = Tile(None, index, tile_width(None, index, size))
                rows = await load_leaves_from(transaction, index * 256, bundle.width)
                files[bundle.path] = encode_bundle([body for _, body in rows if body is not None])
            return files

    for path, content in asyncio.run(fetch()).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


@pytest.fixture
def audit(logged: Logged, arbiter: Arbiter, monkeypatch: pytest.MonkeyPatch) -> Command:
    return command_on(logged, arbiter, monkeypatch)


def signed(logged: Logged, size: int, root: bytes) -> bytes:
    """A checkpoint that the log's own key signs, as whoever holds the key could."""
    assert logged.signer is not None
    return sign_checkpoint(Checkpoint(ORIGIN, size, root), [logged.signer])


def root_in(note: bytes) -> str:
    return Checkpoint.parse(parse_note(note).text).root.hex()


# --- by the database --------------------------------------------------------------------------------------------------


def test_what_was_added_is_told_in_words(logged: Logged, audit: Command, tmp_path: Path) -> None:
    told = audit("diff", logged.note(tmp_path, 2), logged.note(tmp_path, 257))
    assert told.status == 0
    assert f"the checkpoint of size 257 contains that of size 2; both signed by {ORIGIN}" in told.out
    assert f"{CASES:>9}  the case was taken" in told.out
    (begun,) = (line for line in told.out.splitlines() if line.startswith("begun: "))
    assert begun.split()[1:] == logged.cases
    (escalated,) = (line for line in told.out.splitlines() if line.startswith("escalated: "))
    assert set(escalated.split()[1:]) < set(logged.cases)


@pytest.mark.parametrize("old", SIZES)
def test_at_every_edge_of_a_tile(logged: Logged, audit: Command, old: int) -> None:
    new = SIZES[-1]
    told = json.loads(audit("diff", old, new, "--json").out)
    assert told["consistent"] is True
    assert (told["old"], told["new"]) == (
        {"size": old, "root": root_in(logged.notes[old])},
        {"size": new, "root": root_in(logged.notes[new])},
    )
    assert told["added"]["entries"] == sum(told["added"]["by_type"].values()) == new - old


def test_from_the_empty_log_everything_was_added(logged: Logged, audit: Command, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(signed(logged, 0, EMPTY_ROOT))
    told = json.loads(audit("diff", empty, 257, "--json").out)
    assert told["added"]["entries"] == 257
    assert told["added"]["cases"]["begun"] == logged.cases
    assert json.loads(audit("diff", empty, empty, "--json").out)["added"]["entries"] == 0


def test_the_same_twice_adds_nothing(audit: Command) -> None:
    told = audit("diff", 256, 256)
    assert told.status == 0
    assert "nothing was added" in told.out


def test_the_wrong_order_is_told_and_nothing_else(audit: Command) -> None:
    ended = audit("diff", 257, 2)
    assert (ended.status, ended.out) == (Status.USAGE, "")
    assert "expected the older one first" in ended.err
    assert LOUD not in ended.err


@pytest.mark.parametrize("which", ["3", "258", "99999999999999999999", "/nowhere/checkpoint"])
def test_a_checkpoint_that_is_not_there(audit: Command, which: str) -> None:
    ended = audit("diff", which, 257)
    assert (ended.status, ended.out) == (1, "")


@pytest.mark.parametrize("size", [2, 256, 257])
def test_a_signed_checkpoint_of_other_entries_is_cried_out(
    logged: Logged, audit: Command, tmp_path: Path, size: int
) -> None:
    forked = tmp_path / "forked"
    forked.write_bytes(signed(logged, size, root_of([leaf_hash(b"%d" % i) for i in range(size)])))
    for pair in ((forked, 257), (1, forked)):
        ended = audit("diff", *pair)
        assert ended.status == 1
        assert LOUD in ended.err
        assert root_in(forked.read_bytes()) in ended.err
        assert "--keep FOLDER" in ended.err
        assert ended.out == ""
    kept = tmp_path / "kept"
    ended = audit("diff", forked, 257, "--json", "--keep", kept)
    assert json.loads(ended.out)["consistent"] is False
    assert {path.read_bytes() for path in kept.iterdir()} == {forked.read_bytes(), logged.notes[257]}


def test_a_checkpoint_beyond_the_database_means_that_it_is_behind(
    logged: Logged, audit: Command, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    later.write_bytes(signed(logged, 300, root_of([leaf_hash(b"%d" % i) for i in range(300)])))
    ended = audit("diff", 257, later)
    assert (ended.status, ended.out) == (1, "")
    assert "behind what was sealed" in ended.err


def test_what_nobody_here_signed_is_compared_with_nothing(
    logged: Logged, audit: Command, tmp_path: Path
) -> None:
    note, forged = logged.notes[256], tmp_path / "forged"
    stranger, elsewhere = (Ed25519NoteSigner(name, b"k" * 32) for name in (ORIGIN, "other.example/log"))
    for wrong in (
        note.replace(b"\n256\n", b"\n255\n"),
        sign_checkpoint(Checkpoint(ORIGIN, 256, bytes(32)), [stranger]),
        sign_checkpoint(Checkpoint("other.example/log", 256, bytes(32)), [elsewhere]),
        note[:-20],
        b"",
    ):
        forged.write_bytes(wrong)
        ended = audit("diff", forged, 257, "--keep", tmp_path / "kept")
        assert (ended.status, ended.out) == (1, "")
        assert LOUD not in ended.err
    assert not (tmp_path / "kept").exists()


# --- by tiles alone ---------------------------------------------------------------------------------------------------


@contextmanager
def served(root: Path) -> Iterator[str]:
    """A folder behind plain HTTP, as a mirror would have it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=root)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("old", [1, 2, 255, 256])
def test_a_folder_of_tiles_and_a_key_are_enough(
    logged: Logged, arbiter: Arbiter, folder: Path, tmp_path: Path, old: int
) -> None:
    pair = (logged.note(tmp_path, old), logged.note(tmp_path, 257))
    told = arbiter("audit", "diff", *map(str, pair), "--key", logged.key, "--log", str(folder), "--json")
    assert told.status == 0, told.err
    assert json.loads(told.out)["added"]["entries"] == 257 - old


def test_a_mirror_on_the_web_is_as_good(
    logged: Logged, arbiter: Arbiter, folder: Path, tmp_path: Path
) -> None:
    with served(folder) as url:
        told = arbiter("audit", "diff", str(logged.note(tmp_path, 2)), url, "--key", logged.key)
    assert told.status == 0, told.err
    assert "255 entries were added; without an auditor's token nothing tells which" in told.out


def test_the_running_service_tells_an_auditor_what_was_added(
    logged: Logged, arbiter: Arbiter, token_file: Path, tmp_path: Path
) -> None:
    logged.service.start()
    try:
        url = f"{logged.service.url}/v1/audit"
        options = ("--key", logged.key, "--token-file", str(token_file), "--json")
        told = arbiter("audit", "diff", str(logged.note(tmp_path, 2)), url, *options)
    finally:
        logged.service.stop()
    assert told.status == 0, told.err
    assert json.loads(told.out)["added"]["cases"]["begun"] == logged.cases


def test_a_tampered_tile_is_refused_and_accuses_nobody(
    logged: Logged, arbiter: Arbiter, folder: Path, tmp_path: Path
) -> None:
    """Whoever serves other tiles stops the comparison; only signatures accuse."""
    for tile in tiles_of(257):
        # What a proof from 2 needs stands in the tiles of level 0; from 256, the tile of level 1 is the older tree.
        pair = [str(logged.note(tmp_path, size)) for size in (256 if tile.level else 2, 257)]
        path = folder / tile.path
        good = path.read_bytes()
        for wrong in (
            good[:-1] + bytes([good[-1] ^ 1]),
            bytes([good[0] ^ 1]) + good[1:],
            good[:-32],
            good + good[:32],
        ):
            path.write_bytes(wrong)
            ended = arbiter("audit", "diff", *pair, "--key", logged.key, "--log", str(folder))
            path.write_bytes(good)
            assert (ended.status, ended.out) == (1, ""), tile
            assert LOUD not in ended.err


def test_a_tampered_bundle_is_refused(logged: Logged, arbiter: Arbiter, folder: Path, tmp_path: Path) -> None:
    pair = [str(logged.note(tmp_path, size)) for size in (2, 257)]
    path = folder / "tile" / "entries" / "000"
    good = path.read_bytes()
    for wrong in (good.replace(b"member:news2", b"member:news3", 1), good[:-1], good + b"\0", good[::-1]):
        path.write_bytes(wrong)
        ended = arbiter("audit", "diff", *pair, "--key", logged.key, "--log", str(folder))
        path.write_bytes(good)
        assert (ended.status, ended.out) == (1, "")


def test_a_fork_needs_no_database_to_be_proved(
    logged: Logged, arbiter: Arbiter, folder: Path, tmp_path: Path
) -> None:
    forked = tmp_path / "forked"
    forked.write_bytes(signed(logged, 200, root_of([leaf_hash(b"%d" % i) for i in range(200)])))
    key = ("--key", logged.key)
    ended = arbiter("audit", "diff", str(forked), str(logged.note(tmp_path, 257)), *key, "--log", str(folder))
    assert ended.status == 1
    assert LOUD in ended.err
    # Of one size, no tiles are needed either.
    twin = tmp_path / "twin"
    twin.write_bytes(signed(logged, 257, root_of([leaf_hash(b"%d" % i) for i in range(257)])))
    ended = arbiter("audit", "diff", str(twin), str(logged.note(tmp_path, 257)), *key)
    assert ended.status == 1
    assert LOUD in ended.err


def test_without_a_log_or_with_what_does_not_go_together(
    logged: Logged, arbiter: Arbiter, token_file: Path, tmp_path: Path
) -> None:
    pair = [str(logged.note(tmp_path, size)) for size in (2, 257)]
    key = ("--key", logged.key)
    for arguments in (
        (*pair, *key),
        ("2", pair[1], *key, "--log", str(tmp_path)),
        (*pair, "--log", str(tmp_path)),
        (*pair, "--token-file", str(token_file)),
        (*pair, *key, "--log", "https://user@log.example/"),
        # On plain HTTP to elsewhere anyone between could read the token.
        (*pair, *key, "--log", "http://192.0.2.1/v1/audit", "--token-file", str(token_file)),
    ):
        ended = arbiter("audit", "diff", *arguments)
        assert (ended.status, ended.out) == (Status.USAGE, ""), arguments


def test_a_mirror_that_lacks_something_or_does_not_answer(
    logged: Logged, arbiter: Arbiter, folder: Path, tmp_path: Path
) -> None:
    pair = [str(logged.note(tmp_path, size)) for size in (2, 257)]
    with served(tmp_path) as url:
        lacking = arbiter("audit", "diff", *pair, "--key", logged.key, "--log", url)
    assert (lacking.status, lacking.out) == (1, "")
    gone = arbiter("audit", "diff", *pair, "--key", logged.key, "--log", url)
    assert (gone.status, gone.out) == (Status.UNAVAILABLE, "")
