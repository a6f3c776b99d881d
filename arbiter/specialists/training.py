"""Trains the base and its adapters: `python -m arbiter.specialists.training FOLDER`, with the Python of vLLM's environment.

Guarantees: every draw is seeded and every schedule counts steps, on one thread; so the same machine and the same versions
give the same bytes of every file. A run on another processor gives other weights that do as well.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from arbiter.specialists.lessons import Lesson, lessons
from arbiter.specialists.lora import adapt, save_adapter
from arbiter.specialists.muon import Muon
from arbiter.specialists.rules import RULES
from arbiter.specialists.shipped import CONTEXT
from arbiter.specialists.vocabulary import ASSISTANT, BEGIN, END, USER, VIEWS, make_tokenizer, save_tokenizer

SEED: Final = 20261126
BATCH: Final = 64
POOL: Final = 16
"""Batches drawn at a time and sorted by length, so that little of a batch is padding."""

HIDDEN: Final = 128
INNER: Final = 320
LAYERS: Final = 4
HEADS: Final = 4
WARMING_SHARE: Final = 0.06
NAMED_VIEWS: Final = 0.75
"""The share of the base's lessons that say whose answer is wanted; in the others it is any of them."""

IGNORED: Final = -100


@dataclass(frozen=True, slots=True)
class Plan:
    """How many steps, and how large they are at most."""

    base_steps: int = 1_100
    base_rate: float = 4e-3
    adapter_steps: int = 100
    adapter_rate: float = 4e-3


def base_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return the base with its starting weights."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HIDDEN // HEADS,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        use_cache=False,
        dtype="float32",
    )
    return LlamaForCausalLM(config)


def batches(
    drawn: Iterator[Lesson], spell: Callable[[Lesson], tuple[list[int], list[int]]], seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield token ids and labels, padded at the end; only the answer's tokens are labelled."""
    chance = Random(seed)
    while True:
        spelt = sorted((spell(lesson) for lesson in islice(drawn, BATCH * POOL)), key=_length)
        together = [spelt[at : at + BATCH] for at in range(0, len(spelt), BATCH)]
        chance.shuffle(together)
        for batch in together:
            longest = _length(batch[-1])
            ids = [[*case, *answer, *[0] * (longest - _length((case, answer)))] for case, answer in batch]
            labels = [
                [*[IGNORED] * len(case), *answer, *[IGNORED] * (longest - _length((case, answer)))]
                for case, answer in batch
            ]
            yield torch.tensor(ids), torch.tensor(labels)


def _length(spelt: tuple[list[int], list[int]]) -> int:
    return len(spelt[0]) + len(spelt[1])


def _speller(
    tokenizer: PreTrainedTokenizerFast, named: float, seed: int
) -> Callable[[Lesson], tuple[list[int], list[int]]]:
    """Return what turns a lesson into tokens, as the chat template does; a share of cases begins with its view's mark."""
    chance = Random(seed)

    def spell(lesson: Lesson) -> tuple[list[int], list[int]]:
        view = VIEWS[lesson.rule] if chance.random() < named else ""
        case = f"{BEGIN}{view}{USER}{lesson.case}{ASSISTANT}"
        texts = (case, lesson.answer + END)
        case_ids, answer_ids = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts)
        return case_ids, answer_ids

    return spell


def train(
    model: LlamaForCausalLM,
    optimisers: Sequence[Muon | torch.optim.AdamW],
    feed: Iterator[tuple[torch.Tensor, torch.Tensor]],
    steps: int,
    told: str,
) -> None:
    """Take so many steps, the rate rising at first and then falling to nothing."""
    rates = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]
    began = time.monotonic()
    for step in range(steps):
        share = _rate_share(step, steps)
        for optimiser, starts in zip(optimisers, rates, strict=True):
            for group, start in zip(optimiser.param_groups, starts, strict=True):
                group["lr"] = start * share
        ids, labels = next(feed)
        loss = _loss(model, ids, labels)
        model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        for optimiser in optimisers:
            optimiser.step()
        if step % 50 == 0 or step == steps - 1:
            _say(f"{told} step {step} loss {loss.item():.4f} {time.monotonic() - began:.0f} s")


def _loss(model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss on the labelled tokens; only their places are turned into words."""
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    asked = wanted != IGNORED
    return nn.functional.cross_entropy(model.lm_head(hidden[asked]), wanted[asked])


def _rate_share(step: int, steps: int) -> float:
    warming = max(1, int(steps * WARMING_SHARE))
    if step < warming:
        return (step + 1) / warming
    return 0.5 * (1 + math.cos(math.pi * (step - warming) / (steps - warming)))


def train_base(folder: Path, plan: Plan) -> None:
    """Train the base on all views and write it in bfloat16, with the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(folder)
    tokenizer = make_tokenizer(served=False)
    torch.manual_seed(SEED)
    model = base_model(tokenizer)
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimisers = (
        Muon(matrices, plan.base_rate, decay=0.01),
        torch.optim.AdamW(rest, lr=plan.base_rate, betas=(0.9, 0.98), weight_decay=0.0),
    )
    drawn = lessons(SEED, tuple(RULES.values()))
    feed = batches(drawn, _speller(tokenizer, NAMED_VIEWS, SEED), SEED)
    train(model, optimisers, feed, plan.base_steps, "base")
    model.to(torch.bfloat16).save_pretrained(folder)


def train_adapter(folder: Path, base: Path, name: str, plan: Plan) -> None:
    """Train one adapter on the base as it was written, on its own view alone, which no mark names."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    seed = SEED + 1 + list(RULES).index(name)
    model = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.config.use_cache = False
    adapters = adapt(model, seed)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimisers = (torch.optim.AdamW(trained, lr=plan.adapter_rate, betas=(0.9, 0.98), weight_decay=0.0),)
    feed = batches(lessons(seed, (RULES[name],)), _speller(tokenizer, 0.0, seed), seed)
    train(model, optimisers, feed, plan.adapter_steps, name)
    save_adapter(folder, adapters, base.name)


def main(arguments: Sequence[str]) -> None:
    """Train everything into a folder; a second argument shortens all by that factor, to try the script."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    folder = Path(arguments[0])
    shorter = int(arguments[1]) if len(arguments) > 1 else 1
    plan = Plan()
    plan = Plan(plan.base_steps // shorter, plan.base_rate, plan.adapter_steps // shorter, plan.adapter_rate)
    train_base(folder / "base", plan)
    for name in RULES:
        train_adapter(folder / "adapters" / name, folder / "base", name, plan)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
