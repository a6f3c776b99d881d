"""The log's key in a token: SoftHSM, a PKCS#11 module that is not ours, makes it and signs with it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pkcs11
import pytest

from arbiter.audit.checkpoint import open_checkpoint
from arbiter.clock import SystemChance
from arbiter.errors import ConfigurationError, ConflictError, UnavailableError
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.store.keys import HardwareSigner, Wish, hardware, init_keys, new_log_keys, read_keys
from arbiter.store.keys.hardware import HARDWARE, LOG_OBJECT, Place, make_hardware_key
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from arbiter.workflow.publishing import checkpoint
from tests.houses import a_house

ORIGIN = "log.hospital.example/arbiter"
WHO = ActorId("operator:carla")


def at(token: Place, label: str) -> Place:
    return replace(token, object=label)


def with_hardware(folder: Path, place: Place) -> None:
    init_keys(folder, ORIGIN, SystemChance(), log_text=new_log_keys(ORIGIN, place, SystemChance()))


async def test_a_log_is_sealed_by_the_token(tmp_path: Path, database: Database, token: Place) -> None:
    with_hardware(tmp_path, at(token, "sealing"))
    assert "PRIVATE+KEY+" not in (tmp_path / "keys" / "log.key").read_text().splitlines()[1]
    async with a_house(tmp_path, database, running=False) as house:
        assert isinstance(house.signer, HardwareSigner)
        await note_in_house(house, house.store, "house.tried", WHO, {})
        await house.sealer.round()
        opened = open_checkpoint((await checkpoint(house)).encode(), house.verifiers)
        assert opened.second is not None
        assert (await verify_log(house, (tmp_path / "checkpoint").read_bytes())).entries == 1


async def test_a_log_moves_into_hardware_by_a_rotation(
    tmp_path: Path, database: Database, token: Place
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await begin_rotation(house, WHO, Wish(at(token, "moved-2").uri()))
    async with a_house(tmp_path, database, running=False) as house:
        await note_in_house(house, house.store, "house.tried", WHO, {})
        await house.sealer.round()
        await finish_rotation(house, WHO)
    async with a_house(tmp_path, database, running=False) as house:
        assert isinstance(house.signer, HardwareSigner)
        await verify_log(house, (tmp_path / "checkpoint").read_bytes())


def test_the_private_key_cannot_be_read_from_the_token(token: Place) -> None:
    make_hardware_key(ORIGIN, at(token, "closed"))
    with hardware.token_session(token) as (_, session):
        key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label="closed")
        assert key[pkcs11.Attribute.EXTRACTABLE] is False
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            _ = key[pkcs11.Attribute.VALUE]


def test_a_key_in_the_token_is_never_overwritten(token: Place) -> None:
    make_hardware_key(ORIGIN, at(token, "once"))
    with pytest.raises(ConfigurationError, match="never overwritten"):
        make_hardware_key(ORIGIN, at(token, "once"))


def test_a_place_without_an_object_gets_a_label_that_the_token_has_not(token: Place) -> None:
    lines = [make_hardware_key(ORIGIN, token) for _ in range(3)]
    places = [Place.parse(line.removeprefix(HARDWARE).partition(" ")[2]) for line in lines]
    labels = [place.object for place in places]
    assert len(set(labels)) == 3
    assert all(label.startswith(LOG_OBJECT) for label in labels)
    for line in lines:
        hardware.open_hardware_key(line, Path("log.key")).probe()


async def test_a_key_in_the_token_is_followed_by_one_in_the_token(
    tmp_path: Path, database: Database, token: Place
) -> None:
    """Nobody says where: a key in a file would be a weaker one, and nobody would know."""
    with_hardware(tmp_path, token)
    async with a_house(tmp_path, database, running=False) as house:
        first = house.signer
        assert isinstance(first, HardwareSigner)
        done = await begin_rotation(house, WHO)
        assert done.where.startswith(f"in the token {token.token}, as {LOG_OBJECT}")
    async with a_house(tmp_path, database, running=False) as house:
        assert isinstance(house.signer, HardwareSigner)
        assert house.signer.place.object != first.place.object
        assert house.signer.place.token == token.token


async def test_a_key_in_the_token_is_followed_by_a_file_only_where_somebody_says_so(
    tmp_path: Path, database: Database, token: Place
) -> None:
    with_hardware(tmp_path, token)
    async with a_house(tmp_path, database, running=False) as house:
        with pytest.raises(ConfigurationError, match="not in both"):
            await begin_rotation(house, WHO, Wish(token.uri(), in_file=True))
        assert (await begin_rotation(house, WHO, Wish(in_file=True))).where == "in a file of the folder keys"
    async with a_house(tmp_path, database, running=False) as house:
        assert not isinstance(house.signer, HardwareSigner)


async def test_a_key_that_an_interrupted_rotation_made_elsewhere_is_not_taken_unseen(
    tmp_path: Path, database: Database, token: Place
) -> None:
    with_hardware(tmp_path, token)
    async with a_house(tmp_path, database, running=False) as house:
        text = new_log_keys(ORIGIN, None, SystemChance())
        house.key_folder.add("log-2.key", text, pending=True)
        with pytest.raises(ConflictError, match=r"made its key in a file .* or remove .*log-2\.key\.pending"):
            await begin_rotation(house, WHO)
        await begin_rotation(house, WHO, Wish(in_file=True))


def test_a_token_that_signs_with_another_key_is_not_believed(tmp_path: Path, token: Place) -> None:
    with_hardware(tmp_path, at(token, "right"))
    make_hardware_key(ORIGIN, at(token, "wrong"))
    path = tmp_path / "keys" / "log.key"
    path.write_text(path.read_text().replace("object=right", "object=wrong"))
    signer = read_keys(tmp_path).signer
    with pytest.raises(UnavailableError, match="another key"):
        signer.sign(b"message\n")


@pytest.mark.parametrize("change", ["no such object", "no such token", "no such module"])
def test_a_key_that_is_not_there_is_told_at_the_start(token: Place, change: str) -> None:
    place = Place(
        "absent" if change == "no such token" else token.token,
        "absent",
        "/nowhere/module.so" if change == "no such module" else token.module,
        token.pin,
    )
    line = make_hardware_key(ORIGIN, at(token, change.replace(" ", "-")))
    signer = hardware.open_hardware_key(line.partition(" ")[0] + " " + place.uri(), Path("log.key"))
    with pytest.raises(ConfigurationError, match="does not do what was asked"):
        signer.probe()


def test_a_wrong_pin_is_told_at_the_start(tmp_path: Path, token: Place) -> None:
    """In a process of its own: this one is logged in already."""
    line = make_hardware_key(ORIGIN, at(token, "pinned"))
    wrong = tmp_path / "pin"
    wrong.write_text("000000\n")
    wrong.chmod(0o600)
    line = line.partition(" ")[0] + " " + Place(token.token, "pinned", token.module, wrong).uri()
    code = (
        "import sys; from pathlib import Path; from arbiter.store.keys.hardware import open_hardware_key as o; "
        "o(sys.argv[1], Path('log.key')).probe()"
    )
    done = subprocess.run([sys.executable, "-c", code, line], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ConfigurationError: the token arbiter does not do what was asked: PinIncorrect" in done.stderr
    assert "000000" not in done.stderr


def test_a_pin_file_open_to_others_is_refused(tmp_path: Path, token: Place) -> None:
    pin = tmp_path / "pin"
    pin.write_text("123456\n")
    pin.chmod(0o644)
    hardware._open.clear()
    with pytest.raises(ConfigurationError, match="has mode"):
        make_hardware_key(ORIGIN, Place(token.token, "open-pin", token.module, pin))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "token=a",
        "https://example.org",
        "pkcs11:",
        "pkcs11:token=a",
        "pkcs11:token=a?module-path=/m",
        "pkcs11:token=a?module-path=/m&pin-source=",
        "pkcs11:token=a;token=b?module-path=/m&pin-source=/p",
        "pkcs11:token=a?module-path=/m&pin-value=1234",
    ],
)
def test_a_uri_that_does_not_say_where_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"PKCS#11 URI lacks|expected a URI"):
        Place.parse(wrong)


def test_a_uri_comes_back_as_it_was() -> None:
    place = Place("a b;c", "log/1", "/usr/lib/x.so", Path("/etc/arbiter/pin&more"))
    assert Place.parse(place.uri()) == place


@pytest.mark.parametrize(
    "line", ["PKCS11+x", f"PKCS11+{ORIGIN}+00000000+AZBz pkcs11:token=a?module-path=/m&pin-source=/p"]
)
def test_a_damaged_line_is_refused(line: str) -> None:
    with pytest.raises(ConfigurationError, match=r"log\.key is damaged"):
        hardware.open_hardware_key(line, Path("log.key"))


def test_the_package_is_imported_only_for_a_key_in_hardware(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from arbiter.store.keys import init_keys; from arbiter.clock import SystemChance; "
        "init_keys(Path(sys.argv[1]), 'x.example/log', SystemChance()).signer.sign(b'x'); assert 'pkcs11' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
