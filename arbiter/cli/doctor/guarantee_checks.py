"""What `arbiter doctor` looks at about stated error rates: alarms that stand, and decisions that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from arbiter.cli.doctor.findings import Finding, first_of
from arbiter.cli.when import to_the_minute
from arbiter.settings import Settings
from arbiter.store.transaction import Where
from arbiter.store.watching import AlarmKind, AlarmRow, OpenAudits, load_alarm_steps, load_open_audits
from arbiter.workflow.watching.alarms import standing

_CHECK: Final = "guarantee"
_SHOWN: Final = 5
_LATE: Final = 0.5
"""Of the days that a decision may wait for its readers, the share after which whoever runs this should know."""


async def guarantee(settings: Settings, where: Where) -> tuple[Finding, ...]:
    """Look at what audits found and at what waits for them."""
    alarms = standing(await load_alarm_steps(where))
    waiting = await load_open_audits(where)
    return tuple(_findings(settings, alarms, tuple(waiting), datetime.now(UTC)))


def _findings(
    settings: Settings, alarms: tuple[AlarmRow, ...], waiting: tuple[OpenAudits, ...], now: datetime
) -> Iterator[Finding]:
    stopping = [alarm for alarm in alarms if alarm.kind is AlarmKind.OPTION]
    warning = [alarm for alarm in alarms if alarm.kind is AlarmKind.MEMBER]
    if stopping:
        found = f"stopped by an alarm: {first_of([_told(alarm) for alarm in stopping], _SHOWN)}"
        advice = (
            "clinicians found its decisions wrong too often; find out why (`arbiter guarantee show`), then "
            "`arbiter guarantee lift`; everything escalates meanwhile"
        )
        yield Finding(_CHECK, "fail", found, advice)
    if warning:
        found = f"wrong more often than its record: {first_of([_told(alarm) for alarm in warning], _SHOWN)}"
        advice = (
            "see `arbiter guarantee show`; make a new calibration of newer labels, or take it off the panel"
        )
        yield Finding(_CHECK, "warn", found, advice)
    allowed = timedelta(days=settings.audit_days)
    late = [each for each in waiting if now - each.oldest > _LATE * allowed]
    if late:
        told = [f"{each.protocol} since {to_the_minute(each.oldest)}{_again(each)}" for each in late]
        stopped = any(now - each.oldest > allowed for each in late)
        advice = (
            "reviewers of the case's site find it on their work list, but for who has read it or seen its panel: where nobody else "
            "reviews there, another account must; a protocol whose audits wait longer decides nothing alone"
        )
        yield Finding(_CHECK, "fail" if stopped else "warn", f"not read: {first_of(told, _SHOWN)}", advice)
    if not stopping and not warning and not late:
        open_audits = sum(each.count for each in waiting)
        yield Finding(_CHECK, "ok", f"no alarm stands; {open_audits} decisions wait for readers")


def _again(audits: OpenAudits) -> str:
    return f" ({audits.doubted} of {audits.count} by a second reader)" if audits.doubted else ""


def _told(alarm: AlarmRow) -> str:
    return f"{alarm.protocol} ({alarm.target}) since {to_the_minute(alarm.at)}"
