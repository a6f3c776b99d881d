"""The verifier that an export carries runs where nothing of Arbiter is: Python, `cryptography`, and no more."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from arbiter.audit.export.layout import KEYS, README, SCRIPT, SOURCE_FOLDER, STATEMENTS
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.cli.failing import Status
from arbiter.workflow.exports.source import source_members
from tests.exports import Exported, signed_again
from tests.patience import PATIENCE_SECONDS
from tests.verifying.bare import Bare
from tests.verifying.conftest import Exports


def test_nothing_of_arbiter_nor_its_libraries_is_there(bare: Bare) -> None:
    for name in ("arbiter", "cel_expr_python", "pydantic", "yaml", "sqlalchemy"):
        started = bare.python("-c", f"import sys; sys.path.append({str(bare.packages)!r}); import {name}")
        assert "ModuleNotFoundError" in started.stderr, name


@pytest.mark.parametrize("which", ["whole", "case", "picked"])
def test_archive_and_folder_verify_there(exports: Exports, bare: Bare, which: str) -> None:
    made: Exported = getattr(exports, which)
    folder = bare.unpacked(made)
    key = made.signer.verifier_key
    for arguments in ((str(bare.folder / "export.zip"),), (str(folder),)):
        ran = bare.verify(bare.folder / "verifier.py", *arguments, "--key", key, "--json")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        said = json.loads(ran.stdout)
        assert said["verified"]
        assert said["keys_from_outside"]
        assert said["entries"] == made.manifest().entries
        assert said["documents"] == made.manifest().payloads
        assert said["rules_evaluated_anew"] is False
        assert all(step["same"] for step in said["certificates"])
        # Every certificate of the house: decided alone; escalated and signed; asking for facts.
        expected = {"whole": 4, "case": 1, "picked": 0}[which]
        assert len(said["certificates"]) == expected
    assert not list(folder.rglob("__pycache__"))


def test_keys_are_given_as_the_log_publishes_them(exports: Exports, bare: Bare) -> None:
    """Two lines in one argument, or in a file: Ed25519's and ML-DSA-44's."""
    bare.unpacked(exports.case)
    archive = str(bare.folder / "export.zip")
    both = exports.case.members()[KEYS].decode()
    assert both.count("\n") == 2
    (bare.folder / "log.keys").write_text(both)
    for given in (("--key", both), ("--keys", "log.keys"), *(("--key", key) for key in both.split()[:1])):
        ran = bare.verify(bare.folder / "verifier.py", archive, *given)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "keys: those that were given" in ran.stdout
        assert "second signature (ML-DSA-44) on the newest checkpoint: good" in ran.stdout
        assert ran.stdout.splitlines()[-1].startswith("VERIFIED: ")


def test_another_second_key_is_refused(exports: Exports, bare: Bare) -> None:
    bare.unpacked(exports.case)
    second = MlDsa44Key(exports.case.signer.name, b"2" * 32).verifier_key
    both = f"{exports.case.signer.verifier_key}\n{second}\n"
    ran = bare.verify(bare.folder / "verifier.py", "export.zip", "--key", both)
    assert ran.returncode == 1
    assert "lacks the ML-DSA-44 signature" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "REFUSED: believe nothing of this export"


@pytest.mark.parametrize("key", ["", " ", "log.hospital.example/arbiter", "no key at all"])
def test_what_is_no_key_is_refused_and_never_taken_for_none(exports: Exports, bare: Bare, key: str) -> None:
    bare.unpacked(exports.case)
    ran = bare.verify(bare.folder / "verifier.py", str(bare.folder / "export.zip"), "--key", key)
    assert ran.returncode == 1
    assert "expected verifier keys" in ran.stdout


def test_it_says_in_words_what_is_shown_and_what_is_not(exports: Exports, bare: Bare) -> None:
    folder = bare.unpacked(exports.case)
    ran = bare.verify(folder / SCRIPT, f"--key={exports.case.signer.verifier_key}")
    assert ran.returncode == 0
    assert "nothing can be said beyond" in ran.stdout
    assert "recomputed to the same bytes" in ran.stdout
    assert "taken as recorded" in ran.stdout
    assert "keys: those that were given" in ran.stdout


@pytest.mark.parametrize("which", ["archive", "folder"])
def test_without_a_key_nothing_is_proven_and_no_script_can_take_it_for_proof(
    exports: Exports, bare: Bare, which: str
) -> None:
    folder = bare.unpacked(exports.case)
    place = str(folder) if which == "folder" else "export.zip"
    ran = bare.verify(bare.folder / "verifier.py", place)
    assert ran.returncode == int(Status.UNPROVEN) == 6
    assert ran.stdout.splitlines()[-1].startswith("NOT PROVEN: no key was given")
    assert "verified" not in ran.stdout.lower()
    ran = bare.verify(bare.folder / "verifier.py", place, "--json")
    assert ran.returncode == 6
    said = json.loads(ran.stdout)
    assert (said["verified"], said["verdict"], said["keys_from_outside"]) == (False, "not proven", False)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda key: key[:-2], "is not whole"),
        (lambda key: key.replace("log.", "lug.", 1), "is not that of its key"),
        (lambda key: key[:-6] + "A" * 6, "is not that of its key"),
        (lambda key: key.partition("+")[0], "expected verifier keys"),
        (lambda key: "export.zip", "a file of them goes after --keys"),
    ],
    ids=["cut off", "another name", "a character lost", "the name alone", "a file's name"],
)
def test_a_key_that_was_copied_badly_is_told_of(
    exports: Exports, bare: Bare, spoil: Callable[[str], str], told: str
) -> None:
    bare.unpacked(exports.case)
    key = spoil(exports.case.signer.verifier_key)
    ran = bare.verify(bare.folder / "verifier.py", "export.zip", "--key", key)
    assert ran.returncode == 1
    assert told in ran.stdout


def test_without_cryptography_it_says_what_to_install(exports: Exports, bare: Bare) -> None:
    bare.unpacked(exports.case)
    ran = bare.python("verifier.py", "export.zip")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "pip install cryptography" in ran.stderr


@pytest.mark.parametrize("told", ["the archive's README", "--help"])
def test_every_exit_status_is_documented(exports: Exports, bare: Bare, told: str) -> None:
    bare.unpacked(exports.case)
    text = exports.case.members()[README].decode()
    if told == "--help":
        ran = bare.verify(bare.folder / "verifier.py", "--help")
        assert ran.returncode == 0
        text = ran.stdout
    for line in ("0 VERIFIED", "1 REFUSED", "2 NOT CHECKED", "6 NOT PROVEN"):
        assert line in " ".join(text.split())


def test_the_readme_names_every_member_that_there_is(exports: Exports) -> None:
    text = exports.whole.members()[README].decode()
    for name in exports.whole.members():
        place = name.partition("/")[0] + "/" if "/" in name else name
        assert name == README or place in text or name == "manifest.note", name


def test_each_module_it_runs_comes_from_the_export(exports: Exports, bare: Bare) -> None:
    bare.unpacked(exports.case)
    told = (
        "import sys, runpy; sys.path.append(sys.argv[1]); sys.argv = sys.argv[2:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(*sorted(m.__file__ for n, m in sys.modules.items() if n.partition('.')[0] == 'arbiter'), sep='\\n')"
    )
    archive = bare.folder / "export.zip"
    ran = bare.python("-c", told, str(bare.packages), str(bare.folder / "verifier.py"), str(archive))
    files = [line for line in ran.stdout.splitlines() if line.endswith(".py")]
    assert len(files) > 30
    assert all(line.startswith(f"{archive}/{SOURCE_FOLDER}arbiter/") for line in files)
    carried = {name for name, _ in source_members()}
    assert {line.removeprefix(f"{archive}/") for line in files} <= carried


def test_a_byte_changed_anywhere_is_refused_there(exports: Exports, bare: Bare) -> None:
    content = exports.case.content
    bare.unpacked(exports.case)
    end = content.rfind(b"PK\x05\x06")
    central = content.find(b"PK\x01\x02")
    for place in (
        0,
        40,
        len(content) // 3,
        central,
        central + 20,
        end,
        end + 12,
        end + 20,
        end + 30,
        len(content) - 9,
    ):
        changed = bytearray(content)
        changed[place] ^= 4
        spoilt = bare.folder / "spoilt.zip"
        spoilt.write_bytes(changed)
        for keys in ((), ("--key", exports.case.signer.verifier_key)):
            ran = bare.verify(bare.folder / "verifier.py", str(spoilt), *keys, "--json")
            assert ran.returncode == 1, f"byte {place}: {ran.stdout}{ran.stderr}"
            assert json.loads(ran.stdout)["verified"] is False


@pytest.mark.parametrize(
    "name",
    ["entries.jsonl", "manifest.json", "manifest.note", "keys.txt", f"{SOURCE_FOLDER}arbiter/errors.py"],
)
def test_a_file_changed_in_the_folder_is_refused_there(exports: Exports, bare: Bare, name: str) -> None:
    folder = bare.unpacked(exports.case)
    content = (folder / name).read_bytes()
    place = len(content) // 2
    (folder / name).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    ran = bare.verify(bare.folder / "verifier.py", str(folder), "--key", exports.case.signer.verifier_key)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "REFUSED" in ran.stdout


@pytest.mark.parametrize(
    "text", ["[]", "7", "null", '{"keys": 7}', '{"keys": []}', "arbiter/key-rotation/v1", "\x00"]
)
def test_a_statement_of_any_other_shape_is_refused_in_words(exports: Exports, bare: Bare, text: str) -> None:
    """It is read before anything vouches for it; a trace of the program is no verdict that a person or a script can read."""
    folder = bare.unpacked(exports.case)
    note = f"{text}\n\n\u2014 log.example AAAA\n"
    (folder / STATEMENTS).write_text(json.dumps({"content": note}) + "\n", "utf-8")
    ran = bare.verify(bare.folder / "verifier.py", str(folder), "--key", exports.case.signer.verifier_key)
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[-1].startswith("REFUSED"), ran.stdout + ran.stderr


def test_source_that_is_not_as_signed_never_runs(exports: Exports, bare: Bare) -> None:
    folder = bare.unpacked(exports.case)
    trap = bare.folder / "sprung"
    code = f"open({str(trap)!r}, 'w').close()\n"
    changed = folder / SOURCE_FOLDER / "arbiter" / "errors.py"
    changed.write_text(code + changed.read_text())
    added = folder / SOURCE_FOLDER / "json.py"
    for path in (changed, added):
        if path is added:
            bare.unpacked(exports.case)
            path.write_text(code)
        ran = bare.verify(bare.folder / "verifier.py", str(folder))
        assert ran.returncode == 1
        assert not trap.exists()


@pytest.mark.parametrize("module", ["json.py", "zipfile.py", "cryptography/__init__.py", "typing.py"])
def test_a_module_put_beside_the_script_never_runs(exports: Exports, bare: Bare, module: str) -> None:
    folder = bare.unpacked(exports.case)
    trap = bare.folder / "sprung"
    (folder / module).parent.mkdir(exist_ok=True)
    (folder / module).write_text(f"open({str(trap)!r}, 'w').close()\n")
    # As anybody starts it: Python itself puts the script's folder first on the path.
    ran = subprocess.run(
        [sys.executable, "-S", str(folder / SCRIPT), f"--key={exports.case.signer.verifier_key}"],
        cwd=folder,
        env={"PYTHONPATH": str(bare.packages)},
        text=True,
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert not trap.exists()
    assert ran.returncode == 1, ran.stderr
    assert f"{module}: ADDED" in ran.stdout


def test_an_archive_of_more_members_than_a_plain_zip_counts_verifies_there(
    exports: Exports, bare: Bare
) -> None:
    made = exports.case
    many = {f"cases/{number}.txt": b"" for number in range(65_536)}
    bare.unpacked(made)
    (bare.folder / "many.zip").write_bytes(signed_again(made, made.members() | many))
    key = made.signer.verifier_key
    ran = bare.verify(bare.folder / "verifier.py", "many.zip", "--key", key, "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_file_or_link_added_to_the_folder_is_refused_there(exports: Exports, bare: Bare) -> None:
    folder = bare.unpacked(exports.case)
    (folder / "payloads" / "note.txt").write_text("the patient is well")
    assert "ADDED" in bare.verify(folder / SCRIPT).stdout
    (folder / "payloads" / "note.txt").unlink()
    (folder / "entries.jsonl").rename(bare.folder / "elsewhere")
    (folder / "entries.jsonl").symlink_to(bare.folder / "elsewhere")
    ran = bare.verify(folder / SCRIPT)
    assert ran.returncode == 1
    assert "no such file" in ran.stdout


def test_rules_that_were_not_recorded_are_missed_there(exports: Exports, bare: Bare) -> None:
    made = exports.case
    members = made.members()
    (name,) = [name for name in members if name.startswith("replay/")]
    for content in (b'{"excluded":[],"outcomes":[]}', members[name].replace(b'"permit"', b'"deny"')):
        assert content != members[name]
        bare.unpacked(made, signed_again(made, members | {name: content}))
        ran = bare.verify(bare.folder / "verifier.py", "export.zip")
        assert ran.returncode == 1, content
        assert "RECOMPUTED" in ran.stdout or "OTHER BYTES" in ran.stdout


def test_what_is_not_there_or_no_export_is_told_apart(bare: Bare, exports: Exports) -> None:
    bare.unpacked(exports.case)
    script = bare.folder / "verifier.py"
    assert bare.verify(script, "missing.zip").returncode == 2
    (bare.folder / "text.zip").write_text("no archive")
    assert bare.verify(script, "text.zip").returncode == 1
    (bare.folder / "empty").mkdir()
    assert bare.verify(script, "empty").returncode == 2
    assert bare.verify(script, "export.zip", "--key", "nonsense").returncode == 1
    assert bare.verify(script, "--help").returncode == 0
