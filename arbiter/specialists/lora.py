"""Low-rank adapters on a frozen model (arXiv 2106.09685), saved in the layout of the `peft` library, which vLLM reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import LlamaForCausalLM

RANK: Final = 8
ALPHA: Final = 16
PROJECTIONS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Adapted(nn.Module):  # type: ignore[misc] # torch lies in vLLM's environment alone
    """A frozen linear map with a low-rank one beside it that starts as zero."""

    def __init__(self, frozen: nn.Linear, chance: torch.Generator) -> None:
        super().__init__()
        self.frozen = frozen
        start = torch.randn(RANK, frozen.in_features, generator=chance) / frozen.in_features**0.5
        self.lora_A = nn.Parameter(start)
        self.lora_B = nn.Parameter(torch.zeros(frozen.out_features, RANK))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return both maps' sum."""
        return self.frozen(inputs) + (ALPHA / RANK) * ((inputs @ self.lora_A.T) @ self.lora_B.T)


def adapt(model: LlamaForCausalLM, seed: int) -> dict[str, Adapted]:
    """Freeze the model, put an adapter on each projection and return them by place."""
    model.requires_grad_(requires_grad=False)
    chance = torch.Generator().manual_seed(seed)
    placed = {}
    for place, module in list(model.named_modules()):
        parent, _, name = place.rpartition(".")
        if name in PROJECTIONS and isinstance(module, nn.Linear):
            placed[place] = Adapted(module, chance)
            setattr(model.get_submodule(parent), name, placed[place])
    return placed


def save_adapter(folder: Path, adapters: dict[str, Adapted], base: str) -> None:
    """Write the adapter's weights in bfloat16 and its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {}
    for place, adapter in adapters.items():
        for part in ("lora_A", "lora_B"):
            name = f"base_model.model.{place}.{part}.weight"
            weights[name] = getattr(adapter, part).detach().to(torch.bfloat16).contiguous()
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": RANK,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": list(PROJECTIONS),
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
