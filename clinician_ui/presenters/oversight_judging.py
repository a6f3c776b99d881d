"""What clinicians did beside the panel, and what planted cases measure: figures of the oversight page. Pure."""

from __future__ import annotations

from arbiter.workflow.oversight.looking import Overseen
from arbiter.workflow.oversight.measuring import FEWEST, Judging, Reliance
from clinician_ui.presenters.figure_tables import share_words, table_of, with_share
from clinician_ui.presenters.oversight_parts import Figure, Labelled, entered, few, share_row
from clinician_ui.presenters.plots import share_rows
from clinician_ui.presenters.times import Here
from clinician_ui.texts import _


def judging_figure(overseen: Overseen, _here: Here) -> Figure:
    """Return how often clinicians sign otherwise than the panel leant, and how often they leave their own judgement."""
    judging = overseen.reviewed.judging
    measures = _measures(judging)
    if judging.switched.told:
        sentence = _(
            "Clinicians signed otherwise than the panel leant in {overridden}, and otherwise than they had judged alone in {switched}."
        ).format(overridden=share_words(judging.overridden), switched=share_words(judging.switched))
    else:
        sentence = few(judging.reviews)
    return Figure(
        name="judging",
        title=_("Overrides and switches"),
        sentence=sentence,
        note=_(
            "Of signed reviews, by the day of signing. Where somebody told what was right for the patient, it says whether switches "
            "ended well: such cases are few, and not any cases. No figure is of a person."
        ),
        table=table_of(
            with_share((_("Measure"), "measure"), counted=_("Reviews")),
            [share_row(each) for each in measures],
        ),
        rows=share_rows([entered(each) for each in measures]) if judging.reviews else None,
    )


def reliance_figure(overseen: Overseen, _here: Here) -> Figure:
    """Return what planted cases measure: who leaves a right judgement for the panel's wrong one."""
    reliance = overseen.reviewed.reliance
    measures = (
        Labelled(_("Right alone, signed the panel\u2019s wrong answer"), "over_reliance", reliance.followed),
        Labelled(_("Right before the panel was shown"), "right_before", reliance.before),
        Labelled(_("Right when signed"), "right_after", reliance.after),
    )
    return Figure(
        name="reliance",
        title=_("Planted cases: over-reliance"),
        sentence=_reliance_sentence(reliance),
        note=_(
            "Of signed planted cases, by the day of signing: invented patients about whom the panel was wrong. They count in no "
            "other figure. No figure is of a person."
        ),
        table=table_of(
            with_share((_("Measure"), "measure"), counted=_("Reviews")),
            [share_row(each) for each in measures],
        ),
        rows=share_rows([entered(each) for each in measures]) if reliance.planted else None,
    )


def _measures(judging: Judging) -> tuple[Labelled, ...]:
    return (
        Labelled(_("Signed otherwise than the panel leant"), "override", judging.overridden),
        Labelled(_("Signed otherwise than judged alone"), "switch", judging.switched),
        Labelled(_("Differed alone, then signed the panel\u2019s answer"), "toward_panel", judging.toward),
        Labelled(_("Agreed alone, then signed another answer"), "away_from_panel", judging.away),
        Labelled(_("Differed alone, then signed a third answer"), "elsewhere", judging.elsewhere),
        Labelled(_("Switches from wrong to right"), "switch_to_right", judging.mended),
        Labelled(_("Switches from right to wrong"), "switch_to_wrong", judging.spoilt),
        Labelled(_("Right alone, where it is known"), "own_right", judging.own_right),
        Labelled(_("Panel right, where it is known"), "panel_right", judging.panel_right),
        Labelled(_("Right when signed, where it is known"), "signed_right", judging.signed_right),
    )


def _reliance_sentence(reliance: Reliance) -> str:
    if not reliance.planted:
        return _("No planted case was signed.")
    if not reliance.followed.told:
        return _("Fewer than {number} planted cases were judged rightly alone: too few to tell.").format(
            number=FEWEST
        )
    return _("Of those who were right alone, so many signed the panel\u2019s wrong answer: {share}.").format(
        share=share_words(reliance.followed)
    )
