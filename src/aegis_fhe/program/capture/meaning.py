"""The right operators can still be put together wrongly: network and module are compared on random inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture.exported import call_arguments, choose
from aegis_fhe.program.network import Network, evaluate

Array = NDArray[np.float64]
Embed = Callable[[Sequence[int]], Array]

# float32 against float64 through all layers; another formula is off by far more.
TOLERANCE = 1e-3


def check_meaning(
    network: Network,
    weights: Mapping[str, Array],
    embed: Embed | None,
    module: torch.nn.Module,
    example: torch.Tensor,
    output: str | None,
) -> None:
    """Compares at the example's length and at half of it: masks, tables and tokens must follow the length.

    Raises UnsupportedModuleError when the results differ.
    """
    generator = torch.Generator().manual_seed(0)
    for tokens in (example.shape[1], max(2, example.shape[1] // 2)):
        given = _random_input(example, tokens, generator)
        hidden = given[0].double().numpy() if embed is None else embed(given[0].tolist())
        with torch.no_grad():
            result = choose(module(given, **call_arguments(module)), output).double().numpy()
        found = evaluate(network, weights, hidden)
        expected = result.reshape(-1, result.shape[-1])
        difference = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
        if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise UnsupportedModuleError(
                f"{type(module).__name__}: the network read from it computes something else (off by "
                f"{difference:.3g} on {tokens} random tokens); "
                "the module must treat texts of every length alike"
            )


def _random_input(example: torch.Tensor, tokens: int, generator: torch.Generator) -> torch.Tensor:
    if example.is_floating_point():
        return torch.randn(1, tokens, example.shape[2], generator=generator, dtype=example.dtype)
    # Ids are drawn from the example's: their range is all that is known of the vocabulary.
    drawn = torch.randint(0, int(example.max()) + 1, (1, tokens), generator=generator)
    return drawn.to(example.dtype)
