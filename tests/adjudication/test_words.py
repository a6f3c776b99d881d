"""A sentence for every reason, in words that a clinician follows."""

import pytest

from arbiter.adjudication import SENTENCES, sentence
from arbiter.adjudication.words import listed
from arbiter.model import Reason, ReasonCode


@pytest.mark.parametrize("code", ReasonCode)
def test_every_reason_has_a_sentence(code: ReasonCode) -> None:
    assert SENTENCES[code][0].isupper()
    assert not SENTENCES[code].endswith(".")
    assert sentence(Reason(code, "")) == f"{SENTENCES[code]}."
    assert sentence(Reason(code, " some detail. ")) == f"{SENTENCES[code]}: some detail."


def test_no_two_reasons_share_a_sentence() -> None:
    assert len(set(SENTENCES.values())) == len(ReasonCode)


@pytest.mark.parametrize(
    ("words", "expected"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists_are_written_as_in_a_sentence(words: list[str], expected: str) -> None:
    assert listed(words) == expected
