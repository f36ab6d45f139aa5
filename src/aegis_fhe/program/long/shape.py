"""What a Transformer layer is without its weights, and the ranges and degrees of its approximations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aegis_fhe.errors import LayoutError
from aegis_fhe.program.network import Gelu, Silu
from aegis_fhe.program.ranges import Interval


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """Attention and a feed-forward network, each with a residual and a norm, before it or after the sum.

    hidden: units of the feed-forward network. gated: SiLU(gate) * up, else GELU(up), by its tanh form where
    `tanh`. biases: of the linear layers. rotary: positions are rotations of queries and keys.
    """

    features: int
    heads: int
    key_value_heads: int
    head_dim: int
    hidden: int
    norm: Literal["layer", "rms"]
    pre_norm: bool
    gated: bool
    causal: bool
    rotary: bool
    biases: bool
    epsilon: float = 1e-5
    tanh: bool = False

    def __post_init__(self) -> None:
        if self.heads % self.key_value_heads:
            raise LayoutError(
                f"{self.heads} heads cannot share {self.key_value_heads} key-value heads evenly"
            )
        if self.rotary and self.head_dim % 2:
            raise LayoutError(f"rotary positions need an even head_dim, got {self.head_dim}")

    @property
    def activation(self) -> Gelu | Silu:
        """The function of the feed-forward network."""
        return Silu() if self.gated else Gelu(tanh=self.tanh)

    @classmethod
    def encoder(cls, *, features: int, heads: int, hidden: int) -> LayerShape:
        """As BERT: LayerNorm after the sums, GELU, biases."""
        return cls(
            features=features,
            heads=heads,
            key_value_heads=heads,
            head_dim=features // heads,
            hidden=hidden,
            norm="layer",
            pre_norm=False,
            gated=False,
            causal=False,
            rotary=False,
            biases=True,
        )

    @classmethod
    def decoder(
        cls, *, features: int, heads: int, key_value_heads: int, head_dim: int, hidden: int
    ) -> LayerShape:
        """As LLaMA: RMSNorm before, rotary positions, shared keys and values, SwiGLU."""
        return cls(
            features=features,
            heads=heads,
            key_value_heads=key_value_heads,
            head_dim=head_dim,
            hidden=hidden,
            norm="rms",
            pre_norm=True,
            gated=True,
            causal=True,
            rotary=True,
            biases=False,
        )


BERT_BASE = LayerShape.encoder(features=768, heads=12, hidden=3072)
SMOLLM2_135M = LayerShape.decoder(features=576, heads=9, key_value_heads=3, head_dim=64, hidden=1536)


@dataclass(frozen=True, kw_only=True)
class Degrees:
    """Of the polynomials; those one below a power of two use their levels in full.

    squarings: of exp, newton_steps: of 1/D, after their polynomials. A causal mask leaves the first token a
    single key and the last one all: its denominators need a higher degree and two steps. rounds: (degree,
    Newton steps) of 1/D in each round of normalise-and-square.
    """

    exponential: int = 15
    squarings: int = 2
    reciprocal: int = 31
    newton_steps: int = 1
    inverse_sqrt: int = 31
    activation: int = 63
    rounds: tuple[tuple[int, int], ...] = ()


# Nothing but counts rests on these.
_SCORE, _DENOMINATOR, _VARIANCE = Interval(-12.0, 4.0), Interval(0.01, 64.0), Interval(0.05, 4.0)


@dataclass(frozen=True, kw_only=True)
class LayerRanges:
    """Where the arguments of the approximations lie, calibrated with a margin.

    score: scaled scores, less their head's shift. denominator: of the last division, without rounds sum_j
    exp(score_ij - unit), unit by default score.high. rounds: denominators of the divisions before it, one for
    each round of normalise-and-square, the first sum_j exp((score_ij - unit) / 2^rounds). first_norm,
    second_norm: variance, or mean square, with epsilon. activation: bound of what GELU or SiLU sees; up: of
    what it gates. hidden: bound of the residual stream; value: of attended values. The last three and `up`
    only matter where a value is refreshed: it must be at most 1 in size. middle, result: by what the stream
    is divided from the sum after attention on, and the result; only a refresh in that place can change it.
    """

    score: Interval = _SCORE
    denominator: Interval = _DENOMINATOR
    first_norm: Interval = _VARIANCE
    second_norm: Interval = _VARIANCE
    activation: float = 8.0
    up: float = 8.0
    hidden: float = 8.0
    normalised: float = 8.0
    value: float = 8.0
    unit: float | None = None
    rounds: tuple[Interval, ...] = ()
    middle: float | None = None
    result: float | None = None

    @property
    def middle_bound(self) -> float:
        """Of the stored residual stream from the sum after attention on."""
        return self.hidden if self.middle is None else self.middle

    @property
    def result_bound(self) -> float:
        """Of the stored result."""
        return self.middle_bound if self.result is None else self.result

    @classmethod
    def assumed(cls, rounds: int) -> LayerRanges:
        """Ranges for counts: any, with so many rounds."""
        return cls(rounds=(_DENOMINATOR,) * rounds)

    @property
    def excess(self) -> float:
        """How far the scores reach above the unit."""
        return 0.0 if self.unit is None else self.score.high - self.unit
