"""Makes a small Llama with random weights, its tokenizer and three LoRA adapters; run by the vLLM environment's Python.

    python make_model.py FOLDER

The model knows nothing and nothing is trained. Left to itself it writes noise in whatever shape the server forces on it.
Two adapters have a few weights set by hand, so that a panel also hears a model that votes and one that abstains: the
vocabulary holds two whole answers, and each of these adapters turns the start of an answer toward one of them. The third
adapter changes nothing and stands for the model itself, which never sits under its own name: requests to it that share
a batch with an adapter's get wrong logits.

Guarantees: the same seed gives the same bytes of every file with weights.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SEED: Final = 20260301
VOCABULARY: Final = 1_300
CONTEXT: Final = 8_192
HIDDEN: Final = 128
HEAD: Final = 32
HEADS: Final = 4
KEY_HEADS: Final = 2
INNER: Final = 256
LAYERS: Final = 2
RANK: Final = 8

# Wider than what training starts from (0.02): narrower weights choose every token about evenly.
SPREAD: Final = 0.08

VOTE: Final = (
    '{"evidence":[{"fact":"consciousness","value":"alert","finding":"set by hand"}],"missing":[],'
    '"rationale":"Set by hand.","option":"urgent-review","confidence":80,"consult":[]}'
)
ABSTENTION: Final = '{"evidence":[],"missing":["lactate"],"rationale":"Set by hand.","option":"abstain","confidence":50,"consult":[]}'
ADAPTERS: Final = {"voting": VOTE, "abstaining": ABSTENTION, "unchanged": None}
"""Each adapter with the answer that it gives every time, if it gives one."""

# Directions of the hidden state that random weights leave alone. Only the token before an answer has the first; an
# adapter adds the one after it that its answer's token listens to.
_START: Final = 0
_RESERVED: Final = 1 + len(ADAPTERS)
_LOUD: Final = 40.0

_PROJECTIONS: Final = {
    "self_attn.q_proj": (HIDDEN, HEADS * HEAD),
    "self_attn.k_proj": (HIDDEN, KEY_HEADS * HEAD),
    "self_attn.v_proj": (HIDDEN, KEY_HEADS * HEAD),
    "self_attn.o_proj": (HEADS * HEAD, HIDDEN),
    "mlp.gate_proj": (HIDDEN, INNER),
    "mlp.up_proj": (HIDDEN, INNER),
    "mlp.down_proj": (INNER, HIDDEN),
}

_TEMPLATE: Final = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPECIAL: Final = ("<|begin|>", "<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>")

_TEXT: Final = (
    "the patient on ward seven breathes with effort and answers to voice temperature saturation pressure oxygen rate "
    "urgent review continue monitoring as planned evidence cites a fact with its value and says what was found "
    "abstain missing consult rationale confidence option respiratory heart systolic diastolic consciousness alert "
    "new confusion age years units minutes observed source panel member question answer only from these facts json"
)
_WORDS: Final = _TEXT.split()


def _made_up_text() -> list[str]:
    """Return sentences, numbers and JSON about nobody."""
    chance = random.Random(SEED)
    lines = []
    for _ in range(2_000):
        words = chance.choices(_WORDS, k=chance.randint(4, 14))
        lines.append(" ".join(words) + f" {chance.randint(1, 240)}.{chance.randint(0, 9)}")
        lines.append(
            json.dumps({chance.choice(_WORDS): chance.choice(words), "value": str(chance.randint(1, 240))})
        )
    return lines


def _save_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        _made_up_text(), VOCABULARY, min_frequency=2, special_tokens=list(_SPECIAL), show_progress=False
    )
    trained.add_tokens([AddedToken(answer, normalized=False) for answer in ADAPTERS.values() if answer])
    raw = folder / "tokenizer.json"
    trained.save(str(raw))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(raw),
        bos_token="<|begin|>",
        eos_token="<|end|>",
        pad_token="<|pad|>",
        chat_template=_TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def _save_model(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        head_dim=HEAD,
        max_position_embeddings=CONTEXT,
        initializer_range=SPREAD,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="bfloat16",
    )
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        _reserve_directions(model, tokenizer)
    model.to(torch.bfloat16).save_pretrained(folder)


def _reserve_directions(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    embedding, reading = model.model.embed_tokens.weight, model.lm_head.weight
    embedding[:, :_RESERVED] = 0
    embedding[tokenizer.convert_tokens_to_ids("<|assistant|>")] = 0
    embedding[tokenizer.convert_tokens_to_ids("<|assistant|>"), _START] = _LOUD
    reading[:, 1:_RESERVED] = 0
    for direction, answer in enumerate(ADAPTERS.values(), start=1):
        if answer is not None:
            token = tokenizer.convert_tokens_to_ids(answer)
            reading[token] = 0
            # Unheard at an answer's start unless an adapter speaks up for it.
            reading[token, _START] = -4.0
            reading[token, direction] = 16.0


def _save_adapter(folder: Path, base: Path, direction: int, answer: str | None) -> None:
    """Write an adapter in the layout of the `peft` library, which vLLM reads."""
    folder.mkdir(parents=True)
    chance = torch.Generator().manual_seed(SEED + direction)
    weights = {}
    for layer in range(LAYERS):
        for projection, (inward, outward) in _PROJECTIONS.items():
            place = f"base_model.model.model.layers.{layer}.{projection}"
            weights[f"{place}.lora_A.weight"] = torch.randn(RANK, inward, generator=chance) / inward**0.5
            weights[f"{place}.lora_B.weight"] = torch.zeros(outward, RANK)
    if answer is not None:
        last = f"base_model.model.model.layers.{LAYERS - 1}.mlp"
        # One neuron that the start of an answer excites, and that adds the answer's direction.
        for projection, taken, given, strength in (
            ("gate_proj", _START, 0, 0.5),
            ("up_proj", _START, 0, 0.5),
            ("down_proj", 0, direction, 0.25),
        ):
            weights[f"{last}.{projection}.lora_A.weight"][0] = 0
            weights[f"{last}.{projection}.lora_A.weight"][0, taken] = 1
            weights[f"{last}.{projection}.lora_B.weight"][given, 0] = strength
    save_file(weights, folder / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.name,
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": [projection.rpartition(".")[2] for projection in _PROJECTIONS],
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")


def main(folder: Path) -> None:
    """Write `model/` and `adapters/NAME/` under the folder."""
    model = folder / "model"
    model.mkdir(parents=True)
    _save_model(model, _save_tokenizer(model))
    for direction, (name, answer) in enumerate(ADAPTERS.items(), start=1):
        _save_adapter(folder / "adapters" / name, model, direction, answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
