"""Sentence embeddings for evaluations: exact, and as the encrypted program is predicted to return them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.models.minilm.recipe import compile_sentence_encoder
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.encoder import EncoderRanges
from aegis_fhe.program.encoder.simulate import SimulatedEncoder
from aegis_fhe.program.simulate.noise import Noise
from aegis_fhe.program.simulate.outside import Outside

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SentenceModels:
    """One sentence encoder, its program, and the simulation of that on whole texts.

    Texts are cut to the program's tokens for all three. Embeddings have length 1.
    """

    encoder: TextEncoder
    program: CompiledProgram
    simulated: SimulatedEncoder

    @classmethod
    def of(cls, encoder: TextEncoder, ranges: EncoderRanges) -> SentenceModels:
        """Compiles the encoder."""
        program = compile_sentence_encoder(encoder, ranges=ranges)
        layers, head = encoder.parts()
        simulated = SimulatedEncoder.of(layers, ranges, max_tokens=program.max_tokens, head=head)
        return cls(encoder=encoder, program=program, simulated=simulated)

    def hidden(self, text: str) -> Array:
        """What the client would encrypt, [tokens, features]."""
        return self.encoder.embed(self.encoder.token_ids(text, limit=self.program.max_tokens))

    def exact(self, hidden: Array) -> Array:
        """By PyTorch in float32."""
        return unit(self.encoder.sentence(hidden))

    def on_slots(self, hidden: Array, *, seed: int) -> Array:
        """By `run_simulated`."""
        return unit(self.program.run_simulated(hidden, seed=seed).hidden[0])

    def on_text(self, hidden: Array, noise: Noise) -> tuple[Array, bool]:
        """By `SimulatedEncoder`, and whether a value left its calibrated range on the way."""
        outside = Outside()
        result = self.simulated(hidden, noise, outside)[0]
        return unit(result), bool(outside.messages())


def unit(x: Array) -> Array:
    """x / |x|; zeros, which are similar to nothing, where polynomials outside their range exploded."""
    length = float(np.linalg.norm(x))
    return x / length if np.isfinite(length) and length > 0 else np.zeros_like(x)
