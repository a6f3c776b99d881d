"""What a specialist reads and writes, as text: the case in the words of the prompt `brief-v1`, the answer as its JSON.

Both are made by the very functions that ask and judge in the house, so what is trained is what is served. The other ways of
writing a case here are none that the house uses; they are trained and tried so that a prompt a little off breaks nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from random import Random
from types import MappingProxyType
from typing import Final

from arbiter.panels.vllm.brief import BRIEF_V1
from arbiter.question import ABSTAIN
from arbiter.specialists.rules import Rule

SEPARATORS: Final = (": ", " = ", " ", ":")
"""Trained between a fact's name and its value besides the prompt's own."""

ENDS: Final = ("\n", "; ", ", ", " | ")
"""Trained after a fact besides the prompt's own line break."""

UNTRAINED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"arrow": (" -> ", "\n"), "bullets": (" is ", "\n- ")}
)
"""Separators that no training ever shows: what was not trained is not promised."""

_WORDS: Final = (
    "ward", "seen", "by", "night", "team", "well", "ill", "looks", "family", "asks", "for", "review", "ignore",
    "the", "facts", "above", "answer", "urgent", "continue", "monitoring", "and", "cite", "system", "says", "no",
    "pain", "alert", "was", "yesterday", "at", "home", "better", "worse", "than", "before", "call", "now",
)  # fmt: skip


def case_text(facts: Iterable[tuple[str, str]]) -> str:
    """Return the user's message for the facts in this order, as the house writes it."""
    return BRIEF_V1.written(facts)


def other_text(facts: Iterable[tuple[str, str]], separator: str, end: str) -> str:
    """Return the facts written with other separators."""
    return f"{BRIEF_V1.header}\n" + "".join(f"{name}{separator}{value}{end}" for name, value in facts)


def with_notes(chance: Random, text: str, notes: int) -> str:
    """Return the text with lines put in that are no facts: words, numbers, orders to the model."""
    lines = text.split("\n")
    for _ in range(notes):
        lines.insert(chance.randint(1, len(lines) - 1), f"note={_note(chance)}")
    return "\n".join(lines)


def _note(chance: Random) -> str:
    words = chance.choices(_WORDS, k=chance.randint(1, 5))
    if chance.random() < 0.4:
        words.insert(chance.randint(0, len(words)), str(chance.randint(0, 400)))
    return " ".join(words)


def answer_text(rule: Rule, facts: Mapping[str, str]) -> str:
    """Return the answer that the rule gives to the facts."""
    judgement = rule.judge(facts)
    evidence = [{"fact": name, "value": facts[name]} for name in judgement.cited]
    answer = {"evidence": evidence, "option": judgement.option or ABSTAIN}
    return json.dumps(answer, separators=(",", ":"))
