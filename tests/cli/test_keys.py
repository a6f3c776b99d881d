"""`arbiter keys`: made, shown, rotated, escrowed and recovered by the commands themselves, in this process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from arbiter.audit.public_keys import read_public_keys
from arbiter.errors import VerificationError
from arbiter.store.database import Database
from arbiter.store.keys import KeyFolder
from tests.cli.conftest import Arbiter, Ended
from tests.houses import PASSWORD

ORIGIN = "log.hospital.example/arbiter"
PASSPHRASE = "correct horse battery staple"

Say = Callable[..., Ended]


class Input(io.StringIO):
    """Standard input that is no terminal, unless a test says so."""

    def isatty(self) -> bool:
        return False


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("ARBITER_DATA", str(folder))
    monkeypatch.delenv("ARBITER_TOKEN_FILE", raising=False)
    return folder


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    return private(tmp_path / "passphrase", PASSPHRASE)


def private(path: Path, text: str) -> Path:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def say(arbiter: Arbiter, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Run a command with words on its standard input."""

    def run(*arguments: str, said: str = "") -> Ended:
        monkeypatch.setattr(sys, "stdin", Input(said))
        return arbiter(*arguments)

    return run


def test_without_a_passphrase_and_without_a_terminal_no_keys_are_made(say: Say, data: Path) -> None:
    done = say("keys", "init", ORIGIN)
    assert done.status == 1
    assert "--passphrase-file" in done.err
    assert "--no-passphrase" in done.err
    assert not data.exists()


def test_keys_are_unencrypted_only_when_somebody_says_so(say: Say, data: Path) -> None:
    done = say("keys", "init", ORIGIN, "--no-passphrase")
    assert done.status == 0
    assert "NOT encrypted" in done.out
    assert json.loads(say("keys", "show", "--json").out)["encrypted"] is False


def test_one_may_not_ask_for_both(say: Say, data: Path, passphrase: Path) -> None:
    done = say("keys", "init", ORIGIN, "--no-passphrase", "--passphrase-file", str(passphrase))
    assert done.status == 2
    assert not data.exists()


def test_keys_in_place_are_told_before_anybody_types_a_passphrase(
    say: Say, data: Path, passphrase: Path
) -> None:
    assert say("keys", "init", ORIGIN, "--no-passphrase").status == 0
    done = say("keys", "init", ORIGIN)
    assert (done.status, "never overwritten" in done.err) == (2, True)


def test_encrypted_keys_are_shown_to_whoever_has_the_passphrase(
    say: Say, data: Path, passphrase: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert say("keys", "init", ORIGIN, "--passphrase-file", str(passphrase)).status == 0
    refused = say("keys", "show")
    assert (refused.status, "ARBITER_KEYS_PASSPHRASE_FILE" in refused.err) == (1, True)
    monkeypatch.setenv("ARBITER_KEYS_PASSPHRASE_FILE", str(private(tmp_path / "other", "another passphrase")))
    wrong = say("keys", "show")
    assert wrong.status == 1
    assert "passphrase is wrong" in wrong.err
    assert "another passphrase" not in wrong.err
    monkeypatch.setenv("ARBITER_KEYS_PASSPHRASE_FILE", str(passphrase))
    shown = say("keys", "show")
    assert [line.split("+")[0] for line in shown.out.splitlines()] == [ORIGIN, ORIGIN]
    assert json.loads(say("keys", "show", "--json").out)["encrypted"] is True


def test_a_passphrase_is_typed_twice_alike(say: Say, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([PASSPHRASE, PASSPHRASE + "!", PASSPHRASE, PASSPHRASE])
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    monkeypatch.setattr("tests.cli.test_keys.Input.isatty", lambda _: True)
    assert "not the same" in say("keys", "init", ORIGIN).err
    assert not data.exists()
    assert say("keys", "init", ORIGIN).status == 0
    monkeypatch.setattr("getpass.getpass", lambda _: PASSPHRASE)
    assert say("keys", "show").status == 0


def test_another_passphrase_ends_the_old_one(
    say: Say, data: Path, passphrase: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert say("keys", "init", ORIGIN, "--no-passphrase").status == 0
    assert say("keys", "passphrase", "--passphrase-file", str(passphrase)).status == 0
    monkeypatch.setenv("ARBITER_KEYS_PASSPHRASE_FILE", str(passphrase))
    before = say("keys", "show").out
    fresh = private(tmp_path / "fresh", "a quite different one")
    assert say("keys", "passphrase", "--passphrase-file", str(fresh)).status == 0
    assert "passphrase is wrong" in say("keys", "show").err
    monkeypatch.setenv("ARBITER_KEYS_PASSPHRASE_FILE", str(fresh))
    assert say("keys", "show").out == before


@pytest.fixture
def house(
    say: Say, data: Path, passphrase: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An installation with encrypted keys, an administrator carla and a reviewer anna."""
    monkeypatch.setenv("ARBITER_DATABASE_URL", database.app_url.replace("postgresql+psycopg", "postgresql"))
    monkeypatch.setenv("ARBITER_KEYS_PASSPHRASE_FILE", str(passphrase))
    assert say("keys", "init", ORIGIN).status == 0
    assert say("sites", "add", "north", "North Hospital").status == 0
    for login, role in (("carla", "administrator"), ("anna", "reviewer")):
        command = ("users", "create", login, login, "--role", role, "--site", "north", "--password-stdin")
        assert say(*command, said=PASSWORD + "\n").status == 0
    return data


AS_CARLA = ("--as", "carla", "--password-stdin")


def as_carla(say: Say, *arguments: str) -> Ended:
    return say(*arguments, *AS_CARLA, said=PASSWORD + "\n")


def test_the_commands_rotate_what_they_say(say: Say, house: Path, tmp_path: Path) -> None:
    first = say("keys", "show").out.splitlines()
    begun = as_carla(say, "keys", "rotate", "log")
    assert begun.status == 0, begun.err
    assert "restart every process" in begun.out
    early = as_carla(say, "keys", "rotate", "log")
    assert (early.status, "--finish" in early.err) == (1, True)
    assert len(say("keys", "show").out.splitlines()) == 4
    # A rotation of the other key seals something, with both.
    rotated = as_carla(say, "keys", "rotate", "kek")
    assert (rotated.status, "under kek-2" in rotated.out) == (0, True)
    finished = as_carla(say, "keys", "rotate", "log", "--finish")
    assert finished.status == 0, finished.err
    assert as_carla(say, "keys", "rotate", "kek", "--retire", "kek-1").status == 0
    shown = json.loads(say("keys", "show", "--json").out)
    assert shown["keks"] == ["kek-2"]
    assert [key["last_size"] is None for key in shown["keys"]] == [False, False, True, True]
    assert shown["verifier_key"] not in first
    exported = say("keys", "export-public").out
    assert [key.encode() for key in read_public_keys(exported.encode())[:2]] == first
    assert [(key.first_size, key.last_size) for key in read_public_keys(exported.encode())] == [
        (key["first_size"], key["last_size"]) for key in shown["keys"]
    ]
    assert say("audit", "verify").status == 0
    for word in (b"retire", b"first "):
        broken = exported.encode().replace(word, b"", 1)
        with pytest.raises(VerificationError):
            read_public_keys(broken)


def test_an_idle_house_finishes_without_anything_else_to_seal(say: Say, house: Path) -> None:
    assert as_carla(say, "keys", "rotate", "log").status == 0
    finished = as_carla(say, "keys", "rotate", "log", "--finish")
    assert finished.status == 0, finished.err
    assert len(say("keys", "show").out.splitlines()) == 2
    assert say("audit", "verify").status == 0


@pytest.mark.parametrize("uri", ["x", "pkcs11:token=a?module-path=/nowhere/m.so&pin-source=/nowhere/pin"])
def test_a_token_that_is_not_there_leaves_the_wrapping_key_as_it_is(say: Say, house: Path, uri: str) -> None:
    before = {path.name: path.read_bytes() for path in (house / "keys").iterdir()}
    done = as_carla(say, "keys", "rotate", "kek", "--hardware", uri)
    assert done.status == 1, done.out
    assert "expected a URI pkcs11:" in done.err or "/nowhere/pin is missing" in done.err
    assert {path.name: path.read_bytes() for path in (house / "keys").iterdir()} == before


@pytest.mark.parametrize(
    "both",
    [
        ("log", "--finish", "--in-file"),
        ("log", "--finish", "--pkcs11", "x"),
        ("log", "--in-file", "--pkcs11", "x"),
        ("kek", "--in-file", "--hardware", "x"),
        ("kek", "--retire", "kek-1", "--hardware", "x"),
        ("kek", "--retire", "kek-1", "--in-file"),
    ],
)
def test_options_that_exclude_each_other_change_nothing(say: Say, house: Path, both: tuple[str, ...]) -> None:
    before = {path.name: path.read_bytes() for path in (house / "keys").iterdir()}
    done = as_carla(say, "keys", "rotate", *both)
    assert (done.status, "exclude each other" in done.err) == (2, True)
    assert {path.name: path.read_bytes() for path in (house / "keys").iterdir()} == before


def test_only_an_administrator_with_the_password_rotates(say: Say, house: Path) -> None:
    before = {path.name: path.read_bytes() for path in (house / "keys").iterdir()}
    everybody = (("carla", "not the password"), ("anna", PASSWORD), ("nobody", PASSWORD))
    commands = (("log",), ("log", "--finish"), ("kek",))
    for what, (login, password) in zip(commands, everybody, strict=True):
        done = say("keys", "rotate", *what, "--as", login, "--password-stdin", said=password + "\n")
        assert done.status == 1, done.out
    assert {path.name: path.read_bytes() for path in (house / "keys").iterdir()} == before


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture
def agent(tmp_path: Path) -> tuple[Path, Path]:
    """An escrow agent's key pair, made as the documentation says."""
    secret, public = tmp_path / "agent.pem", tmp_path / "agent.pub.pem"
    openssl("genpkey", "-algorithm", "X25519", "-out", str(secret))
    openssl("pkey", "-in", str(secret), "-pubout", "-out", str(public))
    return secret, public


def test_what_was_escrowed_is_recovered_on_a_bare_machine(
    say: Say,
    house: Path,
    agent: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    passphrase: Path,
) -> None:
    secret, public = agent
    as_carla(say, "keys", "rotate", "log")
    file = tmp_path / "keys.escrow"
    done = as_carla(say, "keys", "escrow", str(public), str(file))
    assert done.status == 0, done.err
    assert file.stat().st_mode & 0o777 == 0o600
    kept = KeyFolder.open(house, lambda: PASSPHRASE).texts()
    again = as_carla(say, "keys", "escrow", str(public), str(file))
    assert (again.status, "is: name another" in again.err) == (2, True)
    recover = ("keys", "recover-escrow", str(file), "--private-key", str(secret))
    refused = say(*recover)
    assert (refused.status, "never overwritten" in refused.err) == (1, True)
    (house / "keys").rename(house / "lost")
    fresh = private(tmp_path / "fresh", "a quite different one")
    assert say(*recover, "--passphrase-file", str(fresh)).status == 0
    assert KeyFolder.open(house, lambda: "a quite different one").texts() == kept
    monkeypatch.setenv("ARBITER_KEYS_PASSPHRASE_FILE", str(fresh))
    assert say("audit", "verify").status == 0


def test_escrow_to_a_key_of_another_kind_is_refused(say: Say, house: Path, tmp_path: Path) -> None:
    secret, public = tmp_path / "rsa.pem", tmp_path / "rsa.pub.pem"
    openssl("genpkey", "-algorithm", "RSA", "-out", str(secret))
    openssl("pkey", "-in", str(secret), "-pubout", "-out", str(public))
    file = tmp_path / "keys.escrow"
    for wrong in (public, secret, house / "keys" / "log.pub"):
        done = as_carla(say, "keys", "escrow", str(wrong), str(file))
        assert (done.status, "expected an X25519 key" in done.err) == (1, True)
    assert not file.exists()
