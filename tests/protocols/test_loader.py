"""Bundles spoiled in one place each: the loader refuses them all and names the line."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from arbiter.documents.protocols import content_hash
from arbiter.errors import InvalidProtocolError, NotFoundError, Problem
from arbiter.model import RiskClass, RuleEffect
from arbiter.protocols.loader import load_bundle, read_bundle, read_shipped, shipped
from arbiter.question import FactKind, Strategy
from tests.protocols.small import EXAMPLES, POLICY, PROTOCOL, files, problems_of, spoiled

# (text that stands once in protocol.yaml, what replaces it, lines below the replacement, words of the refusal)
PROTOCOL_FAULTS = {
    "unknown key": ("duty_group: night-team", "duty_group: night-team\nnotes: hello", 1, "only known keys, 'notes' came"),
    "missing key": ("title: A small protocol\n", "", -2, "expected the key 'title'"),
    "duplicate key": ("duty_group: night-team", "duty_group: a\nduty_group: b", 1, "expected 'duty_group' once"),
    "nested duplicate key": ("      title: Pulse\n", "      title: Pulse\n      title: Pulse\n", 1, "'title' once"),
    "anchor": ("title: A small protocol", "title: &t A small protocol", 0, "expected no anchor"),
    "alias": ("duty_group: night-team", "duty_group: *t", 0, "the alias 't' came"),
    "merge key": ("duty_group: night-team", "duty_group: night-team\n<<: {id: x}", 1, "'<<' came"),
    "tag": ("version: 1.2.3", "version: !!python/name:os.system x", 0, "expected no tag"),
    "empty value": ("title: A small protocol", "title:", 0, "expected a value, nothing came"),
    "null": ("title: A small protocol", "title: null", 0, "expected a value, nothing came"),
    "list as key": ("duty_group: night-team", "duty_group: night-team\n? [a]\n: b", 1, "expected a text key"),
    "text for number": ("low: 10", "low: ten", 0, "expected a number, text came"),
    "yes for true": ("required: true", "required: yes", 0, "expected true or false, text came"),
    "exponent for number": ("high: 300", "high: 3e2", 0, "expected a number, text came"),
    "underscore in number": ("high: 300", "high: 3_00", 0, "expected a number, text came"),
    "infinite number": ("high: 300", "high: .inf", 0, "expected a number, text came"),
    "number for text": ("title: A small protocol", "title: 12", 0, "expected text, a number came"),
    "flag for text": ("text: Is it so?", "text: true", 0, "expected text, true or false came"),
    "mapping for list": ("panel:\n  - member: first", "panel:\n    member: first", 9, "expected YAML"),
    "text for list": ("conversions:\n        - unit: Hz\n          factor: 60", "conversions: Hz", 0, "expected a list"),
    "fraction for whole": ("decimals: 0", "decimals: 0.5", 0, "expected a whole number"),
    "negative decimals": ("decimals: 0", "decimals: -1", 0, "at least 0"),
    "version": ("version: 1.2.3", 'version: "1.2"', 0, "semantic version"),
    "version as number": ("version: 1.2.3", "version: 1.2", 0, "expected text, a number came"),
    "id with a capital": ("id: small", "id: Small", 0, "lower-case words joined by hyphens"),
    "fact name with a hyphen": ("name: pulse", "name: pulse-rate", 0, "joined by underscores"),
    "unit with a space": ("unit: /min", "unit: per min", 0, "UCUM"),
    "empty text": ("text: Is it so?", 'text: ""', 0, "text that is not empty"),
    "title over two lines": ("title: A small protocol", 'title: "A small\\nprotocol"', 0, "one line of printable text"),
    "title with a tab": ("title: A small protocol", 'title: "A small\\tprotocol"', 0, "one line of printable text"),
    "title that moves a cursor": ("title: A small protocol", 'title: "\\e[2J"', 0, "one line of printable text"),
    "title that turns round": ("title: A small protocol", 'title: "\\u202elocotorp"', 0, "one line of printable text"),
    "blank text": ("text: Is it so?", 'text: "  "', 0, "text that is not empty"),
    "one option": ('    - id: "no"\n      title: It is not\n', "", -2, "at least 2 entries"),
    "duplicate option": ('id: "no"', 'id: "yes"', 0, "expected 'yes' once"),
    "duplicate fact": ("name: mood", "name: pulse", 0, "expected 'pulse' once"),
    "unknown kind": ("kind: flag", "kind: colour", 0, "'number', 'code' or 'flag'"),
    "number without unit": ("      unit: /min\n", "", -3, "'unit' for a number"),
    "number without low": ("      low: 10\n", "", -4, "'low' for a number"),
    "low above high": ("high: 300", "high: 9", 0, "a number above low (10)"),
    "low equals high": ("high: 300", "high: 10", 0, "a number above low (10)"),
    "conversion to itself": ("unit: Hz", "unit: /min", 0, "expected each unit once"),
    "conversion twice": ("factor: 60\n", "factor: 60\n        - unit: Hz\n          factor: 1\n", 1, "each unit once"),
    "conversion by zero": ("factor: 60", "factor: 0.0", 0, "other than zero"),
    "code fact without codes": (
        "codes:\n        - code: calm\n          title: Calm\n        - code: upset\n          title: Upset\n",
        "codes: []\n", -3, "at least one code",
    ),
    "duplicate code": ("code: upset", "code: calm", 0, "expected 'calm' once"),
    "unit on a flag": ("kind: flag", "kind: flag\n      unit: kg", 1, "no 'unit' for a fact of kind 'flag'"),
    "codes on a number": ("decimals: 0", "decimals: 0\n      codes: []", 1, "no 'codes' for a fact of kind 'number'"),
    "missing risk class": (
        "    emergency: {panel: 10, facts: 120, review: 900, release: 15}\n", "", -2, "timers for 'emergency'",
    ),
    "unknown risk class": ("    routine: {", "    relaxed: {", 0, "'routine', 'urgent' or 'emergency'"),
    "timer missing": ("{panel: PT2M, ", "{", 0, "expected the key 'panel'"),
    "timer of zero": ("panel: 10", "panel: 0", 0, "duration above zero"),
    "timer negative": ("panel: 10", "panel: -5", 0, "duration above zero"),
    "timer in months": ("greatest_age: PT4H", "greatest_age: P1M", 0, "duration such as PT30S"),
    "timer without a number": ("greatest_age: PT4H", "greatest_age: PT", 0, "duration such as PT30S"),
    "timer beyond a year": ("greatest_age: PT4H", "greatest_age: P400D", 0, "up to 366 days"),
    "timer as a huge number": ("panel: 10", "panel: 999999999999999", 0, "up to 366 days"),
    "facet called question": ("id: worry", "id: question", 0, "'question' is the question's"),
    "facet nobody answers": ("asks: worry", "asks: question", -18, "expected a seat that answers 'worry'"),
    "seat asks nothing known": ("asks: worry", "asks: worries", 0, "expected one of question, worry"),
    "nobody answers": ("asks: question", "asks: worry", -2, "a seat that answers the question, or 'automatic: false'"),
    "duplicate member": ("member: second", "member: first", 0, "expected 'first' once"),
    "weight of zero": ("weight: 0.5", "weight: 0", 0, "a number above 0"),
    "veto over nothing": ("required: true", "required: true\n    veto: [maybe]", 1, "an option of 'question'"),
    "required facet seat": ("weight: 0.5", "weight: 0.5\n    required: true", 1, "only on a seat that answers the question"),
    "unknown strategy": ("strategy: unanimous", "strategy: loudest", 0, "'unanimous' or 'posterior'"),
    "threshold above one": ("threshold: 0.5", "threshold: 1.5", 0, "at most 1"),
    "disagreement below zero": ("greatest_between: 0.5", "greatest_between: -0.1", 0, "at least 0"),
    "more members than seats": ("least_valid: 1", "least_valid: 2", 0, "at most the 1 voting seats"),
    "more families than there are": ("least_families: 1", "least_families: 2", 0, "at most the 1 families"),
    "more effective than seats": ("least_effective: 1", "least_effective: 1.5", 0, "at most the 1 voting seats"),
    "tab": ("  text: Is it so?", "\ttext: Is it so?", 0, "expected YAML"),
    "unclosed quote": ("title: It is not", 'title: "It is not', 48, "expected YAML"),
    "control character": ("title: It is not", "title: It \x07is", 0, "control character"),
    "second document": ("adjudication:", "---\nadjudication:", 0, "one document"),
}  # fmt: skip


@pytest.mark.parametrize("fault", list(PROTOCOL_FAULTS))
def test_a_malformed_protocol_is_refused_at_its_line(fault: str) -> None:
    old, new, below, words = PROTOCOL_FAULTS[fault]
    source, line = spoiled(PROTOCOL, old, new)
    problems = problems_of(files(protocol=source))
    named = [problem for problem in problems if words in problem.detail]
    assert named, problems
    if fault != "unclosed quote":
        assert named[0].pointer.startswith(f"protocol.yaml:{line + below}:"), (named, line)


# A panel on which nobody votes: every seat answers the facet, and a clinician always decides.
ADVISING = (
    PROTOCOL.replace("asks: question", "asks: worry")
    .replace("    required: true\n", "")
    .replace("automatic: true", "automatic: false")
    .replace("least_valid: 1", "least_valid: 0")
    .replace("least_families: 1", "least_families: 0")
    .replace("least_effective: 1", "least_effective: 0")
)


def test_a_panel_without_voters_is_taken_where_nothing_is_automatic() -> None:
    protocol = load_bundle(files(protocol=ADVISING)).protocol
    assert {seat.asks for seat in protocol.seats} == {"worry"}
    settings = protocol.adjudication
    assert (settings.automatic, settings.least_valid, settings.least_families) == (False, 0, 0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("automatic: false", "automatic: true", "a seat that answers the question, or 'automatic: false'"),
        ("least_valid: 0", "least_valid: 1", "expected 0, no seat answers the question; 1 came"),
        ("least_families: 0", "least_families: 1", "expected 0, no seat answers the question; 1 came"),
        ("least_effective: 0", "least_effective: 0.5", "expected 0, no seat answers the question; 0.5 came"),
        ("asks_for_facts: false", "asks_for_facts: true", "expected false, no seat answers the question"),
        (
            "asks_for_facts: false",
            "asks_for_facts: false\n  facts_on: [disagreement-within]",
            "expected none where `asks_for_facts` is false",
        ),
        (
            "asks_for_facts: false",
            "asks_for_facts: false\n  facts_on: [veto]",
            "disagreement-between",
        ),
        ("least_valid: 0\n", "\n", "expected the key 'least_valid'"),
        ("least_valid: 0", "least_valid: -1", "at least 0"),
    ],
)
def test_a_panel_without_voters_may_promise_nothing_of_voters(old: str, new: str, words: str) -> None:
    source, _ = spoiled(ADVISING, old, new)
    assert any(words in problem.detail for problem in problems_of(files(protocol=source)))


@pytest.mark.parametrize("key", ["least_valid", "least_families"])
def test_a_panel_with_voters_must_ask_for_at_least_one_of_them(key: str) -> None:
    for automatic in ("true", "false"):
        source = PROTOCOL.replace("automatic: true", f"automatic: {automatic}").replace(
            f"{key}: 1", f"{key}: 0"
        )
        problems = problems_of(files(protocol=source))
        assert [problem.detail for problem in problems] == ["expected a number of at least 1, 0 came"]


POLICY_FAULTS = {
    "no rules": (POLICY, "rules: []\n", 0, "at least 1 entries"),
    "unknown key": ("rationale: It may.", "rationale: It may.\n    priority: 3", 1, "'priority' came"),
    "no owner": ("    owner: Somebody\n", "", -5, "expected the key 'owner'"),
    "empty rationale": ("rationale: It may.", 'rationale: ""', 0, "not empty"),
    "unknown effect": ("effect: permit", "effect: allow", 0, "'permit', 'deny'"),
    "duplicate rule": ("id: not-when-upset", "id: may-decide", 0, "expected 'may-decide' once"),
    "option nobody offers": ('options: ["yes"]', "options: [maybe]", 0, "an option of the question, 'maybe' came"),
    "option twice": ('options: ["yes"]', 'options: ["yes", "yes"]', 0, "'yes' once"),
    "forbids everything": ('options: ["yes"]', 'options: ["yes", "no"]', 0, "at least one option left"),
    "forbid without options": ('    options: ["yes"]\n', "", -3, "'options' for the effect 'forbid'"),
    "permit with options": ("effect: permit", 'effect: permit\n    options: ["yes"]', 1, "no options for the effect 'permit'"),
    "option as a boolean": ('options: ["yes"]', "options: [true]", 0, "expected text, true or false came"),
    "test of an unknown fact": ("{mood: calm}", "{temper: calm}", 0, "a fact of the question, 'temper' came"),
    "test with an unknown code": ("{mood: calm}", "{mood: cross}", 0, "one of calm, upset for 'mood'"),
    "test out of range": ("pulse: 70", "pulse: 301", 0, "10 to 300 for 'pulse'"),
    "test with text for a number": ("pulse: 70", "pulse: fast", 0, "a number for 'pulse'"),
    "test with text for a flag": ("fasting: false", "fasting: no", 0, "true or false for 'fasting'"),
    "test of an unknown facet": ("{worry: high}", "{worries: high}", 0, "a facet of the protocol"),
    "test with an unknown facet option": ("{worry: high}", "{worry: extreme}", 0, "an option of 'worry'"),
    "test twice": ("title: calm", "title: upset", 0, "'upset' once"),
    "no test that hits": (
        "      - title: routine\n        risk_class: routine\n        hits: true\n", "", 0, "'may-decide' in which it hits",
    ),
    "no test that misses": (
        "      - title: calm\n        facts: {mood: calm}\n        hits: false\n", "", -4, "in which it does not hit",
    ),
    "hits as text": ("facts: {mood: calm}\n        hits: false", "facts: {mood: calm}\n        hits: off", 1, "true or false, text came"),
    "deep nesting": ("{mood: calm}", "[" * 30 + "]" * 30, 0, "levels of nesting"),
}  # fmt: skip


@pytest.mark.parametrize("fault", list(POLICY_FAULTS))
def test_a_malformed_policy_is_refused_at_its_line(fault: str) -> None:
    old, new, below, words = POLICY_FAULTS[fault]
    source, line = spoiled(POLICY, old, new)
    problems = problems_of(files(policy=source))
    named = [problem for problem in problems if words in problem.detail]
    assert named, problems
    assert named[0].pointer.startswith(f"policy.yaml:{line + below}:"), (named, line)


EXAMPLE_FAULTS = {
    "not json": ('"id": "two"', "id: two", "expected JSON"),
    "duplicate key": ('"id": "two"', '"id": "two", "id": "three"', "'id' once"),
    "duplicate id": ('"id": "two"', '"id": "one"', "the id 'one' once"),
    "unknown key": ('"id": "two"', '"id": "two", "mood": 1', "'mood' came"),
    "unknown fact": ('"mood": {', '"temper": {', "a fact of the question, 'temper' came"),
    "unknown label": ('"label": "no"', '"label": "maybe"', "label to be one of yes, no"),
    "unknown expectation": ('"expect": "escalated"', '"expect": "decided:maybe"', "'expect' to be one of"),
    "negative age": ('"calm", "age_minutes": 5', '"calm", "age_minutes": -5', "at least 0"),
    "not a number": ('"calm", "age_minutes": 5', '"calm", "age_minutes": NaN', "a finite number, NaN came"),
    "endless number": ('"calm", "age_minutes": 5', '"calm", "age_minutes": ' + "9" * 5000, "at most 30 characters"),
    "no age": (', "age_minutes": 5}}, "label": "no"', '}}, "label": "no"', "'age_minutes'"),
    "list": ('{"id": "two"', '[{"id": "two"', "expected JSON"),
    "deep nesting": ('{"value": "calm", "age_minutes": 5}', "[" * 8000 + "]" * 8000, "too deeply"),
    "long line": ('"title": "Two"', f'"title": "{"x" * 20_000}"', "characters in a line"),
}  # fmt: skip


@pytest.mark.parametrize("fault", list(EXAMPLE_FAULTS))
def test_a_malformed_example_is_refused_at_its_line(fault: str) -> None:
    old, new, words = EXAMPLE_FAULTS[fault]
    source, line = spoiled(EXAMPLES, old, new)
    problems = problems_of(files(examples=source))
    named = [problem for problem in problems if words in problem.detail]
    assert named, problems
    assert named[0].pointer.startswith(f"examples.jsonl:{line}:")


def test_every_problem_of_every_file_is_told_in_one_go() -> None:
    protocol, first = spoiled(PROTOCOL, "version: 1.2.3", "version: one")
    protocol, second = spoiled(protocol, "kind: flag", "kind: colour")
    protocol, third = spoiled(protocol, "duty_group: night-team", "duty_group: &a night-team")
    policy, fourth = spoiled(POLICY, "effect: permit", "effect: allow")
    examples, fifth = spoiled(EXAMPLES, '"id": "two"', '"id": 2')
    places = {problem.pointer.rsplit(":", 1)[0] for problem in problems_of(files(protocol, policy, examples))}
    assert places == {
        f"protocol.yaml:{first}",
        f"protocol.yaml:{second}",
        f"protocol.yaml:{third}",
        f"policy.yaml:{fourth}",
        f"examples.jsonl:{fifth}",
    }


def test_a_column_points_at_the_value_itself() -> None:
    source, line = spoiled(PROTOCOL, "{panel: PT2M, facts: PT30M", "{panel: PT2M, facts: soon")
    (problem,) = problems_of(files(protocol=source))
    column = source.splitlines()[line - 1].index("soon") + 1
    assert problem.pointer == f"protocol.yaml:{line}:{column}"


def test_bytes_that_are_not_utf_8_are_refused_at_their_line() -> None:
    bundle = {
        **files(),
        "policy.yaml": POLICY.replace("It may.", "It m\udcffy.").encode(errors="surrogateescape"),
    }
    (problem,) = problems_of(bundle)
    assert problem.pointer.startswith("policy.yaml:5:")
    assert "UTF-8" in problem.detail


@pytest.mark.parametrize("name", ["protocol.yaml", "policy.yaml"])
def test_a_missing_file_is_named(name: str) -> None:
    bundle = files()
    del bundle[name]
    (problem,) = problems_of(bundle)
    assert (problem.pointer, problem.code) == (f"{name}:1:1", "missing")


@pytest.mark.parametrize("name", ["../protocol.yaml", "notes.txt", "PROTOCOL.YAML"])
def test_an_unknown_file_is_refused(name: str) -> None:
    (problem,) = problems_of({**files(), name: b""})
    assert problem.code == "unknown-file"


def test_a_huge_file_is_refused_unread() -> None:
    (problem,) = problems_of({**files(), "policy.yaml": b"#" * (128 * 1024 + 1)})
    assert (problem.pointer, problem.code) == ("policy.yaml:1:1", "limit")


@pytest.mark.parametrize("source", ["", "# nothing\n", "---\n", "[]", "text", "12", "{}"])
def test_a_file_that_is_no_mapping_is_refused(source: str) -> None:
    assert problems_of(files(protocol=source))


def test_the_small_bundle_is_read_as_it_is_written() -> None:
    bundle = load_bundle(files())
    protocol = bundle.protocol
    assert (protocol.id, protocol.version, protocol.duty_group) == ("small", "1.2.3", "night-team")
    assert protocol.question.option_ids() == ("yes", "no")
    pulse, mood, fasting = protocol.question.facts
    assert (pulse.kind, pulse.unit, pulse.low, pulse.high) == (
        FactKind.NUMBER,
        "/min",
        Decimal(10),
        Decimal(300),
    )
    assert pulse.greatest_age == timedelta(hours=4)
    assert (pulse.conversions[0].unit, pulse.conversions[0].factor, pulse.conversions[0].offset) == (
        "Hz",
        Decimal(60),
        Decimal(0),
    )
    assert mood.codes == (("calm", "Calm"), ("upset", "Upset"))
    assert (fasting.kind, fasting.greatest_age) == (FactKind.FLAG, None)
    assert protocol.timers(RiskClass.EMERGENCY).panel == timedelta(seconds=10)
    assert protocol.timers(RiskClass.ROUTINE).review == timedelta(hours=4)
    assert protocol.adjudication.strategy is Strategy.UNANIMOUS
    assert [rule.effect for rule in protocol.rules] == [RuleEffect.PERMIT, RuleEffect.FORBID]
    assert protocol.rules[1].tests[0].facts == (("fasting", False), ("mood", "upset"), ("pulse", Decimal(70)))
    assert [case.id for case in bundle.examples] == ["one", "two"]
    assert bundle.files["policy.yaml"] == POLICY.encode()


def test_examples_may_be_absent() -> None:
    assert load_bundle(files(examples=None)).examples == ()


def test_the_content_hash_covers_every_byte_of_protocol_and_policy_and_nothing_else() -> None:
    first = load_bundle(files()).protocol
    assert load_bundle(files()).protocol == first
    commented = load_bundle(files(protocol=PROTOCOL + "# a remark\n")).protocol
    assert commented.content_hash != first.content_hash
    assert commented.policy_hash == first.policy_hash
    ruled = load_bundle(files(policy=POLICY + "\n")).protocol
    assert ruled.content_hash != first.content_hash
    assert ruled.policy_hash != first.policy_hash
    assert load_bundle(files(examples=None)).protocol == first


def test_the_content_hash_is_what_sha256sum_says() -> None:
    # A=$(printf a | sha256sum | cut -c-64); B=$(printf b | sha256sum | cut -c-64)
    # printf '[["policy.yaml","%s"],["protocol.yaml","%s"]]' $B $A | sha256sum
    expected = "369d90b9e7a0eaa89dbb082d1a7899b16a8ac7ab6b9ae215b545233de049e124"
    assert content_hash({"protocol.yaml": b"a", "policy.yaml": b"b"}) == expected


def test_problems_found_elsewhere_are_given_their_lines() -> None:
    bundle = load_bundle(files())
    line = POLICY[: POLICY.index("has(facts.mood)")].count("\n") + 1
    assert bundle.locate("policy.yaml", "/rules/1/when") == f"policy.yaml:{line}:11"
    exclusion = PROTOCOL[: PROTOCOL.index("has(facts.fasting)")].count("\n") + 1
    assert bundle.locate("protocol.yaml", "/question/exclusions/0/when").startswith(
        f"protocol.yaml:{exclusion}:"
    )
    problem = Problem("policy.yaml#/rules/1/when", "type", "expected a boolean")
    other = Problem("/facts/pulse", "range", "expected less")
    assert bundle.placed([problem, other]) == (replace(problem, pointer=f"policy.yaml:{line}:11"), other)


@pytest.mark.parametrize(
    "pointer", ["/rules/99/when", "/rules/1/when/deeper", "/nothing", "", "/rules/x", "rules"]
)
def test_a_pointer_to_nowhere_gives_the_nearest_place_around_it(pointer: str) -> None:
    assert load_bundle(files()).locate("policy.yaml", pointer).startswith("policy.yaml:")


def test_a_directory_is_read_without_following_anything_else_in_it(tmp_path: Path) -> None:
    for name, source in files().items():
        (tmp_path / name).write_bytes(source)
    (tmp_path / "notes.txt").write_text("kept out")
    assert read_bundle(tmp_path).protocol == load_bundle(files()).protocol


def test_a_directory_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_bundle(tmp_path / "nowhere")


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidProtocolError):
        read_bundle(tmp_path)


@pytest.mark.parametrize("name", ["nothing", "..", "../deterioration", ""])
def test_only_shipped_names_are_shipped(name: str) -> None:
    assert "deterioration" in shipped()
    assert "surgery_readiness" not in shipped()
    with pytest.raises(NotFoundError):
        read_shipped(name)


def test_a_protocol_is_shipped_under_its_own_id() -> None:
    assert [read_shipped(name).protocol.id for name in shipped()] == list(shipped())


@pytest.mark.parametrize("spoilt", ["!" * 9_000, "&" + "a" * 9_000, "k" * 9_000 + ": x", "*" + "a" * 9_000])
def test_an_endless_name_is_cut_short_in_the_message(spoilt: str) -> None:
    for problem in problems_of(files(protocol=spoilt)):
        assert len(problem.detail) < 300


def test_a_file_that_is_wrong_throughout_answers_with_a_bounded_list() -> None:
    keys = "".join(f"key{number}: x\n" for number in range(3_000))
    assert len(problems_of(files(protocol=keys))) == 200
