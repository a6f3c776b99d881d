"""Prints how many of the specialists' own answers guidance would let a model write; run by the vLLM environment's Python.

    python allowed_by_guidance.py SCHEMA_FILE ANSWERS

What is forced by a schema is forced in the tokens into which the tokenizer cuts it; a model that was trained to write the same
text in other tokens is led astray, and every reply is valid JSON all the same.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import llguidance
import llguidance.hf
from transformers import PreTrainedTokenizerFast

from arbiter.specialists.lessons import lessons
from arbiter.specialists.rules import RULES
from arbiter.specialists.shipped import BASE


def allowed(grammar: str, tokens: llguidance.LLTokenizer, ids: list[int]) -> bool:
    """True when each token in turn is one that the grammar's mask holds."""
    matcher = llguidance.LLMatcher(tokens, grammar)
    for token in ids:
        mask = matcher.compute_bitmask()
        if not mask[token // 8] >> (token % 8) & 1 or not matcher.consume_token(token):
            return False
    return True


def main(schema: str, answers: int) -> None:
    """Print two numbers: allowed answers, and tried ones."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(BASE)
    tokens = llguidance.hf.from_tokenizer(tokenizer, len(tokenizer))
    grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_flexible": False})
    told = [one.answer for one in islice(lessons(3, tuple(RULES.values())), answers)]
    cut = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in told]
    print(sum(allowed(grammar, tokens, ids) for ids in cut), len(cut))


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_text("utf-8"), int(sys.argv[2]))
