"""The specialists without vLLM: `python -m arbiter.specialists.reference FOLDER CASES` writes each one's greedy answers.

A second implementation (transformers, and the adapters as training had them) of what vLLM serves: for many cases where vLLM's
CPU build is slow, and to hold vLLM's answers against. Runs with the Python of vLLM's environment; nothing forces a schema.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from arbiter.specialists.dialogue import case_text
from arbiter.specialists.lora import adapt
from arbiter.specialists.puts import SEED, usual
from arbiter.specialists.rules import RULES
from arbiter.specialists.vocabulary import ASSISTANT, BEGIN, END, USER

TOGETHER: Final = 256
MOST_TOKENS: Final = 160


def specialist(weights: Path, name: str) -> LlamaForCausalLM:
    """Return the base with that adapter beside it."""
    model = LlamaForCausalLM.from_pretrained(weights / "base", dtype=torch.float32)
    told = load_file(weights / "adapters" / name / "adapter_model.safetensors")
    with torch.no_grad():
        for place, adapter in adapt(model, seed=0).items():
            adapter.lora_A.copy_(told[f"base_model.model.{place}.lora_A.weight"])
            adapter.lora_B.copy_(told[f"base_model.model.{place}.lora_B.weight"])
    return model


def answers(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, cases: Sequence[str]
) -> Iterator[tuple[int, str]]:
    """Yield the place and the greedy answer of each case. Cases of one length go together, so nothing is padded."""
    by_length: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
    for at, case in enumerate(cases):
        ids = tokenizer(f"{BEGIN}{USER}{case}{ASSISTANT}", add_special_tokens=False)["input_ids"]
        by_length[len(ids)].append((at, ids))
    for length, alike in sorted(by_length.items()):
        for start in range(0, len(alike), TOGETHER):
            some = alike[start : start + TOGETHER]
            prompts = torch.tensor([ids for _, ids in some])
            with torch.inference_mode():
                drawn = model.generate(
                    prompts,
                    attention_mask=torch.ones_like(prompts),
                    do_sample=False,
                    max_new_tokens=MOST_TOKENS,
                    use_cache=True,
                )
            for (at, _), ids in zip(some, drawn[:, length:].tolist(), strict=True):
                yield at, tokenizer.decode(ids).partition(END)[0]


def main(arguments: Sequence[str]) -> None:
    """Write a JSON object a line: member, the case's place, the answer's text."""
    torch.set_num_threads(1)
    weights, cases = Path(arguments[0]), int(arguments[1])
    tokenizer = PreTrainedTokenizerFast.from_pretrained(weights / "base")
    texts = [case_text(sorted(put.patient.facts)) for put in usual(cases, SEED + 1)]
    for name in RULES:
        model = specialist(weights, name)
        for at, text in answers(model, tokenizer, texts):
            sys.stdout.write(json.dumps({"member": name, "at": at, "text": text}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
