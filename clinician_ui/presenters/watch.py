"""The watch over stated error rates turned into what its page says: words first, and the plots beside them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from arbiter.workflow.watching.evidence import Tally
from arbiter.workflow.watching.looking import Looked, start_of
from arbiter.workflow.watching.standings import GuaranteeStanding, Stop, Watched
from clinician_ui.presenters.evidence_plots import EvidencePlot, evidence_plot
from clinician_ui.presenters.times import Here, Moment, moment

_OPTION: Final = "option"
_STOPS: Final = {
    Stop.FROZEN: "Nothing is decided alone: an alarm stands",
    Stop.BEHIND: "Nothing is decided alone: a decision has waited too long for its readers",
}


@dataclass(frozen=True, slots=True)
class AlarmWords:
    """An alarm that nobody has lifted: what it is about, and since when."""

    what: str
    since: Moment


@dataclass(frozen=True, slots=True)
class OptionSection:
    """An option that is certified: what may be wrong, what was found, and how near the alarm is.

    `delay`, how long the alarm would take, is empty while it stands.
    """

    title: str
    limit: str
    audits: str
    found: str
    estimate: str
    evidence: str
    delay: str
    plot: EvidencePlot


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member against its record."""

    title: str
    limit: str
    audited: str
    wrong: str
    evidence: str


@dataclass(frozen=True, slots=True)
class ProtocolSection:
    """One protocol; `tone` is alarm, warning or calm."""

    id: str
    title: str
    tone: str
    headline: str
    waiting: str
    alarms: tuple[AlarmWords, ...]
    options: tuple[OptionSection, ...]
    members: tuple[MemberRow, ...]


@dataclass(frozen=True, slots=True)
class WatchPage:
    """Every protocol that states an error rate."""

    protocols: tuple[ProtocolSection, ...]
    at: Moment
    zone: str


def watch_page(looked: Iterable[Looked], here: Here) -> WatchPage:
    """Return how stated error rates hold up."""
    return WatchPage(tuple(_section(each, here) for each in looked), moment(here.now, here), here.zone_name)


def _section(looked: Looked, here: Here) -> ProtocolSection:
    standing = looked.standing
    options = [watched for watched in standing.watched if _is_option(watched.tally)]
    members = [watched for watched in standing.watched if not _is_option(watched.tally)]
    return ProtocolSection(
        id=standing.protocol,
        title=standing.title,
        tone=_tone(standing),
        headline=_headline(standing),
        waiting=_waiting(standing, here),
        alarms=tuple(
            AlarmWords(
                f"Decisions for “{looked.options.get(alarm.target, alarm.target)}” were wrong too often"
                if alarm.kind == _OPTION
                else f"{looked.seats.get(alarm.target, alarm.target)} was wrong more often than its record says",
                moment(alarm.at, here),
            )
            for alarm in standing.alarms
        ),
        options=tuple(_option(watched, looked) for watched in options),
        members=tuple(_member(watched, looked) for watched in members),
    )


def _is_option(tally: Tally) -> bool:
    return tally.claim.kind == _OPTION


def _tone(standing: GuaranteeStanding) -> str:
    if standing.stop is not None:
        return "alarm"
    return "warning" if standing.alarms or standing.calibration is None else "calm"


def _headline(standing: GuaranteeStanding) -> str:
    if standing.stop is not None:
        return _STOPS[standing.stop]
    if standing.calibration is None:
        return "No calibration is in force: every case goes to a clinician"
    return "An alarm about a member stands" if standing.alarms else "No alarm stands"


def _waiting(standing: GuaranteeStanding, here: Here) -> str:
    if standing.waiting is None:
        return "No decision waits to be read."
    since = moment(standing.waiting.oldest, here).text
    again = f", {standing.waiting.doubted} of them by a second reader" if standing.waiting.doubted else ""
    return f"{_counted(standing.waiting.count, 'decision')} to be read{again}, the longest since {since}."


def _option(watched: Watched, looked: Looked) -> OptionSection:
    tally, claim = watched.tally, watched.tally.claim
    return OptionSection(
        title=looked.options.get(claim.target, claim.target),
        limit=f"At most {_percent(claim.alpha)} of these decisions may be wrong",
        audits=_counted(tally.audits, "audit") + (" since its last alarm was lifted" if claim.lifts else ""),
        found=f"{tally.errors:,} found wrong",
        estimate=_estimate(watched),
        evidence=_evidence(tally),
        delay=_delay(watched),
        plot=evidence_plot(tally.path, start_of(tally)),
    )


def _estimate(watched: Watched) -> str:
    if watched.estimate is None or watched.bound is None:
        return "Nothing is estimated yet"
    return (
        f"{_percent(watched.estimate)} of all such decisions, by estimate; at most {_percent(watched.bound)}"
    )


def _evidence(tally: Tally) -> str:
    if tally.standing is not None:
        return "The alarm stands"
    return f"{100.0 * tally.way_to_alarm:.0f}% of the way to the alarm"


def _delay(watched: Watched) -> str:
    delay = watched.delay
    if watched.tally.standing is not None:
        return ""
    if delay.audits is None or delay.decisions is None:
        return f"Were {_percent(delay.rate)} wrong from now on, the alarm might not come"
    return (
        f"Were {_percent(delay.rate)} wrong from now on, the alarm would come after {delay.audits:,.0f} audits on "
        f"average, which is {delay.decisions:,.0f} decisions"
    )


def _member(watched: Watched, looked: Looked) -> MemberRow:
    tally, claim = watched.tally, watched.tally.claim
    return MemberRow(
        title=looked.seats.get(claim.target, claim.target),
        limit=_percent(claim.alpha),
        audited=f"{tally.audits:,}",
        wrong=f"{tally.errors:,}",
        evidence=_evidence(tally),
    )


def _percent(rate: float) -> str:
    return f"{100.0 * rate:.3g}%"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
