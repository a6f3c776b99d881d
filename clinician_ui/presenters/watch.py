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
from clinician_ui.texts import _, ngettext, noted

_OPTION: Final = "option"
_STOPS: Final = {
    Stop.FROZEN: noted("Nothing is decided alone: an alarm stands"),
    Stop.BEHIND: noted("Nothing is decided alone: a decision has waited too long for its readers"),
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
                _("Decisions for “{option}” were wrong too often").format(
                    option=looked.options.get(alarm.target, alarm.target)
                )
                if alarm.kind == _OPTION
                else _("{member} was wrong more often than its record says").format(
                    member=looked.seats.get(alarm.target, alarm.target)
                ),
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
        return _(_STOPS[standing.stop])
    if standing.calibration is None:
        return _("No calibration is in force: every case goes to a clinician")
    return _("An alarm about a member stands") if standing.alarms else _("No alarm stands")


def _waiting(standing: GuaranteeStanding, here: Here) -> str:
    if standing.waiting is None:
        return _("No decision waits to be read.")
    since = moment(standing.waiting.oldest, here).text
    count, doubted = standing.waiting.count, standing.waiting.doubted
    if doubted:
        words = ngettext(
            "{count} decision to be read, {doubted} of them by a second reader, the longest since {since}.",
            "{count} decisions to be read, {doubted} of them by a second reader, the longest since {since}.",
            count,
        )
    else:
        words = ngettext(
            "{count} decision to be read, the longest since {since}.",
            "{count} decisions to be read, the longest since {since}.",
            count,
        )
    return words.format(count=f"{count:,}", doubted=doubted, since=since)


def _option(watched: Watched, looked: Looked) -> OptionSection:
    tally, claim = watched.tally, watched.tally.claim
    return OptionSection(
        title=looked.options.get(claim.target, claim.target),
        limit=_("At most {part} of these decisions may be wrong").format(part=_percent(claim.alpha)),
        audits=_audits(tally.audits, lifted=bool(claim.lifts)),
        found=_("{number} found wrong").format(number=f"{tally.errors:,}"),
        estimate=_estimate(watched),
        evidence=_evidence(tally),
        delay=_delay(watched),
        plot=evidence_plot(tally.path, start_of(tally)),
    )


def _estimate(watched: Watched) -> str:
    if watched.estimate is None or watched.bound is None:
        return _("Nothing is estimated yet")
    return _("{part} of all such decisions, by estimate; at most {most}").format(
        part=_percent(watched.estimate), most=_percent(watched.bound)
    )


def _evidence(tally: Tally) -> str:
    if tally.standing is not None:
        return _("The alarm stands")
    return _("{part} of the way to the alarm").format(part=f"{100.0 * tally.way_to_alarm:.0f}%")


def _delay(watched: Watched) -> str:
    delay = watched.delay
    if watched.tally.standing is not None:
        return ""
    if delay.audits is None or delay.decisions is None:
        return _("Were {part} wrong from now on, the alarm might not come").format(part=_percent(delay.rate))
    return _(
        "Were {part} wrong from now on, the alarm would come after {audits} audits on average, which is "
        "{decisions} decisions"
    ).format(part=_percent(delay.rate), audits=f"{delay.audits:,.0f}", decisions=f"{delay.decisions:,.0f}")


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


def _audits(number: int, *, lifted: bool) -> str:
    if lifted:
        words = ngettext(
            "{number} audit since its last alarm was lifted",
            "{number} audits since its last alarm was lifted",
            number,
        )
    else:
        words = ngettext("{number} audit", "{number} audits", number)
    return words.format(number=f"{number:,}")
