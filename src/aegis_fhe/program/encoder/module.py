"""From a PyTorch module to an encrypted program: capture, layers, compilation."""

from __future__ import annotations

import torch

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.encoder.compile import compile_encoder
from aegis_fhe.program.encoder.layer import encoder_layers
from aegis_fhe.program.encoder_ranges import EncoderRanges
from aegis_fhe.program.returns import HiddenStates, TokenMean


def compile(
    module: torch.nn.Module,
    example: torch.Tensor,
    ranges: EncoderRanges,
    *,
    output: str | None = None,
    max_tokens: int | None = None,
    head: TokenMean | None = None,
    bootstrap: BootstrapPlan | None = None,
) -> CompiledProgram:
    """Compiles an unmodified post-norm encoder: Hugging Face's `BertModel`, `BertForSequenceClassification`,
    `torch.nn.TransformerEncoder`.

    example, output: as of `capture_network`, token ids [1, n] or hidden states [1, n, features]. ranges: from
    `calibrate_encoder`. max_tokens: by default n. head: TokenMean() for the mean over the text's tokens where
    the module returns hidden states; by default what the module itself ends with, logits included. bootstrap:
    as of `compile_encoder`. Raises UnsupportedModuleError naming the module path of what does not fit,
    LayoutError, LevelError, RangeError.
    """
    captured = capture_network(module, example, output=output)
    layers, found = encoder_layers(captured.network, captured.weights)
    if head is not None and not isinstance(found, (HiddenStates, TokenMean)):
        raise UnsupportedModuleError("the module has a head of its own: compile it without another")
    return compile_encoder(
        layers,
        ranges,
        max_tokens=int(example.shape[1]) if max_tokens is None else max_tokens,
        head=found if head is None else head,
        bootstrap=bootstrap,
        origin=type(module).__name__,
    )
