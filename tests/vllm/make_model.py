"""Makes a small Llama with random weights, its tokenizer and its LoRA adapters; run by the vLLM environment's Python.

    python make_model.py FOLDER

Guarantees: the same seed gives the same bytes of every file with weights. The model knows nothing: what it says is
noise in the shape the server forces on it, which is what a panel must be able to take.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer
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

ADAPTERS: Final = {"ward": 0.05, "outreach": 0.2, "base": 0.0}
"""How far each adapter's B matrices spread. Zero leaves the model as it is: the base never sits under its own name,
since requests to it that share a batch with an adapter's get wrong logits."""

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
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
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
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


def _save_adapter(folder: Path, base: Path, name: str, spread: float) -> None:
    """Write an adapter in the layout of the `peft` library, which vLLM reads."""
    folder.mkdir()
    chance = torch.Generator().manual_seed(SEED + sorted(ADAPTERS).index(name) + 1)
    weights = {}
    for layer in range(LAYERS):
        for projection, (inward, outward) in _PROJECTIONS.items():
            place = f"base_model.model.model.layers.{layer}.{projection}"
            weights[f"{place}.lora_A.weight"] = torch.randn(RANK, inward, generator=chance) / inward**0.5
            weights[f"{place}.lora_B.weight"] = torch.randn(outward, RANK, generator=chance) * spread
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
    for name, spread in ADAPTERS.items():
        adapters = folder / "adapters"
        adapters.mkdir(exist_ok=True)
        _save_adapter(adapters / name, model, name, spread)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
