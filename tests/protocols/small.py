"""The smallest sound bundle, whose every line a test may spoil and then expect to be named."""

import pytest

from arbiter.errors import InvalidProtocolError, Problem
from arbiter.protocols.loader import load_bundle

PROTOCOL = """\
id: small
version: 1.2.3
title: A small protocol
duty_group: night-team
question:
  text: Is it so?
  options:
    - id: "yes"
      title: It is
    - id: "no"
      title: It is not
  facts:
    - name: pulse
      title: Pulse
      kind: number
      unit: /min
      low: 10
      high: 300
      decimals: 0
      conversions:
        - unit: Hz
          factor: 60
      greatest_age: PT4H
    - name: mood
      title: Mood
      kind: code
      codes:
        - code: calm
          title: Calm
        - code: upset
          title: Upset
    - name: fasting
      title: Fasting
      kind: flag
  timers:
    routine: {panel: PT2M, facts: PT30M, review: PT4H, release: PT10M}
    urgent: {panel: PT30S, facts: PT10M, review: PT30M, release: PT1M}
    emergency: {panel: 10, facts: 120, review: 900, release: 15}
  exclusions:
    - id: fasting
      when: has(facts.fasting) && facts.fasting
      rationale: Not while fasting.
facets:
  - id: worry
    text: Is it worrying?
    options:
      - id: high
        title: High
      - id: low
        title: Low
panel:
  - member: first
    title: The first
    asks: question
    backend: score
    implementation: one
    family: pulse
    weight: 1
    required: true
  - member: second
    title: The second
    asks: worry
    backend: score
    implementation: two
    family: pulse
    weight: 0.5
adjudication:
  strategy: unanimous
  automatic: true
  threshold: 0.5
  least_valid: 1
  least_families: 1
  least_effective: 1
  greatest_between: 0.5
  greatest_within: 0.5
  family_correlation: 0.5
  asks_for_facts: false
"""

POLICY = """\
rules:
  - id: may-decide
    when: risk_class != "emergency"
    effect: permit
    rationale: It may.
    owner: Nobody in particular
    tests:
      - title: routine
        risk_class: routine
        hits: true
      - title: emergency
        risk_class: emergency
        hits: false
  - id: not-when-upset
    when: has(facts.mood) && facts.mood == "upset"
    effect: forbid
    options: ["yes"]
    rationale: It may not.
    owner: Somebody
    tests:
      - title: upset
        facts: {mood: upset, pulse: 70, fasting: false}
        facets: {worry: high}
        hits: true
      - title: calm
        facts: {mood: calm}
        hits: false
"""

EXAMPLES = """\
{"id": "one", "title": "One", "risk_class": "routine", "facts": {"pulse": {"value": 70, "unit": "/min", "age_minutes": 5}}, "label": "yes", "provenance": "made up", "expect": "decided:yes"}
{"id": "two", "title": "Two", "risk_class": "urgent", "facts": {"mood": {"value": "calm", "age_minutes": 5}}, "label": "no", "provenance": "made up", "expect": "escalated"}
"""


def files(
    protocol: str = PROTOCOL, policy: str = POLICY, examples: str | None = EXAMPLES
) -> dict[str, bytes]:
    """The bundle's files, any of them replaced."""
    found = {"protocol.yaml": protocol.encode(), "policy.yaml": policy.encode()}
    if examples is not None:
        found["examples.jsonl"] = examples.encode()
    return found


def spoiled(source: str, old: str, new: str) -> tuple[str, int]:
    """The source with its one `old` replaced, and the line on which the replacement begins."""
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times"
    at = source.index(old)
    return source.replace(old, new), source.count("\n", 0, at) + 1


def problems_of(bundle: dict[str, bytes]) -> tuple[Problem, ...]:
    """Why a bundle is refused, which it must be."""
    with pytest.raises(InvalidProtocolError) as caught:
        load_bundle(bundle)
    assert caught.value.problems
    return caught.value.problems
