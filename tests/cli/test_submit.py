"""`arbiter submit` against a serving process, and against a server that answers as a healthy Arbiter does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from arbiter.cli.cases.files import FHIR_PATH
from arbiter.cli.failing import Status
from tests.cli.conftest import TOKEN, Arbiter, Ended, run_process
from tests.cli.stub import Stub, a_stub, moved, reply
from tests.system.service import Service, case_body

EXAMPLE = "deterioration/stable-after-hip"


@pytest.fixture
def submit(service: Service, calling: Mapping[str, str]) -> Any:
    def run(*arguments: str, said: str = "", **more: str) -> Ended:
        done = run_process(service.data, {**calling, **more}, "submit", *arguments, said=said)
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


def case_file(folder: Path, **more: Any) -> Path:
    file = folder / "case.json"
    file.write_text(json.dumps(case_body(**more)))
    return file


# --- a real service -----------------------------------------------------------------------------------------------


def test_a_file_is_decided_and_told_in_words(submit: Any, tmp_path: Path) -> None:
    ended = submit(str(case_file(tmp_path)))
    assert ended.status == Status.DONE, ended.err
    assert "released: decided by the panel" in ended.out
    assert "Continue monitoring as planned" in ended.out
    assert "Three of three voting members gave a valid answer" in ended.out


def test_training_is_called_training_and_the_door_says_why_nothing_is_shown(
    submit: Any, service: Service, calling: Mapping[str, str], tmp_path: Path
) -> None:
    ended = submit(str(case_file(tmp_path, subject="made-up-training")), "--training")
    assert ended.status == Status.DONE, ended.err
    assert "released: training, decided by the panel" in ended.out
    assert "is for training: what comes of it never leaves this house" in ended.out
    assert "sealed" not in ended.out
    case = ended.out.split()[1]
    viewed = run_process(service.data, calling, "watch", case, "--once").stdout
    assert "training, decided by the panel" in viewed
    assert "never leaves this house" in viewed
    listed = run_process(service.data, calling, "watch", "--once").stdout
    (line,) = [line for line in listed.splitlines() if line.startswith(case)]
    assert line.endswith("\ttraining, decided by the panel")


def test_what_is_not_sealed_in_time_is_told_in_the_doors_words(arbiter: Arbiter, tmp_path: Path) -> None:
    why = {"title": "Conflict", "detail": "the certificate can be read in a moment"}
    with a_stub(reply(201, moved()), reply(409, why)) as stub:
        ended = to(stub, arbiter, str(case_file(tmp_path)))
        assert len(stub.asked) > 2, "sealing is waited for"
    assert "because   conflict: the certificate can be read in a moment" in ended.out
    assert "training" not in ended.out


def test_the_same_command_again_finds_the_same_case(submit: Any, tmp_path: Path) -> None:
    file = str(case_file(tmp_path, subject="made-up-2"))
    first, second = submit(file, "--json"), submit(file)
    assert json.loads(first.out)["id"] in second.out
    assert "sent before" in second.err


def test_again_sends_a_file_under_another_key(arbiter: Arbiter, tmp_path: Path) -> None:
    with a_stub(reply(201, moved("cancelled"))) as stub:
        file = str(case_file(tmp_path))
        for again in ((), ("--again",), ("--again",)):
            to(stub, arbiter, file, *again)
        keys = [sent["headers"]["Idempotency-Key"] for sent in stub.asked]
    assert len(set(keys)) == 3


def test_a_case_that_was_there_already_is_told_as_such(arbiter: Arbiter, tmp_path: Path) -> None:
    with a_stub(reply(200, moved("cancelled"), Arbiter_Duplicate="true")) as stub:
        ended = to(stub, arbiter, str(case_file(tmp_path)))
    assert ended.status == Status.DONE
    assert "there already" in ended.err


def test_an_example_is_dated_once_so_that_repeating_it_is_a_repeat(submit: Any) -> None:
    arguments = ("--example", EXAMPLE, "--site", "north", "--json")
    first, second = submit(*arguments), submit(*arguments)
    assert (first.status, second.status) == (Status.DONE, Status.DONE), first.err + second.err
    assert json.loads(first.out)["id"] == json.loads(second.out)["id"]
    another = submit(*arguments, "--again")
    assert json.loads(another.out)["id"] != json.loads(first.out)["id"]
    urgent = submit(*arguments, "--risk-class", "urgent")
    assert json.loads(urgent.out)["id"] != json.loads(another.out)["id"]
    assert json.loads(urgent.out)["risk_class"] == "urgent"


def test_where_nothing_can_be_kept_an_example_still_goes_and_the_loss_is_told(
    submit: Any, tmp_path: Path
) -> None:
    (tmp_path / "occupied").write_text("")
    ended = submit(
        "--example", EXAMPLE, "--site", "north", "--json", XDG_STATE_HOME=str(tmp_path / "occupied")
    )
    assert ended.status == Status.DONE
    assert "the same command again makes another case" in ended.err


def test_standard_input_is_a_file_too(submit: Any) -> None:
    ended = submit("-", "--json", said=json.dumps(case_body(subject="made-up-3")))
    assert ended.status == Status.DONE
    assert json.loads(ended.out)["phase"] == "released"


def test_overrides_stand_in_place_of_the_files_own(submit: Any, tmp_path: Path) -> None:
    file = case_file(tmp_path, subject="made-up-4", site="nowhere", risk_class="routine")
    ended = submit(str(file), "--site", "north", "--risk-class", "urgent", "--json")
    assert ended.status == Status.DONE, ended.err
    told = json.loads(ended.out)
    assert (told["site"], told["risk_class"]) == ("north", "urgent")


def test_an_escalation_tells_why_and_ends_well(submit: Any, tmp_path: Path) -> None:
    file = case_file(tmp_path, subject="made-up-5", changes={"pregnant": (True, None)})
    ended = submit(str(file))
    assert ended.status == Status.DONE
    assert "escalated: waits on the work list for a clinician" in ended.out
    assert "because" in ended.out


def test_what_does_not_fit_is_told_place_by_place(submit: Any, tmp_path: Path) -> None:
    body = case_body(subject="Mr-Secretperson")
    body["facts"]["heart_rate"]["unit"] = "/h"
    body["facts"]["temperature"]["value"] = 368
    body["facts"]["shoe_size"] = body["facts"]["age"]
    (tmp_path / "case.json").write_text(json.dumps(body))
    ended = submit(str(tmp_path / "case.json"))
    assert ended.status == Status.REFUSED
    assert "/facts/heart_rate/unit: expected one of /min; another unit came" in ended.err
    assert "/facts/temperature/value: expected 20 to 46 Cel" in ended.err
    assert "/facts/shoe_size" in ended.err
    assert "Mr-Secretperson" not in ended.err
    assert ended.out == ""


def test_a_token_that_is_unknown_is_refused_with_advice_and_not_shown(submit: Any, tmp_path: Path) -> None:
    (tmp_path / "other").write_text(TOKEN)
    ended = submit(str(case_file(tmp_path)), "--token-file", str(tmp_path / "other"))
    assert ended.status == Status.REFUSED
    assert "401" in ended.err
    assert "arbiter clients list" in ended.err
    assert TOKEN not in ended.err + ended.out


def test_the_demonstrations_notes_hold_a_token_too(submit: Any, service: Service, tmp_path: Path) -> None:
    notes = tmp_path / "demonstration.json"
    notes.write_text(json.dumps({"token": service.token, "cases": {}}))
    notes.chmod(0o600)
    ended = submit(str(case_file(tmp_path)), "--token-file", str(notes), "--json")
    assert ended.status == Status.DONE, ended.err


# --- a server that answers otherwise ------------------------------------------------------------------------------


def to(stub: Stub, arbiter: Arbiter, *arguments: str) -> Ended:
    return arbiter("submit", *arguments, "--url", stub.url)


def test_a_case_that_does_not_settle_in_time_ends_with_5_and_says_how_to_follow_it(
    arbiter: Arbiter, tmp_path: Path
) -> None:
    with a_stub(reply(202, moved("deliberating"))) as stub:
        ended = to(stub, arbiter, str(case_file(tmp_path)), "--wait", "1")
        sent = stub.asked[0]
    assert ended.status == Status.UNSETTLED
    assert f"arbiter watch {moved()['id']}" in ended.err
    assert sent["headers"]["Prefer"] == "wait=1"


def test_without_waiting_a_taken_case_is_enough(arbiter: Arbiter, tmp_path: Path) -> None:
    with a_stub(reply(202, moved("received"))) as stub:
        ended = to(stub, arbiter, str(case_file(tmp_path)), "--wait", "0")
        assert "Prefer" not in stub.asked[0]["headers"]
    assert ended.status == Status.DONE


def test_a_file_goes_out_byte_for_byte_under_a_key_of_its_own(arbiter: Arbiter, tmp_path: Path) -> None:
    body = '{ "odd" :\t1.50e0 }\n'
    (tmp_path / "odd.json").write_text(body)
    with a_stub(reply(201, moved("cancelled"))) as stub:
        to(stub, arbiter, str(tmp_path / "odd.json"))
        to(stub, arbiter, str(tmp_path / "odd.json"))
        (tmp_path / "odd.json").write_text(body + "\n")
        to(stub, arbiter, str(tmp_path / "odd.json"))
        asked = [asked for asked in stub.asked if asked["method"] == "POST"]
    assert asked[0]["body"] == body
    keys = [sent["headers"]["Idempotency-Key"] for sent in asked]
    assert keys[0] == keys[1] != keys[2]


def test_a_first_sending_that_still_runs_is_asked_for_again_under_the_same_key(
    arbiter: Arbiter, tmp_path: Path
) -> None:
    running = reply(409, {"title": "Still running", "detail": "not finished"}, Retry_After="0")
    with a_stub(running, running, reply(201, moved("cancelled"))) as stub:
        ended = to(stub, arbiter, str(case_file(tmp_path)))
        keys = {sent["headers"]["Idempotency-Key"] for sent in stub.asked}
    assert ended.status == Status.DONE
    assert len(keys) == 1


def test_asking_again_has_an_end(arbiter: Arbiter, tmp_path: Path) -> None:
    busy = reply(503, {"title": "The service cannot answer just now", "detail": "try again"}, Retry_After="0")
    with a_stub(busy) as stub:
        ended = to(stub, arbiter, str(case_file(tmp_path)))
        assert len(stub.asked) == 4
    assert ended.status == Status.UNAVAILABLE
    assert "the service cannot answer just now: try again (503)" in ended.err


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (reply(502, "<html>Bad Gateway</html>", Content_Type="text/html"), Status.UNAVAILABLE),
        (
            reply(500, {"title": "Something failed here", "detail": "x", "incident": "ab12"}),
            Status.UNAVAILABLE,
        ),
        (reply(200, "<html>Welcome</html>", Content_Type="text/html"), Status.UNAVAILABLE),
        (reply(200, {"hello": "world"}), Status.UNAVAILABLE),
        (reply(200, [1, 2]), Status.UNAVAILABLE),
        (reply(302, "", Location="https://evil.example/"), Status.UNAVAILABLE),
        (reply(404, "not here", Content_Type="text/plain"), Status.REFUSED),
        (reply(422, {"title": "T", "detail": "d", "errors": "odd"}), Status.REFUSED),
        (reply(422, {"title": "T", "detail": "d", "errors": [7, {"pointer": 1}]}), Status.REFUSED),
        ({"status": 200, "body": '{"id":', "cut": True}, Status.UNAVAILABLE),
    ],
    ids=["html", "incident", "welcome", "other", "list", "redirect", "404", "odd", "odder", "cut"],
)
def test_an_answer_that_is_no_arbiters_is_told_as_such(
    arbiter: Arbiter, tmp_path: Path, answer: dict[str, Any], status: Status
) -> None:
    with a_stub(answer) as stub:
        ended = to(stub, arbiter, str(case_file(tmp_path, subject="Mr-Secretperson")))
        assert len(stub.asked) == 1
    assert ended.status == status
    assert ended.err
    assert "Mr-Secretperson" not in ended.err
    assert TOKEN not in ended.err + ended.out


def test_an_incident_is_named_so_that_it_can_be_quoted(arbiter: Arbiter, tmp_path: Path) -> None:
    with a_stub(
        reply(500, {"title": "Something failed here", "detail": "quote it", "incident": "ab12"})
    ) as stub:
        assert "incident ab12" in to(stub, arbiter, str(case_file(tmp_path))).err


# --- FHIR ---------------------------------------------------------------------------------------------------------

BUNDLE = '{"resourceType": "Bundle", "type": "collection", "entry": []}'
BUNDLE_OPTIONS = ("--protocol", "deterioration", "--site", "north", "--risk-class", "urgent")


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    (tmp_path / "bundle.json").write_text(BUNDLE)
    return str(tmp_path / "bundle.json")


def test_a_bundle_goes_to_the_fhir_door_as_it_is(arbiter: Arbiter, bundle: str) -> None:
    case = moved("cancelled")
    taken = reply(201, {"resourceType": "Parameters"}, Location=f"/v1/cases/{case['id']}")
    with a_stub(taken, reply(200, case)) as stub:
        ended = to(stub, arbiter, bundle, *BUNDLE_OPTIONS)
        post, get = stub.asked
    assert ended.status == Status.DONE, ended.err
    assert case["id"] in ended.out
    assert post["path"] == f"{FHIR_PATH}?protocol=deterioration&site=north&risk-class=urgent"
    assert post["headers"]["Content-Type"] == "application/fhir+json"
    assert post["headers"]["Idempotency-Key"].startswith("submit-")
    assert post["body"] == BUNDLE
    assert get["path"] == f"/v1/cases/{case['id']}"


def test_a_bundle_sent_for_another_site_is_another_request(arbiter: Arbiter, bundle: str) -> None:
    case = moved("cancelled")
    taken = reply(201, {}, Location=f"/v1/cases/{case['id']}")
    with a_stub(taken, reply(200, case), taken, reply(200, case)) as stub:
        to(stub, arbiter, bundle, *BUNDLE_OPTIONS)
        to(stub, arbiter, bundle, *BUNDLE_OPTIONS[:2], "--site", "south", *BUNDLE_OPTIONS[4:])
        keys = [sent["headers"]["Idempotency-Key"] for sent in stub.asked if sent["method"] == "POST"]
    assert len(set(keys)) == 2


def test_an_operation_outcome_is_told_issue_by_issue(arbiter: Arbiter, bundle: str) -> None:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "value",
                "diagnostics": "expected /min",
                "expression": ["Bundle.entry[0]"],
            },
            {"severity": "error", "code": "required", "details": {"text": "no patient"}},
            "odd",
        ],
    }
    with a_stub(reply(422, outcome, Content_Type="application/fhir+json")) as stub:
        ended = to(stub, arbiter, bundle, *BUNDLE_OPTIONS)
    assert ended.status == Status.REFUSED
    assert "Bundle.entry[0]: expected /min" in ended.err
    assert "Bundle: no patient" in ended.err


@pytest.mark.parametrize("location", ["", "/fhir/Task/1", "/v1/cases/", "/v1/cases/a/b"])
def test_a_bundle_taken_without_a_case_named_is_no_success(
    arbiter: Arbiter, bundle: str, location: str
) -> None:
    with a_stub(reply(201, {}, Location=location)) as stub:
        ended = to(stub, arbiter, bundle, *BUNDLE_OPTIONS)
    assert ended.status == Status.UNAVAILABLE
    assert "does not say which case" in ended.err
