"""From a PyTorch module to an encrypted program: capture, layers, compilation."""

from __future__ import annotations

import torch

from aegis_fhe.circuits.bootstrap import BootstrapPlan
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.encoder.compile import compile_encoder
from aegis_fhe.program.encoder.layer import encoder_layers
from aegis_fhe.program.encoder_ranges import EncoderRanges


def compile(
    module: torch.nn.Module,
    example: torch.Tensor,
    ranges: EncoderRanges,
    *,
    output: str | None = None,
    max_tokens: int | None = None,
    mean: bool = False,
    bootstrap: BootstrapPlan | None = None,
) -> CompiledProgram:
    """Compiles an unmodified post-norm encoder: Hugging Face's `BertModel`, `torch.nn.TransformerEncoder`.

    example, output: as of `capture_network`, token ids [1, n] or hidden states [1, n, features]. ranges: from
    `calibrate_encoder`. max_tokens: by default n. mean: the result is the mean over the text's tokens, also
    where the module itself ends with it. bootstrap: as of `compile_encoder`. Raises UnsupportedModuleError
    naming the module path of what does not fit, LayoutError, LevelError.
    """
    captured = capture_network(module, example, output=output)
    layers, has_mean = encoder_layers(captured.network, captured.weights)
    return compile_encoder(
        layers,
        ranges,
        max_tokens=int(example.shape[1]) if max_tokens is None else max_tokens,
        mean=mean or has_mean,
        bootstrap=bootstrap,
        origin=type(module).__name__,
    )
