"""An address that is registered twice is named, and not refused: secrets are changed that way."""

from __future__ import annotations

import json
from subprocess import CompletedProcess

from tests.cli.conftest import run_process
from tests.system.service import Service

URL = "https://pager.hospital.example/arbiter"
OUTREACH = ("--group", "critical-care-outreach")


def add(service: Service, url: str, *more: str) -> CompletedProcess[str]:
    done = run_process(service.data, {}, "webhooks", "add", url, *more)
    assert done.returncode == 0, done.stderr
    return done


def id_of(done: CompletedProcess[str]) -> str:
    return str(json.loads(done.stdout)["id"])


def test_an_address_that_its_owner_has_already_is_named_and_added(service: Service) -> None:
    client = service.token.split("_")[1]
    alone = add(service, URL, *OUTREACH, "--json")
    for url, owner in (
        (URL, ("--client", client)),
        (URL, ("--group", "anticoagulation-clinic")),
        (f"{URL}/", OUTREACH),
    ):
        assert "warning" not in add(service, url, *owner).stderr
    again = add(service, URL, *OUTREACH, "--json")
    assert "warning" not in alone.stderr
    assert f"warning: {id_of(alone)} has the same owner and address" in again.stderr
    assert URL not in again.stderr
    assert set(json.loads(again.stdout)) == {"id", "secret"}
    third = add(service, URL, *OUTREACH)
    assert f"{id_of(alone)}, {id_of(again)}" in third.stderr
    assert len(third.stdout.splitlines()) == 2, "the warning is no part of what is piped"


def test_an_address_whose_endpoint_was_disabled_is_new(service: Service) -> None:
    url = "https://pager.hospital.example/replaced"
    first = id_of(add(service, url, *OUTREACH, "--json"))
    assert run_process(service.data, {}, "webhooks", "disable", first).returncode == 0
    assert "warning" not in add(service, url, *OUTREACH).stderr
