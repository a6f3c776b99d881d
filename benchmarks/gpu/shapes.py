"""Models of a known shape and no knowledge: a configuration, a tokenizer of the right size, and LoRA adapters of noise.

The base's weights are never written: vLLM makes them at random in the shape of the configuration (`--load-format dummy`),
as its own benchmarks do. What a step costs does not depend on what the weights say. The shapes are those of the published
configurations of Llama 3.2 1B and Llama 3.1 8B; `tiny` is for a machine without a GPU.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CONTEXT: Final = 4_096
RANK: Final = 16
_TRAINED: Final = 1_300
_SPECIAL: Final = ("<|begin|>", "<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>")
_TEMPLATE: Final = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_TEXT: Final = (
    "the patient breathes with effort and answers to voice temperature saturation pressure oxygen rate urgent review "
    "continue monitoring as planned evidence cites a fact with its value and says what was found missing consult "
    "rationale confidence option respiratory heart systolic diastolic consciousness alert new age years units minutes"
)
WORDS: Final = _TEXT.split()


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of a Llama."""

    name: str
    hidden: int
    inner: int
    layers: int
    heads: int
    key_heads: int
    head: int
    vocabulary: int
    tied: bool

    @property
    def cache_bytes_a_token(self) -> int:
        """Keys and values of every layer in 16 bits."""
        return 2 * 2 * self.layers * self.key_heads * self.head

    def config(self) -> dict[str, Any]:
        """Return `config.json`."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_heads,
            "head_dim": self.head,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": CONTEXT,
            "rope_theta": 500_000.0,
            "rms_norm_eps": 1e-5,
            "hidden_act": "silu",
            "tie_word_embeddings": self.tied,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 2,
            "torch_dtype": "bfloat16",
        }

    def projections(self) -> dict[str, tuple[int, int]]:
        """Return each projection that an adapter changes, with what goes in and what comes out."""
        return {
            "self_attn.q_proj": (self.hidden, self.heads * self.head),
            "self_attn.k_proj": (self.hidden, self.key_heads * self.head),
            "self_attn.v_proj": (self.hidden, self.key_heads * self.head),
            "self_attn.o_proj": (self.heads * self.head, self.hidden),
            "mlp.gate_proj": (self.hidden, self.inner),
            "mlp.up_proj": (self.hidden, self.inner),
            "mlp.down_proj": (self.inner, self.hidden),
        }


SHAPES: Final = {
    shape.name: shape
    for shape in (
        Shape("tiny", 128, 256, 2, 4, 2, 32, 2_048, tied=False),
        Shape("1b", 2_048, 8_192, 16, 32, 8, 64, 128_256, tied=True),
        Shape("8b", 4_096, 14_336, 32, 32, 8, 128, 128_256, tied=False),
    )
}


def adapter_name(number: int) -> str:
    """Return the name under which an adapter is asked."""
    return f"specialist-{number:02d}"


def make_model(shape: Shape, folder: Path) -> None:
    """Write the model's folder, but for the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(shape.config(), indent=2), "utf-8")
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(shape.vocabulary)), "utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": _SPECIAL[0],
        "eos_token": _SPECIAL[1],
        "pad_token": _SPECIAL[2],
        "chat_template": _TEMPLATE,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), "utf-8")


def _tokenizer(size: int) -> dict[str, Any]:
    """Return a byte-level tokenizer that knows `WORDS`, filled up with tokens that no text comes to.

    The size counts: what a step costs in the last layer, in sampling and in constrained decoding grows with it.
    """
    from tokenizers import ByteLevelBPETokenizer  # noqa: PLC0415 - of vLLM's environment

    chance = random.Random(1)
    lines = [" ".join(chance.choices(WORDS, k=12)) + f" {chance.randint(1, 240)}" for _ in range(2_000)]
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        lines, min(_TRAINED, size), min_frequency=2, special_tokens=list(_SPECIAL), show_progress=False
    )
    document: dict[str, Any] = json.loads(trained.to_str())
    vocabulary = document["model"]["vocab"]
    for number in range(len(vocabulary), size):
        vocabulary[f"w{number:06d}"] = number
    return document


def make_adapter(shape: Shape, folder: Path, seed: int) -> None:
    """Write an adapter of noise in the layout of the `peft` library, which vLLM reads."""
    import torch  # noqa: PLC0415 - of vLLM's environment
    from safetensors.torch import save_file  # noqa: PLC0415 - as above

    folder.mkdir(parents=True, exist_ok=True)
    chance = torch.Generator().manual_seed(seed)

    def noise(rows: int, columns: int) -> Any:
        return (torch.randn(rows, columns, generator=chance) / columns**0.5).to(torch.bfloat16)

    weights = {}
    for layer in range(shape.layers):
        for projection, (inward, outward) in shape.projections().items():
            place = f"base_model.model.model.layers.{layer}.{projection}"
            weights[f"{place}.lora_A.weight"] = noise(RANK, inward)
            weights[f"{place}.lora_B.weight"] = noise(outward, RANK)
    save_file(weights, folder / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": shape.name,
        "r": RANK,
        "lora_alpha": RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": sorted({name.rpartition(".")[2] for name in shape.projections()}),
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2), "utf-8")
