"""What is used, what is kept and what is dropped: opinions stand for one panel, one case, and whole lines."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arbiter.errors import ConfigurationError, RefusedError
from arbiter.evaluation import asking
from arbiter.evaluation.asking import StandingClock, hear
from arbiter.evaluation.cases import Cases, read_cases
from arbiter.evaluation.hearing import Came, Hearing, hearing_from, line_of, panel_hash
from arbiter.evaluation.opinions_file import FILE, Unused, alone
from arbiter.evaluation.running import Heard, run_panel
from arbiter.protocols.loader import load_bundle, read_shipped
from arbiter.workflow.shelf import Shelved, shelve
from tests.evaluation.small import invented, shelved, write

PANEL = shelved("deterioration")
LINES = invented("deterioration", 12)


def cases_in(folder: Path, lines: Sequence[dict[str, Any]] = LINES) -> Cases:
    return read_cases(write(folder / "cases.jsonl", list(lines)), PANEL.protocol.question)


def run(cases: Cases, folder: Path, panel: Shelved = PANEL, *, fresh: bool = False) -> Heard:
    return asyncio.run(run_panel(panel, cases, folder, parallel=3, fresh=fresh))


def test_a_second_run_asks_nobody_and_leaves_the_same_bytes(tmp_path: Path) -> None:
    first = run(cases_in(tmp_path), tmp_path)
    content = (tmp_path / FILE).read_bytes()
    again = run(cases_in(tmp_path), tmp_path)
    assert (first.asked, first.reused, again.asked, again.reused) == (12, 0, 0, 12)
    assert (tmp_path / FILE).read_bytes() == content
    assert again.pairs == first.pairs
    assert again.sha256 == first.sha256 == hashlib.sha256(content).hexdigest()


def test_two_runs_apart_write_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run(cases_in(tmp_path / name), tmp_path / name)
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()


@pytest.mark.parametrize("kept", [1, 500, 3000])
def test_a_torn_last_line_is_dropped_and_its_case_asked_again(tmp_path: Path, kept: int) -> None:
    whole = run(cases_in(tmp_path), tmp_path)
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(b"".join(lines[:5]) + lines[5][:kept])
    again = run(cases_in(tmp_path), tmp_path)
    assert (again.unused, again.reused, again.asked) == (Unused(torn=1), 5, 7)
    assert again.sha256 == whole.sha256


@pytest.mark.parametrize(
    "garbage",
    [
        b"{}\n",
        b"\x00\xff\n",
        b"null\n",
        b'{"case":"x"}\n',
        b"[" * 5000 + b"\n",
        b'{"opinions":[],"case":NaN}\n',
    ],
)
def test_a_line_that_is_no_hearing_among_others_is_dropped(tmp_path: Path, garbage: bytes) -> None:
    whole = run(cases_in(tmp_path), tmp_path)
    path = tmp_path / FILE
    path.write_bytes(garbage + path.read_bytes())
    again = run(cases_in(tmp_path), tmp_path)
    assert (again.unused, again.asked, again.sha256) == (Unused(unreadable=1), 0, whole.sha256)


def test_a_case_that_has_changed_is_asked_again_and_no_other(tmp_path: Path) -> None:
    run(cases_in(tmp_path), tmp_path)
    changed = [*LINES[:4], {**LINES[4], "title": "another"}, *LINES[5:]]
    again = run(cases_in(tmp_path, changed), tmp_path)
    assert (again.unused, again.asked, again.reused) == (Unused(changed_case=1), 1, 11)


def test_a_case_that_is_gone_is_not_used_and_one_that_is_new_is_asked(tmp_path: Path) -> None:
    run(cases_in(tmp_path, LINES[:10]), tmp_path)
    again = run(cases_in(tmp_path, LINES[2:]), tmp_path)
    assert (again.unused, again.asked, again.reused) == (Unused(not_meant=2), 2, 8)
    assert [case.id for case, _ in again.pairs] == [line["id"] for line in LINES[2:]]


def test_a_folder_of_other_cases_loses_nothing(tmp_path: Path) -> None:
    whole = run(cases_in(tmp_path, LINES[:6]), tmp_path)
    content = (tmp_path / FILE).read_bytes()
    other = run(cases_in(tmp_path, LINES[6:]), tmp_path)
    assert (other.asked, other.unused) == (6, Unused(not_meant=6))
    assert (tmp_path / FILE).read_bytes().endswith(content)
    again = run(cases_in(tmp_path, LINES[:6]), tmp_path)
    assert (again.asked, again.reused, again.sha256) == (0, 6, whole.sha256)


def another_panel() -> Shelved:
    files = dict(read_shipped("deterioration").files)
    files["protocol.yaml"] += b"\n# another content\n"
    return shelve(load_bundle(files))


def test_another_content_of_the_protocol_asks_everybody_again_and_loses_nothing(tmp_path: Path) -> None:
    whole = run(cases_in(tmp_path), tmp_path)
    other = run(cases_in(tmp_path), tmp_path, another_panel())
    assert (other.unused, other.asked) == (Unused(other_panel=12), 12)
    again = run(cases_in(tmp_path), tmp_path)
    assert (again.unused, again.asked, again.sha256) == (Unused(other_panel=12), 0, whole.sha256)
    assert again.pairs == whole.pairs


def test_another_protocols_folder_loses_nothing(tmp_path: Path) -> None:
    lines = invented("surgery-readiness", 9)
    theatre = shelved("surgery-readiness")
    cases = read_cases(write(tmp_path / "theatre.jsonl", lines), theatre.protocol.question)
    whole = run(cases, tmp_path, theatre)
    content = (tmp_path / FILE).read_bytes()
    run(cases_in(tmp_path), tmp_path)
    run(cases_in(tmp_path), tmp_path, fresh=True)
    assert (tmp_path / FILE).read_bytes().endswith(content)
    again = run(cases, tmp_path, theatre)
    assert (again.asked, again.reused, again.sha256) == (0, 9, whole.sha256)


@pytest.mark.parametrize("fresh", [False, True])
def test_an_excerpt_of_the_cases_loses_none_of_the_others(tmp_path: Path, *, fresh: bool) -> None:
    lines = invented("deterioration", 600)
    whole = run(cases_in(tmp_path, lines), tmp_path)
    excerpt = run(cases_in(tmp_path, lines[100:300]), tmp_path, fresh=fresh)
    assert excerpt.asked == (200 if fresh else 0)
    assert len((tmp_path / FILE).read_bytes().splitlines()) == 600
    again = run(cases_in(tmp_path, lines), tmp_path)
    assert (again.asked, again.reused, again.sha256) == (0, 600, whole.sha256)


@pytest.mark.parametrize("content", [b"{}\n", b"a,b\n1,2\n", b"\n", b"[1, 2]", b"{}"])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_file_that_holds_no_opinion_is_somebody_elses_and_is_left_alone(
    tmp_path: Path, content: bytes, *, fresh: bool
) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ConfigurationError, match="holds no opinion that this version can read: name another"):
        run(cases_in(tmp_path), tmp_path, fresh=fresh)
    assert (tmp_path / FILE).read_bytes() == content


@pytest.mark.parametrize("kept", [0, 1, 9, 500])
def test_a_run_killed_while_it_wrote_its_first_line_begins_again(tmp_path: Path, kept: int) -> None:
    whole = run(cases_in(tmp_path), tmp_path)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:kept])
    again = run(cases_in(tmp_path), tmp_path)
    assert (again.asked, again.unused, again.sha256) == (12, Unused(torn=int(kept > 0)), whole.sha256)


def test_opinions_are_for_nobody_else_to_read_however_the_file_came_about(tmp_path: Path) -> None:
    run(cases_in(tmp_path, LINES[6:]), tmp_path)
    for fresh in (False, True):
        run(cases_in(tmp_path), tmp_path, fresh=fresh)
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_another_table_of_a_score_is_another_panel_under_the_same_protocol() -> None:
    name, member = next(iter(PANEL.members.items()))
    other = replace(member.identity, digest="0" * 64)
    changed = type("Changed", (), {"identity": other, "answer": member.answer})()
    assert panel_hash(replace(PANEL, members={**PANEL.members, name: changed})) != panel_hash(PANEL)


def test_the_order_of_the_cases_is_that_of_the_file_whatever_was_asked_first(tmp_path: Path) -> None:
    run(cases_in(tmp_path, LINES[6:]), tmp_path)
    turned = run(cases_in(tmp_path), tmp_path)
    cases = [hearing_from(line).case for line in (tmp_path / FILE).read_bytes().splitlines()]
    assert cases == [line["id"] for line in LINES]
    assert turned.reused == 6


def test_a_fresh_run_uses_nothing(tmp_path: Path) -> None:
    run(cases_in(tmp_path), tmp_path)
    again = run(cases_in(tmp_path), tmp_path, fresh=True)
    assert (again.asked, again.reused, again.unused.in_all) == (12, 0, 0)


def test_a_fresh_run_killed_early_leaves_what_was_there_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(cases_in(tmp_path), tmp_path)
    content = (tmp_path / FILE).read_bytes()

    async def killed(*arguments: Any, parallel: int) -> None:
        panel, clock, cases, keep = arguments
        await asking.hear_all(panel, clock, cases[:4], keep, parallel=parallel)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("arbiter.evaluation.running.hear_all", killed)
        with pytest.raises(KeyboardInterrupt):
            run(cases_in(tmp_path), tmp_path, fresh=True)
    assert (tmp_path / FILE).read_bytes() == content
    assert run(cases_in(tmp_path), tmp_path).asked == 0
    resumed = run(cases_in(tmp_path), tmp_path, fresh=True)
    assert (resumed.asked, resumed.reused, resumed.sha256) == (8, 4, whole.sha256)
    assert run(cases_in(tmp_path), tmp_path, fresh=True).asked == 12


def test_a_verdict_of_other_code_is_made_again_without_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(cases_in(tmp_path), tmp_path)
    monkeypatch.setattr(asking, "__version__", "99.0.0")
    again = run(cases_in(tmp_path), tmp_path)
    assert again.asked == 0
    assert all(hearing.judged_by.startswith("99.0.0") for _, hearing in again.pairs)
    assert [hearing.verdict for _, hearing in again.pairs] == [hearing.verdict for _, hearing in first.pairs]


def test_a_second_evaluation_in_the_same_folder_is_refused_while_the_first_lasts(tmp_path: Path) -> None:
    with (
        alone(tmp_path / "out"),
        pytest.raises(ConfigurationError, match="another evaluation is at work"),
        alone(tmp_path / "out"),
    ):
        pass
    with alone(tmp_path / "out"):
        pass


def hearing_of(line: dict[str, Any], folder: Path) -> Hearing:
    (case,) = cases_in(folder, [line]).cases
    return asyncio.run(hear(PANEL, StandingClock(), case, panel_hash(PANEL)))


def test_what_intake_refuses_is_no_case_and_has_no_verdict(tmp_path: Path) -> None:
    facts = {**LINES[0]["facts"], "age": {"value": 500, "unit": "a", "age_minutes": 0}}
    found = hearing_of({**LINES[0], "facts": facts}, tmp_path)
    assert (found.came, found.verdict, found.opinions) == (Came.REFUSED, None, ())
    assert found.problems == ("/facts/age/value: range",)
    assert "500" not in "".join(found.problems)
    assert hearing_from(line_of(found).rstrip(b"\n")) == found


def test_an_excluded_case_is_never_put_to_the_panel(tmp_path: Path) -> None:
    facts = {**LINES[0]["facts"], "age": {"value": 9, "unit": "a", "age_minutes": 0}}
    found = hearing_of({**LINES[0], "facts": facts}, tmp_path)
    assert (found.came, found.opinions) == (Came.EXCLUDED, ())
    assert found.verdict is not None
    assert hearing_from(line_of(found).rstrip(b"\n")) == found


@pytest.mark.parametrize("spoil", [b"came", b"case_hash", b"opinions", b"judged_by"])
def test_a_hearing_without_one_of_its_parts_is_refused(tmp_path: Path, spoil: bytes) -> None:
    line = line_of(hearing_of(LINES[0], tmp_path)).rstrip(b"\n")
    with pytest.raises(RefusedError):
        hearing_from(line.replace(b'"' + spoil + b'":', b'"other":', 1))
