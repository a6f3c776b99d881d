"""What `arbiter doctor` says about the duty file: whether it can be read, and whether every escalation calls somebody by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from arbiter.cli.doctor.findings import Finding, attempted, first_problems
from arbiter.duty.loader import read_duty
from arbiter.duty.roster import Duty, Rota, gap_of, minute_words, overlap_of
from arbiter.errors import InvalidDutyError, counted
from arbiter.question import Protocol
from arbiter.settings import Mode, Settings
from arbiter.workflow.calling import called_by_mail, without_ladder
from arbiter.workflow.protocol_checking import bundles

_SHOWN = 3
_READABLE = "correct the file, or let the service's user read it: Arbiter does not start without"


def duty(settings: Settings) -> Iterator[Finding]:
    """Read the duty file as a start would, and look for escalations that would call nobody by it."""
    if settings.duty is None:
        alone = "ARBITER_DUTY is not set: escalations stand on the work list and call nobody"
        advice = (
            "write a file of groups, rotas and ladders (README.md, Who is told) and set ARBITER_DUTY to it"
        )
        production = settings.mode is Mode.PRODUCTION
        yield Finding("duty file", "warn", alone, advice) if production else Finding("duty file", "ok", alone)
        return
    path = settings.duty
    yield from attempted("duty file", _READABLE, lambda: _file(path, settings))


def _file(path: Path, settings: Settings) -> Iterator[Finding]:
    try:
        read = read_duty(path)
    except InvalidDutyError as error:
        yield Finding("duty file", "fail", first_problems(error.problems, _SHOWN), _READABLE)
        return
    yield Finding("duty file", "ok", f"{counted(len(read.groups), 'group')} can be called")
    yield from attempted(
        "duty ladders", "correct what ARBITER_PROTOCOLS names first", lambda: _ladders(read, settings)
    )
    yield _mail(read, settings)
    yield _rotas(read)


def _ladders(read: Duty, settings: Settings) -> Iterator[Finding]:
    protocols = _in_force(settings)
    unknown = without_ladder(read, protocols)
    if unknown:
        advice = "name each under `duty_groups` of a ladder in ARBITER_DUTY: Arbiter does not start without"
        yield Finding("duty ladders", "fail", f"no ladder for duty group {', '.join(unknown)}", advice)
    else:
        found = f"the duty groups of {len(protocols)} protocols have ladders"
        yield Finding("duty ladders", "ok", found)


def _in_force(settings: Settings) -> tuple[Protocol, ...]:
    found = bundles(settings.protocols)
    return tuple({bundle.protocol.id: bundle.protocol for bundle in found}.values())


def _mail(read: Duty, settings: Settings) -> Finding:
    groups = ", ".join(called_by_mail(read))
    if not groups:
        return Finding("duty mail", "ok", "nobody is called by mail")
    if settings.mail_server is None:
        advice = "set ARBITER_MAIL_SERVER and ARBITER_MAIL_FROM, or call them by webhook: Arbiter does not start without"
        return Finding(
            "duty mail", "fail", f"mail is to call {groups}, and ARBITER_MAIL_SERVER is not set", advice
        )
    return Finding("duty mail", "ok", f"ARBITER_MAIL_SERVER is set, and mail is to call {groups}")


def _rotas(read: Duty) -> Finding:
    """Say where rotas have gaps, which go to somebody all the same, and where two shifts overlap, so that both are called."""
    rotas = {group.id: group.rota for group in read.groups.values() if group.rota is not None}
    if not rotas:
        return Finding("duty rotas", "ok", "no group has a rota: everybody in a group is called at all times")
    remarks = [f"{group} {remark}" for group, rota in rotas.items() for remark in _remarks(rota)]
    counts = f"{counted(len(rotas), 'group')} by a rota"
    return Finding("duty rotas", "ok", "; ".join([counts, *remarks[:_SHOWN]]))


def _remarks(rota: Rota) -> Iterator[str]:
    gap, overlap = gap_of(rota.shifts), overlap_of(rota.shifts)
    if gap is not None:
        yield f"has a gap from {minute_words(gap)}, which goes to {', '.join(each.id for each in rota.otherwise)}"
    if overlap is not None:
        yield f"has two shifts at once from {minute_words(overlap)}, and both are called"
