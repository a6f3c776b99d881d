"""Checks a protocol bundle as a whole: its files, its conditions, its seats, its rules' own tests."""

from __future__ import annotations

from pathlib import Path

from arbiter.errors import ConfigurationError, InvalidProtocolError, Problem
from arbiter.panels.seating import seat_members
from arbiter.policy import compile_policy, run_rule_tests
from arbiter.protocols.bundle import Bundle
from arbiter.protocols.loader import read_bundle, read_shipped, shipped


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


def bundles(own: Path | None) -> tuple[Bundle, ...]:
    """Return the shipped protocols' bundles, then a deployment's `own`; of two with one id the later counts.

    Raises as `own_bundles`.
    """
    return (*map(read_shipped, shipped()), *(() if own is None else own_bundles(own)))


def own_bundles(folder: Path) -> tuple[Bundle, ...]:
    """Return the bundles that a deployment puts in force: one in each sub-folder, each checked as a whole.

    Names that begin with a dot are passed over: what a mounted volume keeps its versions in.

    Raises:
        ConfigurationError: when the folder is not there, or two bundles have one id.
        InvalidProtocolError: with every problem of the first bundle that does not check out.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"ARBITER_PROTOCOLS is {folder}, expected a folder with a sub-folder a protocol"
        )
    found: dict[str, Path] = {}
    bundles = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_dir():
            continue
        try:
            bundle = check_bundle(path)
        except InvalidProtocolError as error:
            raise InvalidProtocolError(f"the protocol in {path}: {error}", error.problems) from error
        except ConfigurationError as error:
            raise ConfigurationError(f"the protocol in {path}: {error}") from error
        name = bundle.protocol.id
        if name in found:
            raise ConfigurationError(f"{found[name]} and {path} are both the protocol {name!r}; keep one")
        found[name] = path
        bundles.append(bundle)
    return tuple(bundles)


def _located(bundle: Bundle, problems: tuple[Problem, ...]) -> InvalidProtocolError:
    return InvalidProtocolError("the protocol does not check out", bundle.placed(problems))
