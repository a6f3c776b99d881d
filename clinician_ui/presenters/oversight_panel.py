"""How a panel's families and members stand, and which alarms do: figures of the oversight page. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from arbiter.workflow.oversight.looking import Overseen
from arbiter.workflow.oversight.measuring import Pair, Share
from clinician_ui.presenters.figure_tables import (
    NOT_TOLD,
    Cell,
    day,
    number,
    share_words,
    table_of,
    with_share,
    word,
)
from clinician_ui.presenters.oversight_parts import Figure, Labelled, entered, share_row
from clinician_ui.presenters.plots import Entered, share_rows
from clinician_ui.presenters.times import Here
from clinician_ui.presenters.wording import words_of
from clinician_ui.texts import _, ngettext

_MEMBER: Final = "member"


def families_figure(overseen: Overseen, _here: Here) -> Figure:
    """Return how often each two families gave the same answer."""
    pairs = sorted(overseen.reviewed.pairs, key=lambda pair: (-pair.agreed.whole, pair.one, pair.other))
    told = [pair for pair in pairs if pair.agreed.told]
    return Figure(
        name="families",
        title=_("Agreement between families"),
        sentence=_least_agreeing(told),
        note=_(
            "Of signed reviews in which both families gave an answer to the question; a family beside itself stands for its own "
            "members. Cases come to clinicians because members disagree, so they agree more often over all cases: see the next "
            "figure."
        ),
        table=table_of(
            with_share((_("Family"), "family"), (_("and"), "other_family"), counted=_("Same answer")),
            [
                (
                    word(words_of(pair.one), pair.one),
                    *share_row(Labelled(words_of(pair.other), pair.other, pair.agreed)),
                )
                for pair in pairs
            ],
        ),
        rows=share_rows([entered(_labelled(pair)) for pair in pairs]) if pairs else None,
    )


def agreement_figure(overseen: Overseen, here: Here) -> Figure:
    """Return how far members agreed beyond chance over all cases, window by window."""
    rows = sorted(overseen.windows, key=lambda row: row.ended_at, reverse=True)
    latest = next((row for row in rows if row.alpha is not None), None)
    sentence = _("No window of cases is full yet.")
    if latest is not None:
        sentence = _(
            "In the newest window of {cases} cases of {protocol}, members agreed with an alpha of {alpha}."
        ).format(cases=f"{latest.cases:,}", protocol=latest.protocol, alpha=_alpha(latest.alpha).text)
    columns = (
        (_("Protocol"), "protocol"),
        (_("Version"), "version"),
        (_("Answers to"), "asks"),
        (_("Window"), "window"),
        (_("Cases"), "cases"),
        (_("Alpha"), "alpha"),
        (_("Ended"), "ended"),
    )
    return Figure(
        name="agreement",
        title=_("Agreement of members over all cases"),
        sentence=sentence,
        note=_(
            "Krippendorff\u2019s alpha: 1 is full agreement, 0 what chance would bring. Over all cases of every site, "
            "whatever days are chosen above."
        ),
        table=table_of(
            columns,
            [
                (
                    word(row.protocol),
                    word(row.version),
                    word(row.asks),
                    number(row.number),
                    number(row.cases),
                    _alpha(row.alpha),
                    day(_local(row.ended_at, here)),
                )
                for row in rows
            ],
        ),
        rows=share_rows(
            [
                Entered(
                    _("{protocol}, {asks}, window {number}").format(
                        protocol=row.protocol, asks=row.asks, number=row.number
                    ),
                    _alpha(row.alpha).text,
                    None if row.alpha is None else max(0.0, float(row.alpha)),
                )
                for row in rows[:_WINDOWS_DRAWN]
            ]
        )
        if rows
        else None,
    )


def members_figure(overseen: Overseen, _here: Here) -> Figure:
    """Return how members stand against their records, by what audits of decisions found."""
    members = list(_members(overseen))
    worst = [title for title, _limit, _share, alarmed in members if alarmed]
    if worst:
        sentence = _("An alarm stands about {members}.").format(members=", ".join(worst))
    elif members:
        sentence = _("No alarm stands about any member.")
    else:
        sentence = _("No protocol that was chosen states an error rate.")
    columns = (
        (_("Member"), "member"),
        (_("Wrong by its record"), "record"),
        *with_share(counted=_("Found wrong")),
        (_("Alarm"), "alarm"),
    )
    return Figure(
        name="members",
        title=_("Members against their records"),
        sentence=sentence,
        note=_(
            "Of answers whose decisions were audited, of every site, since a member\u2019s last alarm was lifted."
        ),
        table=table_of(
            columns,
            [
                (
                    word(title),
                    Cell(f"{100 * limit:.3g}%", f"{limit:.6f}"),
                    *share_row(Labelled(title, title, share))[1:],
                    word(_("stands"), "yes") if alarmed else word(NOT_TOLD, "no"),
                )
                for title, limit, share, alarmed in members
            ],
        ),
        rows=share_rows(
            [entered(Labelled(title, title, share)) for title, _limit, share, _alarmed in members]
        )
        if members
        else None,
        link=("/watch", _("More about stated error rates")),
    )


def alarms_figure(overseen: Overseen, here: Here) -> Figure:
    """Return every alarm that stands: of audits, of drift, of seats that are not what they were."""
    alarms = list(_alarms(overseen, here))
    return Figure(
        name="alarms",
        title=_("Alarms that stand"),
        sentence=ngettext("{number} alarm stands.", "{number} alarms stand.", len(alarms)).format(
            number=len(alarms)
        )
        if alarms
        else _("No alarm stands."),
        note=_("Of audits, of drift and of the nightly fixed cases, as of now, of every site."),
        table=table_of(
            ((_("Kind"), "kind"), (_("Protocol"), "protocol"), (_("About"), "about"), (_("Since"), "since")),
            alarms,
        ),
        link=("/watch", _("More about stated error rates")),
    )


_WINDOWS_DRAWN: Final = 12


def _labelled(pair: Pair) -> Labelled:
    return Labelled(_between(pair), pair.other, pair.agreed)


def _between(pair: Pair) -> str:
    if pair.one == pair.other:
        return _("the members of {family}").format(family=words_of(pair.one))
    return _("{one} and {other}").format(one=words_of(pair.one), other=words_of(pair.other))


def _least_agreeing(pairs: list[Pair]) -> str:
    if not pairs:
        return _("Too few reviews to tell how families agree.")
    least = min(pairs, key=lambda pair: pair.agreed.rate or 0.0)
    return _("Least often {families} gave the same answer: {share}.").format(
        families=_between(least), share=share_words(least.agreed)
    )


def _alpha(alpha: str | None) -> Cell:
    return Cell(NOT_TOLD, "") if alpha is None else Cell(f"{float(alpha):.2f}", f"{float(alpha):.6f}")


def _members(overseen: Overseen) -> Iterator[tuple[str, float, Share, bool]]:
    for looked in overseen.members:
        for watched in looked.standing.watched:
            tally = watched.tally
            if tally.claim.kind == _MEMBER:
                title = looked.seats.get(tally.claim.target, tally.claim.target)
                yield title, tally.claim.alpha, Share(tally.errors, tally.audits), tally.standing is not None


def _alarms(overseen: Overseen, here: Here) -> Iterator[tuple[Cell, ...]]:
    for looked in overseen.members:
        for alarm in looked.standing.alarms:
            about = looked.seats if alarm.kind == _MEMBER else looked.options
            yield (
                word(_("Audits"), "audits"),
                word(alarm.protocol),
                word(about.get(alarm.target, alarm.target), alarm.target),
                day(_local(alarm.at, here)),
            )
    for drift in overseen.drifted:
        yield (
            word(_("Drift"), "drift"),
            word(drift.protocol),
            word(drift.stream),
            day(_local(drift.alarmed_at, here)),
        )
    for protocol, member in overseen.moved:
        yield word(_("Fixed cases"), "canary"), word(protocol), word(member), Cell(NOT_TOLD, "")


def _local(at: datetime, here: Here) -> datetime:
    return at.astimezone(here.zone)
