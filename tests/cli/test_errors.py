"""An error says what was expected, what came, and never a secret of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arbiter.cli.audit.sources import open_source
from arbiter.cli.door import check_url, read_token
from arbiter.cli.failing import UsageError
from arbiter.cli.persons import check_reason
from arbiter.cli.when import instant
from arbiter.errors import ArbiterError, ConfigurationError
from arbiter.files.sources import read_source
from arbiter.identity.roles import CLIENT_ROLES, check_roles
from arbiter.store.keys.files import check_folder, read_private
from arbiter.store.keys.log_keys import check_origin
from arbiter.witness.keys import make_key, read_key
from tests.cli.conftest import Arbiter

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("url", "came"),
    [
        (f"ftp://me:{SECRET}@host/", "scheme ftp, host host"),
        (f"//{SECRET}", "what came"),
        ("host:8400", "scheme host, host none"),
        (f"https://host/?token={SECRET}", "one to host came with more behind its path"),
        (f"https://host/#{SECRET}", "one to host came with more behind its path"),
        (f"https://me:{SECRET}@host", "one with a user came"),
        (f"https://[{SECRET}/", "what came is no URL"),
    ],
)
def test_an_address_is_refused_with_what_it_lacks_and_not_shown(url: str, came: str) -> None:
    with pytest.raises(UsageError, match="expected the address as https") as refused:
        check_url(url)
    if SECRET in url and not url.startswith("//"):
        assert came in str(refused.value)
        assert SECRET not in str(refused.value)


def test_a_logs_address_with_a_password_is_refused_and_not_shown() -> None:
    with (
        pytest.raises(UsageError, match="host host, a user") as refused,
        open_source(f"https://me:{SECRET}@host/v1/audit", None),
    ):
        pass
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "content", ["{", json.dumps({"secret": SECRET}), json.dumps({"token": [SECRET]}), SECRET, ""]
)
def test_what_is_no_token_is_told_by_its_kind(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="expected a") as refused:
        read_token(path)
    assert "came" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_other_refusals_say_what_came(tmp_path: Path) -> None:
    large, link, folder = tmp_path / "large", tmp_path / "link", tmp_path / "witness"
    large.write_bytes(b"x" * 11)
    link.symlink_to(large)
    folder.mkdir()
    make_key(folder, "witness.example/w", b"s" * 32)
    (folder / "witness.key").chmod(0o640)
    (tmp_path / "device").mkdir()
    told: dict[str, Callable[[], object]] = {
        "came 'soon'": lambda: instant("--since", "soon", datetime.now(UTC), UTC),
        "0 characters came": lambda: check_reason("  "),
        "some that do not print came": lambda: check_reason("a\x07b"),
        "at most 10 bytes, more came": lambda: read_source(large, "the duty file", 10),
        "expected the folder": lambda: check_folder(link),
        "is drwx": lambda: read_private(tmp_path / "device", "make it"),
        "came 'a log'": lambda: check_origin("a log"),
        "came 'a name'": lambda: make_key(folder, "a name", b"s" * 32),
        "mode -rw-r-----": lambda: read_key(folder),
        "auditor": lambda: check_roles(frozenset(), CLIENT_ROLES),
    }
    for words, attempt in told.items():
        with pytest.raises(ArbiterError) as refused:
            attempt()
        assert words in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "came"),
    [
        (("backup", "out.age"), "a file came"),
        (("backup", "--passphrase-file", "p"), "--passphrase-file came"),
        (("protocol", "show", "no-such-bundle"), "no-such-bundle is neither"),
    ],
)
def test_a_command_names_what_it_was_given(arbiter: Arbiter, arguments: tuple[str, ...], came: str) -> None:
    ended = arbiter(*arguments)
    assert ended.status == 2
    assert came in ended.err
