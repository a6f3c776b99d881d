"""An escalation nobody takes climbs its ladder on a clock that the test moves; whoever is on duty then is called once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arbiter.channels.notice import ADVICE
from arbiter.channels.webhook import open_http
from arbiter.errors import ConfigurationError, ForbiddenError, IllegalMoveError, NotFoundError
from arbiter.identity.clients import register_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.model import CaseId, RiskClass
from arbiter.protocols.loader import read_shipped, shipped
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.workflow import reading, review
from arbiter.workflow.acknowledging import acknowledge
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.dispatching import Dispatcher
from arbiter.workflow.endpoints import disable, register_endpoint
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.publishing import ready
from tests.houses import SITE, ShiftableClock, a_client, a_house, a_reviewer, listed_for, submission
from tests.mailboxes import Mailbox, a_mailbox
from tests.receivers import Receiver, a_receiver

MINUTE = timedelta(minutes=1)
DUTY = """\
groups:
  - id: outreach
    title: Critical care outreach
    contacts:
      - {{id: day, mail: outreach-day@hospital.example}}
      - {{id: night, mail: outreach-night@hospital.example}}
      - {{id: pager, webhook: {pager}}}
    rota:
      zone: Europe/London
      shifts:
        - {{days: [mon, tue, wed, thu, fri, sat, sun], from: 08:00, to: 20:00, contacts: [day, pager]}}
        - {{days: [mon, tue, wed, thu, fri, sat, sun], from: 20:00, to: 08:00, contacts: [night, pager]}}
  - id: registrar
    title: Medical registrar
    contacts:
      - {{id: day, mail: registrar-day@hospital.example}}
      - {{id: night, mail: registrar-night@hospital.example}}
    rota:
      zone: Europe/London
      shifts:
        - {{days: [mon, tue, wed, thu, fri, sat, sun], from: 08:00, to: 20:00, contacts: [day]}}
        - {{days: [mon, tue, wed, thu, fri, sat, sun], from: 20:00, to: 08:00, contacts: [night]}}
ladders:
  - duty_groups: [{called}]
    routine: &none
      - {{group: outreach, acknowledge_within: PT1H}}
    urgent:
      - {{group: outreach, acknowledge_within: PT10M}}
      - {{group: registrar, acknowledge_within: PT10M}}
      - {{group: outreach, acknowledge_within: PT5M}}
    emergency:
      - {{group: outreach, acknowledge_within: PT3M}}
""".replace(" &none", "")
NO_PAGER = "we_aaaaaaaaaaaaaaaa"
CALLED = ", ".join(sorted({read_shipped(name).protocol.duty_group for name in shipped()}))


def duty_file(pager: str = NO_PAGER, called: str = CALLED) -> str:
    return DUTY.format(pager=pager, called=called)


@dataclass
class Ward:
    """A house whose people on duty have a mailbox and a pager, and whose clients have an endpoint."""

    house: House
    clock: ShiftableClock
    mailbox: Mailbox
    pager: Receiver
    requester: Receiver
    client: Principal
    dispatcher: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(self.house)

    def set(self, instant: str) -> None:
        self.clock.advance(datetime.fromisoformat(instant) - self.clock.now())

    async def escalation(self, risk: RiskClass = RiskClass.URGENT) -> CaseId:
        case = replace(submission(self.clock.now(), pregnant=(True, None)), risk_class=risk)
        return (await submit(self.house, self.client, case, "key-1", b"key-1")).case

    async def go(self, wait: timedelta = timedelta()) -> None:
        """Let that time pass a minute at a time, acting on what is over and telling whoever is to be told."""
        for _ in range(max(1, wait // MINUTE)):
            self.clock.advance(min(wait, MINUTE))
            await expire_due(self.house)
            async with open_http(most_connections=10) as http:
                while await self.dispatcher.round(http):
                    await self.dispatcher.finish(10)


@asynccontextmanager
async def a_ward(tmp_path: Path, database: Database, **more: Any) -> AsyncIterator[Ward]:
    clock = ShiftableClock()
    data, file = tmp_path / "data", tmp_path / "duty.yaml"
    async with a_mailbox() as mailbox, a_receiver() as pager, a_receiver() as requester:
        settings = Settings(
            data=data,
            mode=Mode.DEMONSTRATION,
            workers=False,
            duty=file,
            mail_server=mailbox.url,
            mail_from="arbiter@hospital.example",
            public_url="https://arbiter.hospital.example/",
            **more,
        )
        # Endpoints are registered before the file can name them.
        file.write_text(duty_file())
        async with a_house(data, database, clock, running=False, settings=settings) as house:
            registered = await register_endpoint(house, pager.url, duty_group="outreach")
            file.write_text(duty_file(registered.id))
            pager.secret, pager.simulated_time = registered.secret, True
            client, _ = await a_client(house)
            hook = await register_endpoint(house, requester.url, client=client.id)
            requester.secret, requester.simulated_time = hook.secret, True
        async with a_house(data, database, clock, running=False, settings=settings) as house:
            yield Ward(house, clock, mailbox, pager, requester, client)


async def test_an_escalation_nobody_takes_calls_each_rung_of_the_hour_once_and_ends_unattended(
    tmp_path: Path, database: Database
) -> None:
    async with a_ward(tmp_path, database) as ward:
        ward.set("2027-01-05T19:55:00+00:00")
        case = await ward.escalation()
        await ward.go()
        assert ward.mailbox.addresses() == ["outreach-day@hospital.example"]
        await ward.go(9 * MINUTE)
        assert len(ward.mailbox.arrived) == 1
        await ward.go(2 * MINUTE)
        assert ward.mailbox.addresses()[1:] == ["registrar-night@hospital.example"], "it is past eight by now"
        await ward.go(10 * MINUTE)
        assert ward.mailbox.addresses()[2:] == ["outreach-night@hospital.example"]
        assert [call.document["data"]["rung"] for call in ward.pager.verified()] == [0, 2]
        view = await reading.view_case(ward.house, ward.client, case)
        assert not view.unattended
        await ward.go(5 * MINUTE)
        view = await reading.view_case(ward.house, ward.client, case)
        assert (view.unattended, view.acknowledged) == (True, False)
        assert (len(ward.mailbox.arrived), len(ward.pager.arrived)) == (3, 2)
        await ward.go(30 * MINUTE)
        assert ward.mailbox.addresses()[3:] == ["outreach-night@hospital.example"], (
            "overdue calls the last once more"
        )
        ward.clock.advance(timedelta(days=2))
        await ward.go()
        assert (len(ward.mailbox.arrived), len(ward.pager.arrived)) == (4, 3)
        told = {arrived.document["type"]: arrived.document["data"] for arrived in ward.requester.verified()}
        assert list(told) == ["case.escalated", "escalation.unattended", "escalation.overdue"]
        assert told["escalation.unattended"]["advice"] == ADVICE == "unattended: follow local procedure"
        assert (
            told["escalation.unattended"]["status_url"] == f"https://arbiter.hospital.example/v1/cases/{case}"
        )


@pytest.mark.parametrize("by", ["pager", "reviewer"])
async def test_an_acknowledgement_stops_the_ladder(tmp_path: Path, database: Database, by: str) -> None:
    async with a_ward(tmp_path, database) as ward:
        case = await ward.escalation()
        await ward.go()
        if by == "reviewer":
            who = await a_reviewer(ward.house)
        else:
            who = await a_pager(ward.house)
        await acknowledge(ward.house, who, case)
        await ward.go(28 * MINUTE)
        assert len(ward.mailbox.arrived) == 1
        view = await reading.view_case(ward.house, ward.client, case)
        assert (view.acknowledged, view.unattended) == (True, False)
        assert ward.requester.types() == ["case.escalated", "escalation.acknowledged"]
        reader = await a_reviewer(ward.house, "boris")
        (item,) = await listed_for(ward.house, reader)
        assert item.acknowledged_by == who.name
        assert item.calls_on_at is None


async def a_pager(house: House, site: str = SITE, name: str = "switchboard") -> Principal:
    principal, _ = await register_client(
        house.identities, house.clock, house.chance, name, [Role.PAGING_CLIENT], [site]
    )
    return principal


async def test_acknowledging_again_does_nothing_and_by_another_is_refused(
    tmp_path: Path, database: Database
) -> None:
    async with a_ward(tmp_path, database) as ward:
        case = await ward.escalation()
        first, second = await a_pager(ward.house), await a_pager(ward.house, name="another")
        await acknowledge(ward.house, first, case)
        before = await reading.view_case(ward.house, ward.client, case)
        await acknowledge(ward.house, first, case)
        assert await reading.view_case(ward.house, ward.client, case) == before
        with pytest.raises(IllegalMoveError):
            await acknowledge(ward.house, second, case)


async def test_nobody_acknowledges_what_is_not_theirs_or_not_called(
    tmp_path: Path, database: Database
) -> None:
    async with a_ward(tmp_path, database) as ward:
        case = await ward.escalation()
        await ward.house.identities.add_site("south", "South Hospital")
        with pytest.raises(NotFoundError):
            await acknowledge(ward.house, await a_pager(ward.house, "south"), case)
        with pytest.raises(ForbiddenError):
            await acknowledge(ward.house, ward.client, case)
        reviewer = await a_reviewer(ward.house)
        await review.claim(ward.house, reviewer, case)
        with pytest.raises(IllegalMoveError):
            await acknowledge(ward.house, reviewer, case)


async def test_a_mail_says_which_case_and_until_when_and_nothing_of_the_patient_or_the_reason(
    tmp_path: Path, database: Database
) -> None:
    async with a_ward(tmp_path, database) as ward:
        ward.set("2027-01-05T12:00:00+00:00")
        case = await ward.escalation()
        await ward.go()
        ((address, mail),) = ward.mailbox.arrived
        text = mail.get_content()
        assert mail["To"] == address == "outreach-day@hospital.example"
        assert mail["Subject"] == "Urgent case waits: Deterioration on the ward"
        for said in (
            f"Case: {case}",
            "Site: north",
            "Risk class: urgent",
            "Acknowledge by: 2027-01-05T12:10:0",
            f"https://arbiter.hospital.example/duty/{case}\n",
        ):
            assert said in text.replace("\r\n", "\n"), text
        (call,) = ward.pager.verified()
        assert call.document["type"] == "escalation.called"
        acknowledge_url = f"https://arbiter.hospital.example/v1/cases/{case}/acknowledge"
        assert call.document["data"]["acknowledge_url"] == acknowledge_url
        assert call.document["data"]["duty_url"] == f"https://arbiter.hospital.example/duty/{case}"
        for word in ("made-up-1", "urn:example", "visit-1", "pregnan", "exclu", "panel", "case.escalated"):
            assert word not in mail.as_string().lower()
            assert word not in call.body.decode().lower()


async def test_a_mail_that_is_not_taken_is_sent_again_as_the_same_mail(
    tmp_path: Path, database: Database
) -> None:
    async with a_ward(tmp_path, database) as ward:
        ward.mailbox.refuse = "451 4.3.0 try again later, visit-1"
        await ward.escalation()
        await ward.go()
        assert ward.mailbox.arrived == []
        fault = await ward.house.store.run("SELECT last_fault FROM delivery WHERE channel = 'mail'", {})
        assert [tuple(row) for row in fault] == [("SMTP 451",)]
        ward.mailbox.refuse = ""
        await ward.go(MINUTE)
        await ward.go(3 * MINUTE)
        ((_, mail),) = ward.mailbox.arrived
        (call,) = ward.pager.verified()
        assert mail["Message-ID"].startswith(f"<{call.id}@"), "one call has one id on every channel"


async def test_when_nobody_on_duty_can_be_reached_the_rest_of_the_group_is_called(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_ward(tmp_path, database) as ward:
        duty = ward.house.duty
        assert duty is not None
        group = duty.groups["outreach"]
        pager = next(contact for contact in group.contacts if contact.channel == "webhook")
        detail = {name: words for name, _, words in (await ready(ward.house)).checks}
        assert detail["duty"] == "2 groups can be called"
        await disable(ward.house, pager.address)
        detail = {name: words for name, _, words in (await ready(ward.house)).checks}
        assert detail["duty"].endswith("1 of their contacts names no enabled endpoint")
        # The pager alone is on duty, and it is disabled.
        pager_alone = replace(group, rota=_only(group.rota, pager))
        house = replace(ward.house, duty=replace(duty, groups={**duty.groups, "outreach": pager_alone}))
        ward.dispatcher = Dispatcher(house)
        await ward.escalation()
        await ward.go()
        assert sorted(ward.mailbox.addresses()) == [
            "outreach-day@hospital.example",
            "outreach-night@hospital.example",
        ]
        assert "nobody on duty in group outreach can be reached" in caplog.text


def _only(rota: Any, contact: Any) -> Any:
    shifts = tuple(replace(shift, contacts=(contact,)) for shift in rota.shifts)
    return replace(rota, shifts=shifts)


async def test_a_start_without_a_ladder_for_a_protocols_group_is_refused(
    tmp_path: Path, database: Database
) -> None:
    file = tmp_path / "duty.yaml"
    file.write_text(duty_file(called="somebody-else"))
    settings = Settings(data=tmp_path / "data", workers=False, duty=file)
    with pytest.raises(ConfigurationError, match=r"no ladder for duty group .*critical-care-outreach"):
        async with a_house(tmp_path / "data", database, running=False, settings=settings):
            pass


async def test_a_start_that_could_not_mail_whom_it_is_to_mail_is_refused(
    tmp_path: Path, database: Database
) -> None:
    file = tmp_path / "duty.yaml"
    file.write_text(duty_file())
    settings = Settings(data=tmp_path / "data", workers=False, duty=file)
    with pytest.raises(ConfigurationError, match="ARBITER_MAIL_SERVER is not set"):
        async with a_house(tmp_path / "data", database, settings=settings):
            pass
    async with a_house(tmp_path / "data", database, running=False, settings=settings) as house:
        registered = await register_endpoint(house, "https://pager.hospital.example", duty_group="outreach")
        assert registered.secret


async def test_without_a_duty_file_production_warns_and_readiness_tells_it_and_does_not_fail(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(data=tmp_path / "data", workers=False, mode=Mode.PRODUCTION)
    async with a_house(tmp_path / "data", database, running=False, settings=settings):
        assert "ARBITER_DUTY" not in caplog.text, "a command that runs nothing has nobody to call"
    async with a_house(tmp_path / "data", database, settings=settings) as house:
        assert caplog.text.count("ARBITER_DUTY is not set") == 1
        await house.sealer.request()
        readiness = await ready(house)
        assert readiness.ok
        assert (
            "duty",
            True,
            "no duty file: escalations stand on the work list and call nobody",
        ) in readiness.checks
