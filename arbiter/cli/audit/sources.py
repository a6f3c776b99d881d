"""A log as anyone sees it: its checkpoint, tiles and entry bundles (C2SP tlog-tiles), over HTTP or in a folder.

Nothing read here is believed: whoever asks verifies it against signed checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from arbiter.audit.entry import MAX_ENTRY_BYTES
from arbiter.audit.note import MAX_NOTE_BYTES
from arbiter.audit.tiles import TILE_WIDTH, Tile
from arbiter.cli.failing import UsageError
from arbiter.errors import UnavailableError, VerificationError

if TYPE_CHECKING:
    import httpx

_SECONDS = 30.0
_LONGEST = max(MAX_NOTE_BYTES, TILE_WIDTH * (MAX_ENTRY_BYTES + 2))


class LogSource(Protocol):
    """Where a log can be read."""

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint's note."""
        ...

    def tile(self, tile: Tile) -> bytes:
        """Return a tile's content."""
        ...

    def bundle(self, tile: Tile) -> bytes | None:
        """Return an entry bundle's content; None where this source shows none."""
        ...


@dataclass(frozen=True, slots=True)
class FolderLog:
    """A log written to a folder under the names that tlog-tiles has."""

    root: Path

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint's note."""
        return (self.root / "checkpoint").read_bytes()

    def tile(self, tile: Tile) -> bytes:
        """Return a tile's content."""
        return (self.root / tile.path).read_bytes()

    def bundle(self, tile: Tile) -> bytes | None:
        """Return an entry bundle's content; None where there is none."""
        path = self.root / tile.path
        return path.read_bytes() if path.exists() else None


@dataclass(frozen=True, slots=True)
class WebLog:
    """A log under a URL; with an auditor's token its entry bundles too."""

    client: httpx.Client
    with_token: bool

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint's note."""
        return self._get("checkpoint")

    def tile(self, tile: Tile) -> bytes:
        """Return a tile's content."""
        return self._get(tile.path)

    def bundle(self, tile: Tile) -> bytes | None:
        """Return an entry bundle's content; None without a token."""
        return self._get(tile.path) if self.with_token else None

    def _get(self, path: str) -> bytes:
        import httpx

        place = f"{self.client.base_url}{path}"
        try:
            reply = self.client.get(path)
        except httpx.HTTPError as error:
            raise UnavailableError(f"{place} does not answer: {type(error).__name__}") from error
        if reply.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnavailableError(f"{place} answers {reply.status_code}")
        if reply.status_code != HTTPStatus.OK:
            raise VerificationError(
                f"{place}: expected an answer of 200, came {reply.status_code}: a log would have it"
            )
        if len(reply.content) > _LONGEST:
            raise VerificationError(f"{place}: expected at most {_LONGEST} bytes, came {len(reply.content)}")
        return reply.content


def is_url(text: str) -> bool:
    """Whether the text is a URL and not a file's name."""
    return text.startswith(("http://", "https://"))


@contextmanager
def open_source(where: str, token_file: Path | None) -> Iterator[LogSource]:
    """Yield the log at a URL (`https://host/v1/audit`) or in a folder.

    Without a token plain HTTP will do, because what is public is verified by its signature; a token needs HTTPS.
    """
    if not is_url(where):
        yield FolderLog(Path(where))
        return
    import ssl

    import httpx

    from arbiter.cli.door import check_url, read_token

    parts = urlsplit(where)
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        # Never the address itself: it may hold a password.
        raise UsageError(
            f"expected a log's address as https://host/v1/audit; one came with host {parts.hostname or 'none'}, a user, a query "
            "or a fragment"
        )
    url = where if token_file is None else check_url(where)
    headers = {} if token_file is None else {"Authorization": f"Bearer {read_token(token_file)}"}
    with httpx.Client(
        base_url=url.rstrip("/").removesuffix("/checkpoint"),
        headers=headers,
        timeout=_SECONDS,
        trust_env=False,
        verify=ssl.create_default_context() if parts.scheme == "https" else False,
    ) as client:
        yield WebLog(client, token_file is not None)
