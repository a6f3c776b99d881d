"""Checks a protocol bundle as a whole: its files, its conditions, its seats, its rules' own tests."""

from __future__ import annotations

from pathlib import Path

from arbiter.errors import InvalidProtocolError, Problem
from arbiter.panels.seating import seat_members
from arbiter.policy import compile_policy, run_rule_tests
from arbiter.protocols.bundle import Bundle
from arbiter.protocols.loader import read_bundle


def check_bundle(folder: Path) -> Bundle:
    """Return the bundle in a folder once everything about it checks out.

    Raises:
        InvalidProtocolError: with every problem found, each at its `file:line:column`;
        ConfigurationError: when a seat has no member.
    """
    return check_read_bundle(read_bundle(folder))


def check_read_bundle(bundle: Bundle) -> Bundle:
    """Return a bundle that is read already once the rest of it checks out; raises as `check_bundle`."""
    try:
        compiled = compile_policy(bundle.protocol)
    except InvalidProtocolError as error:
        raise _located(bundle, error.problems) from error
    failed = run_rule_tests(compiled)
    if failed:
        raise _located(bundle, failed)
    seat_members(bundle.protocol)
    return bundle


def _located(bundle: Bundle, problems: tuple[Problem, ...]) -> InvalidProtocolError:
    return InvalidProtocolError("the protocol does not check out", bundle.placed(problems))
