"""Tiny models of random weights (32 features, 2 layers), unmodified, and what they compute in float32."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from aegis_fhe.program.capture import CapturedNetwork
from aegis_fhe.program.network import evaluate

VOCABULARY = 50


def randomised(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights far from their start values: norms scale, biases shift, scores are peaked."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.normal_(0.0, 0.2, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.add_(1.0)
    return module.eval()


def token_ids(tokens: int, seed: int = 1) -> torch.Tensor:
    """[1, tokens]; the largest id is among them."""
    ids = torch.randint(0, VOCABULARY, (1, tokens), generator=torch.Generator().manual_seed(seed))
    ids[0, -1] = VOCABULARY - 1
    return ids


def counts(captured: CapturedNetwork) -> dict[str, int]:
    """Number of nodes by type."""
    return dict(Counter(type(node.operator).__name__ for node in captured.network.nodes))


def evaluated(captured: CapturedNetwork, ids: torch.Tensor) -> np.ndarray:
    """What was captured, on token ids [1, n]."""
    return evaluate(captured.network, captured.weights, captured.embed(ids[0].tolist()))
