"""`arbiter watch`: every step once and in order, over dropped connections and a killed service, until the case has ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from arbiter.cli.cases import listing
from arbiter.cli.failing import Status
from arbiter.model import CaseId
from tests.cli.conftest import TOKEN, Arbiter, run_process
from tests.cli.stub import a_stub, moved, reply
from tests.system.service import COMMAND, ROOT, Service, case_body, environment, free_port

WAITING_SECONDS = 40


class Watching:
    """A watching process whose output is read as it comes."""

    def __init__(self, data: Path, environ: Mapping[str, str], folder: Path, *arguments: str) -> None:
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, "watch", *arguments],
                cwd=ROOT,
                env=environment(data, **environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        ends_at = time.monotonic() + WAITING_SECONDS
        while not condition():
            assert self.process.poll() is None, self.out + self.err
            assert time.monotonic() < ends_at, self.out + self.err
            time.sleep(0.05)

    def ended(self) -> int:
        status = self.process.wait(WAITING_SECONDS)
        assert "Traceback" not in self.err
        return status


@pytest.fixture
def watching(
    service: Service, calling: Mapping[str, str], tmp_path: Path
) -> Iterator[Callable[..., Watching]]:
    begun: list[Watching] = []

    def begin(*arguments: str) -> Watching:
        begun.append(Watching(service.data, calling, tmp_path, *arguments))
        return begun[-1]

    yield begin
    for each in begun:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait(10)


def post(service: Service, path: str, body: Any, key: str = "") -> Any:
    headers = {"Authorization": f"Bearer {service.token}"} | (
        {"Idempotency-Key": key, "Prefer": "wait=20"} if key else {}
    )
    answer = httpx.post(f"{service.url}{path}", json=body, headers=headers, trust_env=False, timeout=30)
    assert answer.is_success, answer.text
    return answer.json()


def submit(service: Service, subject: str, **more: Any) -> str:
    body = case_body(subject=subject, **more)
    case: str = post(service, "/v1/cases", body, f"watch-{subject}-{os.getpid()}-{time.time_ns()}")["id"]
    return case


def sequence(lines: str) -> list[int]:
    return [json.loads(line)["seq"] for line in lines.splitlines()]


# --- one case -----------------------------------------------------------------------------------------------------


def test_a_case_that_has_ended_is_told_whole_and_the_command_ends(
    service: Service, watching: Callable[..., Watching]
) -> None:
    case = submit(service, "watched-1")
    seen = watching(case)
    assert seen.ended() == Status.DONE
    lines = seen.out.splitlines()
    assert lines[0].endswith("the case was taken")
    assert any("decision was released" in line for line in lines)
    assert "released: decided by the panel" in seen.out


def test_steps_are_told_as_they_come_each_once_although_the_service_is_killed_between(
    service: Service, watching: Callable[..., Watching]
) -> None:
    """The case waits for facts; the service dies and comes back; the case is then cancelled."""
    case = submit(service, "watched-2", changes={"temperature": None})
    seen = watching(case, "--json")
    seen.until(lambda: "facts.wanted" in seen.out)
    service.kill()
    seen.until(lambda: "trying again" in seen.err)
    service.start()
    post(service, f"/v1/cases/{case}/cancel", {"reason": "the patient went home"})
    assert seen.ended() == Status.DONE, seen.err
    told = sequence(seen.out)
    assert told == list(range(len(told)))
    assert '"type":"case.cancelled"' in seen.out.splitlines()[-1]
    assert "went home" not in seen.out + seen.err


def test_ctrl_c_ends_quietly_with_130(service: Service, watching: Callable[..., Watching]) -> None:
    case = submit(service, "watched-3", changes={"temperature": None})
    for arguments in ((case,), ("--every", "0.2")):
        seen = watching(*arguments)
        seen.until(lambda seen=seen: case in seen.out or "facts.wanted" in seen.out)  # type: ignore[misc]
        seen.process.send_signal(signal.SIGINT)
        assert seen.ended() == Status.INTERRUPTED
        assert seen.err == ""


def test_a_case_that_is_not_ours_is_refused_at_once(service: Service, calling: Mapping[str, str]) -> None:
    done = run_process(service.data, calling, "watch", "c_" + "b" * 24)
    assert done.returncode == Status.REFUSED
    assert "404" in done.stderr


def test_once_shows_a_case_that_has_not_ended_as_it_stands_and_ends(
    service: Service, calling: Mapping[str, str]
) -> None:
    case = submit(service, "watched-4", changes={"temperature": None})
    done = run_process(service.data, calling, "watch", case, "--once")
    assert done.returncode == Status.DONE, done.stderr
    assert "awaiting-facts: waits for facts" in done.stdout
    assert "the case was taken" not in done.stdout, "its steps are what is followed"
    told = run_process(service.data, calling, "watch", case, "--once", "--json")
    (line,) = told.stdout.splitlines()
    assert (json.loads(line)["id"], json.loads(line)["settled"]) == (case, True)


def test_once_does_not_wait_for_a_server_that_is_away(arbiter: Arbiter) -> None:
    ended = arbiter("watch", moved()["id"], "--once", "--url", f"http://127.0.0.1:{free_port()}")
    assert ended.status == Status.UNAVAILABLE
    assert "trying again" not in ended.err


@pytest.mark.parametrize("option", [("--limit", "20"), ("--every", "2")])
@pytest.mark.parametrize("once", [(), ("--once",)])
def test_options_of_the_list_are_refused_with_a_case(
    arbiter: Arbiter, option: tuple[str, str], once: tuple[str, ...]
) -> None:
    with a_stub(reply(200, moved())) as stub:
        ended = arbiter("watch", moved()["id"], *option, *once, "--url", stub.url)
        assert stub.asked == []
    assert ended.status == Status.USAGE
    assert f"{option[0]}: expected without CASE" in ended.err


@pytest.mark.parametrize("case", ["../readyz", "a b", "x?limit=1", "é"])
def test_what_is_no_case_id_asks_for_nothing_else(
    service: Service, calling: Mapping[str, str], case: str
) -> None:
    done = run_process(service.data, calling, "watch", case)
    assert done.returncode == Status.REFUSED
    assert done.stdout == ""


# --- connections that drop, from a server that is told to drop them -----------------------------------------------


def events(*numbers: int, cut: bool = False) -> dict[str, Any]:
    frames = "".join(
        f"id: {number}\nevent: opinion.recorded\n"
        f'data: {{"seq":{number},"type":"opinion.recorded","at":"2026-11-22T09:00:0{number}+00:00"}}\n\n'
        for number in numbers
    )
    body = f"retry: 2000\n\n{frames}: keep-alive\n\n" + ("id: 9\nevent: half\nda" if cut else "")
    return {**reply(200, body, Content_Type="text/event-stream"), "cut": True}


def test_each_new_connection_asks_for_what_follows_the_last_step_seen(arbiter: Arbiter) -> None:
    answers = (events(0, 1), events(2, cut=True), events(), events(3), reply(204), reply(200, moved()))
    with a_stub(*answers, reply(409, {"title": "t", "detail": "d"})) as stub:
        ended = arbiter("watch", moved()["id"], "--json", "--url", stub.url)
        asked = [sent["headers"].get("Last-Event-ID") for sent in stub.asked]
    assert ended.status == Status.DONE, ended.err
    assert sequence(ended.out) == [0, 1, 2, 3]
    assert asked[:5] == [None, "1", "2", "2", "3"]


def test_a_server_that_answers_again_in_time_is_waited_for(arbiter: Arbiter) -> None:
    away = reply(503, {"title": "Not ready", "detail": "starting"})
    with a_stub(away, away, events(0), reply(204)) as stub:
        ended = arbiter("watch", moved()["id"], "--json", "--url", stub.url)
    assert ended.status == Status.DONE
    assert ended.err.count("trying again") == 2
    assert sequence(ended.out) == [0]


def test_patience_has_an_end(arbiter: Arbiter) -> None:
    began = time.monotonic()
    ended = arbiter("watch", "c_" + "a" * 24, "--patience", "1", "--url", f"http://127.0.0.1:{free_port()}")
    assert ended.status == Status.UNAVAILABLE
    assert time.monotonic() - began < 5
    assert "nobody answers" in ended.err


def test_a_token_disabled_meanwhile_ends_the_watch(arbiter: Arbiter) -> None:
    with a_stub(events(0), reply(401, {"title": "Nobody valid is speaking", "detail": "d"})) as stub:
        ended = arbiter("watch", moved()["id"], "--json", "--url", stub.url)
    assert ended.status == Status.REFUSED
    assert sequence(ended.out) == [0]
    assert TOKEN not in ended.err


def test_a_page_in_place_of_the_stream_is_not_followed(arbiter: Arbiter) -> None:
    with a_stub(reply(200, "<html>", Content_Type="text/html")) as stub:
        ended = arbiter("watch", moved()["id"], "--patience", "0", "--url", stub.url)
    assert ended.status == Status.UNAVAILABLE
    assert "expected server-sent events" in ended.err


# --- all cases ----------------------------------------------------------------------------------------------------


def test_the_list_is_newest_first_and_ends_with_once(service: Service, calling: Mapping[str, str]) -> None:
    older, newer = (
        submit(service, "listed-1"),
        submit(service, "listed-2", changes={"pregnant": (True, None)}),
    )
    done = run_process(service.data, calling, "watch", "--once", "--json", "--limit", "2")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [newer, older]
    table = run_process(service.data, calling, "watch", "--once", "--limit", "1").stdout
    assert table.split("\t")[0] == newer
    assert "waits on the work list for a clinician" in table


def test_each_case_is_told_again_only_when_it_has_moved(
    service: Service, watching: Callable[..., Watching]
) -> None:
    case = submit(service, "listed-3", changes={"temperature": None})
    seen = watching("--json", "--every", "0.2", "--limit", "5")
    seen.until(lambda: case in seen.out)
    time.sleep(1)
    before = len(seen.out.splitlines())
    post(service, f"/v1/cases/{case}/cancel", {"reason": "the patient went home"})
    seen.until(lambda: "cancelled" in seen.out)
    time.sleep(1)
    later = [json.loads(line) for line in seen.out.splitlines()[before:]]
    assert {told["id"] for told in later} == {case}
    assert later[-1]["phase"] == "cancelled"


def test_an_unchanged_list_is_asked_for_by_its_tag(arbiter: Arbiter) -> None:
    page = reply(200, {"cases": [moved()], "next_cursor": None}, ETag='"one"')
    gone = reply(401, {"title": "t", "detail": "d"})
    with a_stub(page, reply(304, ""), reply(304, ""), gone) as stub:
        ended = arbiter("watch", "--json", "--every", "0.2", "--url", stub.url)
        tags = [sent["headers"].get("If-None-Match") for sent in stub.asked]
    assert ended.status == Status.REFUSED
    assert tags == [None, '"one"', '"one"', '"one"']
    assert [json.loads(line)["id"] for line in ended.out.splitlines()] == [CaseId(moved()["id"])]


def test_the_table_marks_what_nobody_has_taken_in_time() -> None:
    console = Console(width=200, record=True)
    console.print(listing._table([moved("escalated", overdue=True)]))
    assert "OVERDUE: follow the local procedure" in console.export_text()
