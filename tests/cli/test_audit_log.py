"""`arbiter audit log`, `show`, `proof`, `stats`: what the log says, in words and in full, and nothing changed by looking."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arbiter.audit import recovery, rotation
from arbiter.audit.entry import Entry
from arbiter.audit.export.events import EXPORTED
from arbiter.audit.note import Ed25519NoteSigner
from arbiter.cli.audit import figures
from arbiter.cli.audit.words import said
from arbiter.cli.failing import Status
from arbiter.cli.output import out
from arbiter.lifecycle.entries import EntryType
from arbiter.workflow import register, subjects
from arbiter.workflow.backups import backing_up, restoring
from arbiter.workflow.erasure import erasing
from arbiter.workflow.log import (
    circle_in_force,
    escrowing,
    evidence,
    rotating_kek,
    rotating_log_key,
    witnessing,
)
from tests.cli.conftest import Arbiter, Ended
from tests.cli.logged import CASES, Command, Logged, a_logged_service, command_on
from tests.system.service import COMMAND, ROOT, environment

PATIENT = "made-up-1"


@pytest.fixture(scope="module")
def logged() -> Iterator[Logged]:
    with a_logged_service() as made:
        yield made


@pytest.fixture
def audit(logged: Logged, arbiter: Arbiter, monkeypatch: pytest.MonkeyPatch) -> Command:
    return command_on(logged, arbiter, monkeypatch)


def lines(ended: Ended) -> list[dict[str, Any]]:
    assert ended.status == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


# --- log ----------------------------------------------------------------------------------------------------------------


def test_newest_first_and_from_the_start_show_every_entry_once(logged: Logged, audit: Command) -> None:
    newest = lines(audit("log", "--limit", 1000, "--json"))
    oldest = lines(audit("log", "--limit", 1000, "--json", "--from-start"))
    assert [line["index"] for line in oldest] == list(range(logged.size))
    assert newest == oldest[::-1]


def test_pages_join_without_a_gap_either_way(logged: Logged, audit: Command) -> None:
    for direction in ((), ("--from-start",)):
        found: list[int] = []
        place: tuple[str, ...] = ()
        while True:
            page = audit("log", "--limit", 100, "--json", *direction, *place)
            found += [line["index"] for line in lines(page)]
            if "--place" not in page.err:
                break
            place = ("--place", page.err.split("--place ")[1].split()[0])
        assert found == sorted(range(logged.size), reverse=not direction)


def test_each_entry_is_told_in_words_at_the_hospitals_time(logged: Logged, audit: Command) -> None:
    told = audit("log", "--case", logged.cases[1], "--from-start")
    rows = [line.split("\t") for line in told.out.splitlines()]
    records = lines(audit("log", "--case", logged.cases[1], "--from-start", "--json"))
    assert [row[3] for row in rows][:2] == ["the case was taken", "the panel was asked"]
    assert "escalated to a clinician" in [row[3] for row in rows]
    for row, record in zip(rows, records, strict=True):
        shown = datetime.fromisoformat(row[1] + "+05:30")
        assert timedelta() <= datetime.fromisoformat(record["at"]) - shown < timedelta(seconds=1)
        assert row[3] == record["says"] == said(record["type"])
        assert (row[0], row[4], row[5]) == (str(record["index"]), logged.cases[1], str(record["seq"]))


def test_filters_show_what_fits_and_only_that(logged: Logged, audit: Command) -> None:
    everything = lines(audit("log", "--limit", 1000, "--json"))
    fitting: tuple[tuple[tuple[str, ...], Callable[[dict[str, Any]], bool]], ...] = (
        (("--type", "case.decided"), lambda e: e["type"] == "case.decided"),
        (
            ("--type", "case", "--type", "facts.wanted"),
            lambda e: e["type"].split(".")[0] in {"case", "facts"},
        ),
        (("--actor", "member:news2"), lambda e: e["actor"] == "member:news2"),
        (("--actor", "arbiter", "--type", "case.escalated"), lambda e: e["type"] == "case.escalated"),
        (("--site", "north"), lambda e: e["case"].startswith("c_")),
        (("--site", "nowhere"), lambda _: False),
        (("--type", "cas"), lambda _: False),
        (("--since", "7d"), lambda _: True),
        (("--until", "7d"), lambda _: False),
    )
    empty = []
    for options, fits in fitting:
        expected = [e for e in everything if fits(e)]
        assert lines(audit("log", "--limit", 1000, "--json", *options)) == expected
        if not expected:
            empty.append(options[-1])
    assert empty == ["nowhere", "cas", "7d"], "each of the others found something"


def test_a_span_of_time_is_exact(logged: Logged, audit: Command) -> None:
    everything = lines(audit("log", "--limit", 1000, "--json", "--from-start"))
    first, last = everything[40]["at"], everything[120]["at"]
    shown = lines(audit("log", "--limit", 1000, "--json", "--from-start", "--since", first, "--until", last))
    assert shown == [line for line in everything if first <= line["at"] < last]
    assert len(shown) >= 80


def test_nothing_of_the_patients_is_in_any_of_it(logged: Logged, audit: Command) -> None:
    commands: list[tuple[object, ...]] = [
        ("log", "--limit", 1000),
        ("log", "--limit", 1000, "--json"),
        ("stats",),
    ]
    for index in range(0, logged.size, 40):
        commands += [("show", index), ("show", index, "--json")]
    shown = ""
    for command in commands:
        ended = audit(*command)
        assert (ended.status, ended.out != "") == (0, True), command
        shown += ended.out
    for case in logged.cases:
        assert case in shown, "what names no patient is there"
    for secret in (PATIENT, "visit-1", "urn:example", "heart_rate", "36.8"):
        assert secret not in shown


def test_every_kind_that_is_ever_written_has_words() -> None:
    others = {
        *(subjects.SEARCHED, subjects.MERGED, subjects.SEPARATED),
        *(evidence.NOTED, recovery.RECOVERED),
        *(erasing.ORDERED, backing_up.BEGUN, restoring.RESTORED, EXPORTED),
        *(rotation.ROTATED, rotation.RETIRED, rotating_log_key.OVERLAPS),
        *(rotating_kek.ROTATED, rotating_kek.RETIRED),
        *(escrowing.ESCROWED, circle_in_force.NAMED, witnessing.CONTRADICTED),
        *register.KINDS,
    }
    kinds = {*EntryType, *others}
    assert [kind for kind in kinds if said(kind) == kind] == []
    assert said("case.reconsidered") == "case.reconsidered"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--since", "yesterday"), "--since"),
        (("--until", "0h"), "--until"),
        (("--since", "2026-02-30"), "--since"),
        (("--follow", "--from-start"), "--follow"),
        (("--follow", "--place", "3"), "--follow"),
        (("--case", "c_x", "--place", "3"), "--place"),
        (("--limit", "0"), "--limit"),
    ],
)
def test_options_that_do_not_fit_end_with_2(audit: Command, options: tuple[str, ...], told: str) -> None:
    ended = audit("log", *options)
    assert ended.status == Status.USAGE
    assert told in ended.err


def test_a_case_that_is_none_is_named(audit: Command) -> None:
    ended = audit("log", "--case", "c_nobody")
    assert (ended.status, ended.out) == (1, "")
    assert "c_nobody" in ended.err


def test_a_terminal_sees_colours_and_a_pipe_none(
    audit: Command, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b[" not in audit("log").out
    monkeypatch.setattr(out, "_force_terminal", True)
    monkeypatch.setattr(out, "_color_system", out._color_system or 1)
    shown = audit("log", "--case", logged.cases[1]).out
    assert "escalated to a clinician" in shown
    assert shown.count("\n") == len(lines(audit("log", "--case", logged.cases[1], "--json")))


# --- show ---------------------------------------------------------------------------------------------------------------


def test_one_entry_by_index_and_by_case_is_the_same(logged: Logged, audit: Command) -> None:
    case = logged.cases[0]
    listed = lines(audit("log", "--case", case, "--from-start", "--json"))
    for line in listed[:3]:
        by_case = json.loads(audit("show", case, line["seq"], "--json").out)
        assert by_case == json.loads(audit("show", line["index"], "--json").out)
        entry = Entry.from_bytes(by_case["entry"].encode())
        assert (entry.type, entry.case, entry.seq, entry.actor) == (
            line["type"],
            case,
            line["seq"],
            line["actor"],
        )
        assert by_case["proof_verified"] is True
        assert {commit["standing"] for commit in by_case["commits"]} <= {"opens"}
        assert by_case["sealed"]["checkpoint_size"] in logged.notes
        assert by_case["sealed"]["waited_seconds"] >= 0
    words = audit("show", case, 0).out
    assert "the case was taken" in words
    assert "kept, and is what the entry commits to" in words
    assert "verified" in words


def test_the_houses_own_entries_open_too(audit: Command) -> None:
    shown = json.loads(audit("show", "house", "0", "--json").out)
    assert [(c["name"], c["standing"]) for c in shown["commits"]] == [("what", "opens")]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("999999",), 1),
        (("99999999999999999999999",), 1),
        (("house", "99999999999"), 2),
        (("c_nobody", "0"), 1),
        (("house", "99999"), 1),
        (("c_nobody",), 2),
        (("-1",), 2),
        (("0x1",), 2),
        (("house", "-1"), 2),
    ],
)
def test_what_is_not_there_is_not_shown(audit: Command, arguments: tuple[str, ...], status: int) -> None:
    ended = audit("show", *arguments)
    assert (ended.status, ended.out) == (status, "")


# --- proof --------------------------------------------------------------------------------------------------------------


def test_a_proof_made_here_verifies_anywhere(logged: Logged, audit: Command, tmp_path: Path) -> None:
    proof, case = tmp_path / "decision.tlog-proof", logged.cases[0]
    assert audit("proof", case, 2, "-o", proof).status == 0
    entry = tmp_path / "decision.entry.json"
    told = audit("verify-proof", proof, entry, "--key", logged.key)
    assert told.status == 0
    assert f"entry 2 of case {case}" in told.out
    again = audit("proof", case, 2, "-o", proof)
    assert again.status == 1, "what somebody keeps is not written over"
    whole = tmp_path / "case.json"
    assert audit("proof", case, "-o", whole).status == 0
    verified = json.loads(audit("verify-proof", whole, "--key", logged.key, "--json").out)
    assert (verified["case"], verified["from_start"], verified["closed"]) == (case, True, True)
    assert [e["seq"] for e in verified["entries"]] == list(range(len(verified["entries"])))


def test_a_proof_with_one_thing_changed_is_refused(logged: Logged, audit: Command, tmp_path: Path) -> None:
    proof, entry = tmp_path / "x.tlog-proof", tmp_path / "x.entry.json"
    audit("proof", logged.cases[0], 2, "-o", proof)
    good, body = proof.read_bytes(), entry.read_bytes()
    other_key = Ed25519NoteSigner("log.hospital.example/arbiter", b"k" * 32).verifier_key
    index = int(good.split(b"index ")[1].split(b"\n")[0])
    cases: list[tuple[bytes, bytes, str]] = [
        (good, body.replace(b"member:news2", b"member:news3"), logged.key),
        (good, body + b"\n", logged.key),
        (good.replace(b"index %d\n" % index, b"index %d\n" % (index + 1)), body, logged.key),
        (good.replace(b"\n257\n", b"\n258\n"), body, logged.key),
        (good[:-10] + b"A" + good[-9:], body, logged.key),
        (good.replace(b"tlog-proof@v1", b"tlog-proof@v2"), body, logged.key),
        (b"\n".join(good.split(b"\n")[:2] + good.split(b"\n")[3:]), body, logged.key),
        (good, body, other_key),
    ]
    for number, (changed, changed_body, key) in enumerate(cases):
        assert (changed, changed_body, key) != (good, body, logged.key)
        proof.write_bytes(changed)
        entry.write_bytes(changed_body)
        ended = audit("verify-proof", proof, entry, "--key", key)
        assert (ended.status, ended.out) == (1, ""), number
    proof.write_bytes(good)
    entry.write_bytes(body)
    assert audit("verify-proof", proof, entry, "--key", other_key, "--key", logged.key).status == 0


def test_a_proof_needs_its_entry_and_a_cases_proofs_need_none(
    logged: Logged, audit: Command, tmp_path: Path
) -> None:
    proof, whole = tmp_path / "x.tlog-proof", tmp_path / "case.json"
    audit("proof", logged.cases[0], 2, "-o", proof)
    audit("proof", logged.cases[0], "-o", whole)
    assert audit("verify-proof", proof, "--key", logged.key).status == Status.USAGE
    assert audit("verify-proof", whole, proof, "--key", logged.key).status == Status.USAGE
    assert audit("verify-proof", tmp_path / "nowhere", "--key", logged.key).status == 1
    assert audit("verify-proof", whole, "--key", "no-key").status == 1


# --- stats --------------------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_log(logged: Logged, audit: Command) -> None:
    everything = lines(audit("log", "--limit", 1000, "--json"))
    figures = json.loads(audit("stats", "--json").out)
    assert figures["size"] == figures["looked_at"] == logged.size
    for kind, count in figures["by_type"].items():
        assert count == sum(line["type"] == kind for line in everything)
    assert sum(figures["by_type"].values()) == sum(figures["by_day"].values()) == logged.size
    assert figures["by_type"]["case.received"] == CASES
    assert sum(figures["waits"].values()) == logged.size
    assert figures["checkpoints"] == len(logged.notes)
    assert figures["entries_a_checkpoint"] == logged.size / len(logged.notes)
    delays = [
        json.loads(audit("show", line["index"], "--json").out)["sealed"]["waited_seconds"]
        for line in everything[::16]
    ]
    assert max(delays) <= figures["seconds_to_seal"]["max"]
    assert figures["seconds_to_seal"]["p50"] <= figures["seconds_to_seal"]["p99"]
    assert figures["bytes_an_entry"] == sum(figures["table_bytes"].values()) / logged.size
    assert (figures["pending"], figures["unreadable"]) == (0, 0)


def test_the_newest_alone_can_be_counted(logged: Logged, audit: Command) -> None:
    for newest in (1, 2, logged.size - 1, logged.size, logged.size + 1):
        figures = json.loads(audit("stats", "--newest", newest, "--json").out)
        assert figures["looked_at"] == sum(figures["by_type"].values()) == min(newest, logged.size)
        assert figures["size"] == logged.size


def test_a_pipe_gets_rows_of_three(audit: Command) -> None:
    rows = [line.split("\t") for line in audit("stats").out.splitlines()]
    assert {len(row) for row in rows} == {3}
    assert {row[0] for row in rows} == {"log", "type", "day", "wait", "checkpoints", "bytes"}


def test_a_bar_is_as_long_as_its_share() -> None:
    assert figures.bar(0, 9) == ""
    assert figures.bar(1, 10_000) == "█"
    assert len(figures.bar(5, 10)) * 2 == len(figures.bar(10, 10)) == figures.BAR_WIDTH


# --- looking --------------------------------------------------------------------------------------------------------------


def test_looking_changes_nothing(logged: Logged, audit: Command, tmp_path: Path) -> None:
    before = fingerprint(logged)
    for arguments in (
        ("log", "--limit", 1000),
        ("log", "--case", logged.cases[0]),
        ("show", 0),
        ("show", logged.cases[0], 0),
        ("proof", logged.cases[0], "-o", tmp_path / "p"),
        ("stats", "--all"),
        ("diff", 1, logged.size),
    ):
        assert audit(*arguments).status == 0
    assert fingerprint(logged) == before


def fingerprint(logged: Logged) -> dict[str, str]:
    """Every row of every table, and every file beside the database."""
    found = {}
    with logged.service.superuser() as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            rows = connection.execute(f"SELECT t::text FROM {table} AS t ORDER BY 1".encode()).fetchall()
            found[table] = hashlib.sha256(repr(rows).encode()).hexdigest()
    for path in (logged.service.kept, *(logged.data / "keys").iterdir()):
        found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def test_whoever_follows_gets_each_entry_once_as_it_is_sealed(logged: Logged, tmp_path: Path) -> None:
    """A process of its own, while the log grows beside it."""
    target, before = tmp_path / "followed", logged.size
    with target.open("wb") as file:
        following = subprocess.Popen(
            [*COMMAND, "audit", "log", "--follow", "--json", "--limit", "5"],
            cwd=ROOT,
            env=environment(logged.data),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.DEVNULL,
        )
    try:
        until(lambda: target.read_text().count("\n") >= 5)
        logged.grow(before + 1, before + 40)
        until(lambda: target.read_text().count("\n") >= 45)
    finally:
        following.terminate()
        following.wait(10)
    indices = [json.loads(line)["index"] for line in target.read_text().splitlines()]
    assert indices == list(range(before - 5, before + 40))


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.1)
