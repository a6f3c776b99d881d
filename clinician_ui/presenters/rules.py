"""The hospital's policy in words: which rules held, what each does, to which answers, why, and who answers for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from arbiter.model import RuleEffect
from clinician_ui.presenters.certificate_reading import Policy
from clinician_ui.texts import _, noted

_EFFECTS: Final[Mapping[RuleEffect, str]] = {
    RuleEffect.PERMIT: noted("Permits a decision without a clinician"),
    RuleEffect.DENY: noted("Asks for a clinician"),
    RuleEffect.REQUIRE: noted("Leaves open only"),
    RuleEffect.FORBID: noted("Rules out"),
    RuleEffect.SHOW_PANEL_FIRST: noted("Lets the reviewer see the panel first"),
    RuleEffect.SECOND_READER: noted("Asks for a second reader"),
}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule of the hospital's policy that applied, or could not be evaluated; `owner` answers for it, empty where nobody is named."""

    effect: str
    rationale: str
    rule: str
    owner: str


def rule_lines(
    policy: Policy | None, titles: Mapping[str, str], owners: Mapping[str, str]
) -> tuple[RuleLine, ...]:
    """Return the rules that held in their order, then those that could not be evaluated; none where policy was not asked."""
    if policy is None:
        return ()
    lines = []
    for hit in policy.hits:
        named = ", ".join(titles.get(option, option) for option in hit.options)
        effect = _(_EFFECTS[hit.effect])
        shown = _("{effect}: {options}").format(effect=effect, options=named) if named else effect
        lines.append(RuleLine(shown, hit.rationale, hit.rule, owners.get(hit.rule, "")))
    failed = _("Could not be evaluated, so a clinician decides")
    lines += [
        RuleLine(failed, failure.cause, failure.rule, owners.get(failure.rule, ""))
        for failure in policy.failures
    ]
    return tuple(lines)
