"""The form that ends a shift: which of the cases somebody holds are given back, with a note each, and to whom.

Its fields are named after the cases of its page, so it is read here and not by one of the models in `clinician_ui.forms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from arbiter.model import CaseId
from clinician_ui.desk import case_id
from clinician_ui.fields import Fields, check_known, only_value
from clinician_ui.forms import Mistake, Text, is_seen
from clinician_ui.texts import _

NOTE = "note-"
_TEXT: TypeAdapter[str] = TypeAdapter(Text)


@dataclass(frozen=True, slots=True)
class HandoverForm:
    """What was sent: the ticked cases, every note that was typed, the login of a colleague or nothing, and what is to be put right."""

    cases: tuple[CaseId, ...]
    typed: Mapping[str, str]
    to: str
    mistakes: tuple[Mistake, ...] = ()
    notes: Mapping[CaseId, str] = field(default_factory=dict)


def read_handover(fields: Fields) -> HandoverForm:
    """Return a handover with its mistakes.

    Raises:
        RefusedError: for a field that the page does not have; NotFoundError: for what cannot be a case's id.
    """
    check_known((name for name in fields if not name.startswith(NOTE)), {"case", "to"})
    cases = tuple(dict.fromkeys(case_id(value) for value in fields.get("case", ())))
    typed: dict[str, str] = {
        case_id(name.removeprefix(NOTE)): only_value(fields, name) or ""
        for name in fields
        if name.startswith(NOTE)
    }
    notes: dict[CaseId, str] = {}
    mistakes = [] if cases else [Mistake("case", _("Tick the cases to hand over"))]
    for case in cases:
        try:
            notes[case] = _TEXT.validate_python(typed.get(case, ""))
        except ValidationError as error:
            mistakes.append(Mistake(f"{NOTE}{case}", str(error.errors(include_url=False)[0]["msg"])))
    mistakes += [
        Mistake(
            f"{NOTE}{case}",
            _("Tick this case too, or take its note out: notes go with cases that are handed over"),
        )
        for case, note in typed.items()
        if is_seen(note) and case not in cases
    ]
    return HandoverForm(cases, typed, (only_value(fields, "to") or "")[:64].strip(), tuple(mistakes), notes)
