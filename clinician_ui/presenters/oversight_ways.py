"""How cases come to clinicians and how long they wait there: figures of the oversight page. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from arbiter.workflow.oversight.looking import Overseen
from arbiter.workflow.oversight.measuring import FEWEST, Quantiles, Share, Span, Times
from clinician_ui.presenters.figure_tables import (
    NOT_TOLD,
    Cell,
    day,
    length,
    number,
    percent,
    share_cells,
    share_words,
    table_of,
    with_share,
    word,
)
from clinician_ui.presenters.oversight_parts import Figure, Labelled, entered, few, share_row
from clinician_ui.presenters.plots import Point, course, share_rows, time_rows
from clinician_ui.presenters.reason_words import reason_words
from clinician_ui.presenters.times import RISK_TAGS, Here, within_words
from clinician_ui.texts import _


def escalation_figure(overseen: Overseen, here: Here) -> Figure:
    """Return what share of concluded cases came to a clinician, by when they were taken in."""
    whole, spans = overseen.whole, overseen.spans
    columns = with_share((_("Taken in from"), "from"), (_("to"), "to"), counted=_("Came to a clinician"))
    return Figure(
        name="escalation",
        title=_("Escalation rate"),
        sentence=_cases_sentence(whole),
        note=_(
            "Of cases that the panel decided or that came to a clinician, by the day on which they were taken in. "
            "A decision that was contested counts as one that came to a clinician. Practice does not count."
        ),
        table=table_of(
            columns,
            [
                (day(_first_day(each, here)), day(_last_day(each, here)), *share_cells(each.escalated))
                for each in spans
            ],
        ),
        course=course(
            [_point(each.escalated) for each in spans],
            day(_first_day(spans[0], here)).text,
            day(_last_day(spans[-1], here)).text,
        )
        if whole.told
        else None,
    )


def reasons_figure(overseen: Overseen, _here: Here) -> Figure:
    """Return why signed cases had come to a clinician."""
    reasons = [
        Labelled(reason_words(code), code, share) for code, share in overseen.reviewed.reasons if share.told
    ]
    if not reasons:
        sentence = few(overseen.reviewed.judging.reviews)
    else:
        sentence = _("The most frequent reason is “{reason}”: {share} of signed reviews.").format(
            reason=reasons[0].title, share=share_words(reasons[0].share)
        )
    return Figure(
        name="reasons",
        title=_("Reasons of escalation"),
        sentence=sentence,
        note=_("Of signed reviews, by the day of signing. A case can have several reasons."),
        table=table_of(
            with_share((_("Reason"), "reason"), counted=_("Reviews")), [share_row(each) for each in reasons]
        ),
        rows=share_rows([entered(each) for each in reasons]) if reasons else None,
    )


def times_figure(overseen: Overseen, _here: Here) -> Figure:
    """Return how long cases wait until they are taken and until they are signed, by risk class."""
    times = overseen.reviewed.times
    told = [each for each in times if each.to_decision is not None]
    columns = (
        (_("Risk class"), "risk_class"),
        (_("Reviews"), "reviews"),
        *((_("Taken: {part}").format(part=part), f"claim_{name}_seconds") for part, name in _parts()),
        *((_("Signed: {part}").format(part=part), f"decision_{name}_seconds") for part, name in _parts()),
        (_("Overdue"), "overdue"),
        (_("Of"), "of"),
        (_("Share"), "overdue_share"),
        (_("From (95%)"), "overdue_low"),
        (_("To (95%)"), "overdue_high"),
    )
    return Figure(
        name="times",
        title=_("Time to claim and to decision"),
        sentence=" ".join(_time_sentence(each) for each in told) or few(overseen.reviewed.judging.reviews),
        note=_(
            "From the escalation until somebody took the case, and until it was signed. In the plot the mark is where half of "
            "the cases were done, and the line ends where 19 of 20 were."
        ),
        table=table_of(columns, [_time_row(each) for each in times]),
        rows=time_rows([row for each in times if each.cases >= FEWEST for row in _time_rows(each)])
        if told
        else None,
    )


def _parts() -> tuple[tuple[str, str], ...]:
    return (_("half"), "p50"), (_("9 of 10"), "p90"), (_("19 of 20"), "p95")


def _cases_sentence(whole: Share) -> str:
    if not whole.told:
        if not whole.whole:
            return _("No case concluded.")
        return _("Fewer than {number} cases concluded: too few to tell a share.").format(number=FEWEST)
    return _("Of {whole} cases that concluded, {part} came to a clinician: {share}.").format(
        whole=f"{whole.whole:,}", part=f"{whole.part:,}", share=share_words(whole)
    )


def _point(share: Share) -> Point:
    interval = share.interval
    return Point(None) if share.rate is None or interval is None else Point(share.rate, *interval)


def _first_day(span: Span, here: Here) -> datetime:
    return span.since.astimezone(here.zone)


def _last_day(span: Span, here: Here) -> datetime:
    # A span ends where the next day begins.
    return (span.until - timedelta(microseconds=1)).astimezone(here.zone)


def _risk(times: Times) -> str:
    return _(RISK_TAGS[times.risk_class].text)


def _time_sentence(times: Times) -> str:
    assert times.to_claim is not None
    assert times.to_decision is not None
    overdue = "" if times.overdue.rate is None else percent(times.overdue.rate)
    return _(
        "{risk}: half were taken within {claim} and signed within {decision}; {overdue} were overdue."
    ).format(
        risk=_risk(times),
        claim=within_words(times.to_claim.p50),
        decision=within_words(times.to_decision.p50),
        overdue=overdue,
    )


def _time_row(times: Times) -> tuple[Cell, ...]:
    return (
        word(_risk(times), times.risk_class.value),
        number(times.cases) if times.cases >= FEWEST else Cell(NOT_TOLD, ""),
        *(length(each) for each in _three(times.to_claim)),
        *(length(each) for each in _three(times.to_decision)),
        *share_cells(times.overdue),
    )


def _three(quantiles: Quantiles | None) -> tuple[timedelta | None, ...]:
    return (None, None, None) if quantiles is None else (quantiles.p50, quantiles.p90, quantiles.p95)


def _time_rows(times: Times) -> list[tuple[str, str, tuple[timedelta, timedelta, timedelta] | None]]:
    return [
        (_("{risk}: until taken").format(risk=_risk(times)), *_drawn(times.to_claim)),
        (_("{risk}: until signed").format(risk=_risk(times)), *_drawn(times.to_decision)),
    ]


def _drawn(quantiles: Quantiles | None) -> tuple[str, tuple[timedelta, timedelta, timedelta] | None]:
    if quantiles is None:
        return _("too few to tell"), None
    words = _("half within {half}, 19 of 20 within {most}").format(
        half=within_words(quantiles.p50), most=within_words(quantiles.p95)
    )
    return words, (quantiles.p50, quantiles.p50, quantiles.p95)
