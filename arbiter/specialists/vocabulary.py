"""The tokenizer: every byte, and whole tokens for the numbers, names and pieces of JSON that cases and answers are made of.

Copying a value is copying one or two tokens, which is what lets so small a model do it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from arbiter.panels.vllm.brief import BRIEF_V1
from arbiter.question import ABSTAIN
from arbiter.specialists.patients import CODES, NAMES
from arbiter.specialists.rules import CONTINUE, GENERALIST, RULES, URGENT
from arbiter.specialists.shipped import CONTEXT

GREATEST_NUMBER: Final = 400

BEGIN: Final = "<|begin|>"
END: Final = "<|end|>"
PAD: Final = "<|pad|>"
USER: Final = "<|user|>"
ASSISTANT: Final = "<|assistant|>"

# One for each view in the base's training; adapters make them superfluous and no prompt holds one.
VIEWS: Final = {name: f"<|{name}|>" for name in RULES}

# A mark's own text in a case is escaped by the prompt; the template adds the only ones that a model sees.
TEMPLATE: Final = (
    BEGIN + "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)

# Where a schema forces bytes, guidance forces their tokens too, as the tokenizer cuts them, unless one of the last few could
# go on as a longer token. An answer's first bytes are forced; cut into one token, which the pieces below go on from, they
# leave the choice to the model. No answer that is trained has it, so its place in the vocabulary is a mark's.
OPENING: Final = '{"evidence":['

_PIECES: Final = (
    '{"evidence":[{"fact":"',
    '","value":"',
    '"},{"fact":"',
    '"}],"option":"',
    '{"evidence":[],"option":"',
    '"}',
)


def _whole_tokens() -> list[str]:
    lines = [f"\n{name}{BRIEF_V1.separator}" for name in NAMES]
    codes = dict.fromkeys(code for codes in CODES.values() for code in codes)
    numbers = [str(number) for number in range(10, GREATEST_NUMBER + 1)]
    tenths = [f".{tenth}" for tenth in range(10)]
    options = [URGENT, CONTINUE, ABSTAIN]
    return [*numbers, *tenths, *NAMES, *lines, *codes, *options, *_PIECES, BRIEF_V1.header]


def make_tokenizer(*, served: bool) -> PreTrainedTokenizerFast:
    """Return the tokenizer, the same each time: as training needs it, or as vLLM does.

    Served, the generalist's mark gives its place to the answer's opening; texts of cases and answers are cut alike by both.
    """
    special = [BEGIN, END, PAD, USER, ASSISTANT, *VIEWS.values()]
    whole = _whole_tokens()
    if served:
        special[special.index(VIEWS[GENERALIST.name])] = OPENING
        whole.append(OPENING)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: place for place, token in enumerate([*special, *alphabet])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    marks = [token for token in special if token != OPENING]
    raw.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in marks])
    raw.add_tokens([AddedToken(token, normalized=False) for token in whole])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        chat_template=TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def save_tokenizer(folder: Path) -> None:
    """Write the files of the tokenizer as it is served."""
    make_tokenizer(served=True).save_pretrained(folder)
