"""What is said of a case to somebody who had it in hand and has passed it on: nothing of what has become of it since."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.workflow.review import Passed
from clinician_ui.texts import _, noted


@dataclass(frozen=True, slots=True)
class PassedPage:
    """A heading and sentences."""

    heading: str
    sentences: tuple[str, ...]


_PAGES: dict[Passed, tuple[str, tuple[str, ...]]] = {
    Passed.READ: (
        noted("Your opinion is locked; another clinician reads this case"),
        (
            noted("Two clinicians judge this case, and neither knows what the other thinks."),
            noted("Where they differ, a senior arbiter decides who is neither of them."),
            noted("Your opinion can no longer be altered, and nothing more is needed from you."),
        ),
    ),
    Passed.REFERRED: (
        noted("You have referred this case"),
        (
            noted("A senior arbiter judges it afresh and decides. What you had locked is kept for them."),
            noted("Nothing more is needed from you."),
        ),
    ),
    Passed.CONFLICT: (
        noted("You have declared a conflict of interest"),
        (
            noted("Somebody else takes the case. What you thought of it does not count."),
            noted("You cannot take it again."),
        ),
    ),
    Passed.FACTS: (
        noted("The hospital system has been asked for facts"),
        (
            noted(
                "The case is back on the work list when they have come, or when the time for them is over."
            ),
            noted("With new facts everybody judges it anew."),
        ),
    ),
    Passed.AUDIT: (
        noted("This case was decided before you saw it"),
        (
            noted("It was shown to you for an independent check of that decision. Nobody waits for you."),
            noted(
                "Another clinician reads it; nobody was asked for anything, and it is not shown to you again."
            ),
        ),
    ),
}


def passed_page(passed: Passed) -> PassedPage:
    """Return what to say."""
    heading, sentences = _PAGES[passed]
    return PassedPage(_(heading), tuple(_(sentence) for sentence in sentences))
