"""Duty files spoiled in one place each: the loader refuses them all and names the line."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.duty.loader import SIZE_LIMIT, load_duty, read_duty
from arbiter.errors import ConfigurationError, InvalidDutyError
from arbiter.model import RiskClass
from arbiter.protocols.loader import read_shipped, shipped
from tests.duty.small import DUTY, line_of, spoiled

# (text that stands once in the file, what replaces it, lines below the text, words of the refusal)
FAULTS = {
    "unknown key": ("    title: Medical registrar", "    title: Medical registrar\n    phone: 12", 1, "'phone' came"),
    "missing title": ("    title: Medical registrar\n", "", -1, "expected the key 'title'"),
    "duplicate group": ("  - id: registrar", "  - id: outreach", 0, "expected 'outreach' once"),
    "duplicate contact": ("- id: night-bleep", "- id: day-bleep", 0, "expected 'day-bleep' once"),
    "no contacts": ("    contacts:\n      - id: phone\n        mail: registrar@hospital.example", "    contacts: []", 0, "at least 1"),
    "both ways": ("mail: registrar@hospital.example", "mail: r@h.example\n        webhook: we_aaaaaaaaaaaaaaaa", -1, "one of 'mail' and 'webhook'"),
    "neither way": ("      - id: phone\n        mail: registrar@hospital.example", "      - id: phone", 0, "one of 'mail' and 'webhook'"),
    "no mail address": ("registrar@hospital.example", "registrar", 0, "expected a mail address"),
    "two mail addresses": ("registrar@hospital.example", '"a@h.example, b@h.example"', 0, "expected a mail address"),
    "a header in an address": ("registrar@hospital.example", '"a@h.example\\nBcc: b@h.example"', 0, "expected a mail address"),
    "an endpoint that is none": ("we_aaaaaaaaaaaaaaaa", "https://hospital.example/hook", 0, "id of a registered webhook endpoint"),
    "unknown zone": ("Europe/London", "Europe/Londn", 0, "IANA time zone"),
    "a zone that is a path": ("Europe/London", "../../etc/passwd", 0, "IANA time zone"),
    "an offset for a zone": ("Europe/London", "+01:00", 0, "IANA time zone"),
    "no day": ("[mon, tue, wed, thu, fri]", "[]", 0, "at least 1"),
    "unknown day": ("[mon, tue, wed, thu, fri]", "[mon, tuesday]", 0, "'sun'"),
    "no time": ("from: 08:00", "from: 8", 0, "expected a time of day"),
    "hour 25": ("from: 08:00", "from: 25:00", 0, "expected a time of day"),
    "minute 60": ("from: 08:00", "from: 08:60", 0, "expected a time of day"),
    "later than midnight": ("from: 08:00", "from: 24:01", 0, "expected a time of day"),
    "contact of another group": ("contacts: [night-bleep]", "contacts: [phone]", 0, "there is no 'phone'"),
    "nobody in a shift": ("contacts: [night-bleep]", "contacts: []", 0, "at least 1"),
    "nobody in the gaps": ("gaps_go_to: [pager]", "gaps_go_to: []", 0, "at least 1"),
    "stranger in the gaps": ("gaps_go_to: [pager]", "gaps_go_to: [phone]", 0, "there is no 'phone'"),
    "a gap nobody thought of": ("      gaps_go_to: [pager]\n", "", -8, "nobody is from mon 00:00"),
    "unknown group on a ladder": ("      - group: registrar\n        acknowledge_within: PT20M", "      - group: nobody\n        acknowledge_within: PT20M", 0, "there is no 'nobody'"),
    "no rung": ("    routine:\n      - group: outreach\n        acknowledge_within: PT2H", "    routine: []", 0, "at least 1"),
    "a risk class without ladder": ("    routine:\n      - group: outreach\n        acknowledge_within: PT2H\n", "", -1, "expected the key 'routine'"),
    "no time to acknowledge": ("acknowledge_within: 120", "acknowledge_within: 0", 0, "above zero"),
    "a month to acknowledge": ("acknowledge_within: 120", "acknowledge_within: P1M", 0, "a whole number of seconds, 'P1M' came"),
    "two ladders of one group": ("duty_groups: [critical-care-outreach]", "duty_groups: [critical-care-outreach, critical-care-outreach]", 0, "on one ladder"),
    "an anchor": ("duty_groups: [critical-care-outreach]", "duty_groups: &a [critical-care-outreach]", 0, "expected no anchor"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "replacement", "below", "words"), FAULTS.values(), ids=FAULTS)
def test_a_spoiled_file_is_refused_by_line(text: str, replacement: str, below: int, words: str) -> None:
    with pytest.raises(InvalidDutyError) as caught:
        load_duty("duty.yaml", spoiled(text, replacement))
    line = line_of(text) + below
    found = [problem for problem in caught.value.problems if words in problem.detail]
    assert found, caught.value.problems
    assert {problem.pointer.split(":")[1] for problem in found} == {str(line)}, found
    assert all(problem.pointer.startswith("duty.yaml:") for problem in caught.value.problems)


def test_every_fault_is_told_at_once() -> None:
    source = spoiled("Europe/London", "Nowhere").replace(b"PT20M", b"soon").replace(b"08:00\n", b"8\n", 1)
    with pytest.raises(InvalidDutyError) as caught:
        load_duty("duty.yaml", source)
    assert len(caught.value.problems) == 3


@given(source=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_comes_is_refused_and_nothing_else_happens(source: bytes) -> None:
    with pytest.raises(InvalidDutyError):
        load_duty("duty.yaml", source)


def test_the_ladders_are_those_written() -> None:
    duty = load_duty("duty.yaml", DUTY)
    minutes = timedelta(minutes=1)
    assert duty.waits("critical-care-outreach", RiskClass.ROUTINE) == (120 * minutes,)
    assert duty.waits("critical-care-outreach", RiskClass.URGENT) == (10 * minutes, 20 * minutes)
    assert duty.waits("critical-care-outreach", RiskClass.EMERGENCY) == (
        3 * minutes,
        3 * minutes,
        2 * minutes,
    )
    called = [duty.called("critical-care-outreach", RiskClass.EMERGENCY, rung) for rung in range(5)]
    assert [group and group.id for group in called] == [
        "outreach",
        "registrar",
        "outreach",
        "outreach",
        "outreach",
    ]
    assert duty.knows("critical-care-outreach")
    assert not duty.knows("outreach")
    assert duty.called("outreach", RiskClass.URGENT, 0) is None


def test_a_file_that_is_missing_or_endless_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_duty(tmp_path / "duty.yaml")
    (tmp_path / "duty.yaml").write_bytes(DUTY + b"#" * SIZE_LIMIT)
    with pytest.raises(ConfigurationError, match="at most 524288 bytes, more came"):
        read_duty(tmp_path / "duty.yaml")
    (tmp_path / "duty.yaml").write_bytes(DUTY)
    assert read_duty(tmp_path / "duty.yaml").groups.keys() == {"outreach", "registrar"}


def test_the_duty_file_that_the_readme_shows_calls_somebody_for_every_shipped_protocol() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    (shown,) = (found for found in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL) if "ladders:" in found)
    duty = load_duty("duty.yaml", shown.encode())
    groups = {read_shipped(name).protocol.duty_group for name in shipped()}
    assert groups
    assert all(duty.knows(group) for group in groups)


def test_one_problem_is_one_problem() -> None:
    with pytest.raises(InvalidDutyError, match=r"the duty file has 1 problem$"):
        load_duty("duty.yaml", spoiled("from: 08:00", "from: 8"))
