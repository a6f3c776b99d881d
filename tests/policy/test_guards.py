"""Every way to put one use of an optional fact behind small tests: what is accepted never errs when it is absent."""

import itertools
from collections.abc import Iterator

from arbiter.policy.guards import unguarded
from arbiter.policy.syntax import parse
from tests.policy.small import compiled

USE = "facts.pulse > 90.0"
TESTS = ("has(facts.pulse)", "!has(facts.pulse)", "has(facts.temp)", "!has(facts.temp)", "true", "false")
PULSES: tuple[dict[str, float], ...] = ({}, {"pulse": 90.0}, {"pulse": 91.0})
TEMPS: tuple[dict[str, float], ...] = ({}, {"temp": 38.0})


def shapes() -> Iterator[str]:
    pairs = [f"({a} {sign} {b})" for a, b in itertools.product(TESTS, TESTS) for sign in ("&&", "||")]
    triples = [f"({a} ? {b} : {c})" for a, b, c in itertools.product(TESTS, TESTS, TESTS)]
    for inner in (*TESTS, *pairs, *triples):
        for test in (f"({inner})", f"!({inner})"):
            yield f"{test} && {USE}"
            yield f"{test} || {USE}"
            yield f"{test} ? {USE} : true"
            yield f"{test} ? true : {USE}"


def test_no_accepted_shape_errs_whatever_is_present() -> None:
    env = compiled("true").env
    accepted = 0
    for source in shapes():
        if unguarded(parse(source)):
            continue
        accepted += 1
        condition = env.compile(source)
        for pulse, temp in itertools.product(PULSES, TEMPS):
            known = {"facts": pulse | temp, "facets": {}, "risk_class": "routine", "members.valid": 3}
            assert type(condition.eval(data=known).value()) is bool, (source, known)
    assert accepted > 100


def test_what_is_refused_is_mostly_what_does_err() -> None:
    """The proof is on the safe side, but not so far that authors could not live with it."""
    env = compiled("true").env
    refused = erring = 0
    for source in shapes():
        if "true" in source or "false" in source or not unguarded(parse(source)):
            continue
        refused += 1
        condition = env.compile(source)
        known = [{"facts": temp, "facets": {}, "risk_class": "routine", "members.valid": 3} for temp in TEMPS]
        erring += any(type(condition.eval(data=data).value()) is not bool for data in known)
    assert erring > refused * 0.9
