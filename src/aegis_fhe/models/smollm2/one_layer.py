"""One decoder layer by itself: what comes before it, what it computes, its ranges and its program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.errors import RangeError
from aegis_fhe.models.network_calibration import calibrate_network
from aegis_fhe.models.smollm2.checkpoint import SmolLM2
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.long.compile import LongProgram, compile_decoder_layer
from aegis_fhe.program.long.decoder import DecoderLayer, decoder_layers
from aegis_fhe.program.long.shape_program import Packing
from aegis_fhe.program.network import Network, evaluate, part_of
from aegis_fhe.program.network.graph import INPUT
from aegis_fhe.program.network.operators import Weights
from aegis_fhe.program.simulate import NetworkRanges

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class OneLayer:
    """before: from embeddings to the layer's input; own: the layer. public_tokens: at each text's start."""

    before: Network
    own: Network
    weights: Weights
    layer: DecoderLayer
    public_tokens: int

    @classmethod
    def of(cls, language: SmolLM2, index: int, *, tokens: int, public_tokens: int) -> OneLayer:
        """Layer `index` from 0, for texts of up to `tokens` tokens. Raises RangeError without such one."""
        captured = capture_network(language.model.model, torch.arange(tokens)[None])
        found = decoder_layers(captured.network, captured.weights)
        if index not in range(len(found)):
            raise RangeError(f"layer {index}: the model has layers 0 to {len(found) - 1}")
        names = found[index].values
        own = part_of(captured.network, names["input"], names["result"])
        (layer,) = decoder_layers(own, captured.weights)
        return cls(
            before=part_of(captured.network, INPUT, names["input"]),
            own=own,
            weights=captured.weights,
            layer=layer,
            public_tokens=public_tokens,
        )

    def states(self, embedded: Array) -> Array:
        """Hidden states [tokens, features] before the layer, in float64."""
        return evaluate(self.before, self.weights, embedded)

    def exact(self, states: Array) -> Array:
        """What the layer makes of hidden states before it, in float64."""
        return evaluate(self.own, self.weights, states)

    def calibrate(self, texts: Sequence[Array], *, origin: str) -> NetworkRanges:
        """Ranges on hidden states before the layer, those of public tokens left out."""
        return calibrate_network(
            self.own, self.weights, texts, public_tokens=self.public_tokens, origin=origin
        )

    def compile(
        self,
        ranges: NetworkRanges,
        states: Array,
        *,
        tokens: int,
        bootstrap: BootstrapPlan,
        packing: Packing | None = None,
    ) -> LongProgram:
        """The layer's program; states: before it, of any text, as public tokens are alike in all."""
        return compile_decoder_layer(
            self.layer,
            ranges,
            tokens=tokens,
            bootstrap=bootstrap,
            public=states[: self.public_tokens],
            packing=packing,
        )
