"""The head on the first token as a circuit: its series, its constants, its nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.chebyshev import ChebyshevSeries
from aegis_fhe.circuits.polynomial import polynomial_depth
from aegis_fhe.errors import RangeError, UnsupportedModuleError
from aegis_fhe.program.attention_layer import window_steps
from aegis_fhe.program.encoder.head import FirstToken
from aegis_fhe.program.encoder_ranges import HeadRanges
from aegis_fhe.program.graph import GraphBuilder
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.network import Tanh
from aegis_fhe.program.operators import AddPlain, MultiplyPlain, Polynomial, Project, SumOfRotations
from aegis_fhe.program.operators.plain import Term
from aegis_fhe.program.returns import Logits
from aegis_fhe.program.simulate.activation import fit_activation

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PooledFits:
    """tanh on its calibrated range; labels: how many logits, 0 when tanh is the result."""

    tanh: ChebyshevSeries
    labels: int

    @classmethod
    def of(cls, head: FirstToken, ranges: HeadRanges | None) -> PooledFits:
        """The smallest degree within 1e-4. Raises RangeError for ranges of another head."""
        ranges = ranges_of_head(head, ranges)
        return cls(tanh=fit_activation(Tanh(), ranges.pooler), labels=len(head.labels))

    @property
    def depth(self) -> int:
        """Pooler, tanh, and the product with the classifier's weights."""
        return 1 + polynomial_depth(self.tanh.degree) + (self.labels > 0)


def ranges_of_head(head: FirstToken, ranges: HeadRanges | None) -> HeadRanges:
    """The ranges, which fit the head. Raises RangeError where they do not."""
    if ranges is None or (ranges.logits is None) != (head.classifier is None):
        raise RangeError(
            f"{head.pooler.path}: the ranges do not cover this head: calibrate the model together with it"
        )
    return ranges


def pooled_constants(
    head: FirstToken, ranges: HeadRanges, layout: TokenMajorLayout, *, hidden: float
) -> dict[str, Array]:
    """Weights with every value's bound folded in: the argument comes out over its bound, logits over theirs.

    hidden: bound of the hidden state, which is stored over it. Raises UnsupportedModuleError for a pooler
    that is not square, or more labels than a block has tokens.
    """
    width = layout.width
    if head.pooler.weight.shape != (width, width):
        found = list(head.pooler.weight.shape)
        raise UnsupportedModuleError(f"{head.pooler.path}: weight {found}, expected {[width, width]}")
    constants = {
        "pooler.weight": layout.matrix(head.pooler.weight.T * (hidden / ranges.pooler)),
        "pooler.bias": layout.features(head.pooler.bias / ranges.pooler),
    }
    if head.classifier is None or ranges.logits is None:
        return constants
    if len(head.labels) > layout.tokens:
        raise UnsupportedModuleError(
            f"{head.classifier.path}: {len(head.labels)} labels, the layout has room for {layout.tokens}"
        )
    weight, bias = np.zeros((2, layout.tokens, layout.sub_slots))
    for label, (row, shift) in enumerate(zip(head.classifier.weight, head.classifier.bias, strict=True)):
        place = Logits.place(label, layout.tokens)
        weight[place] = layout.features(row / ranges.logits)
        bias[place, 0] = shift / ranges.logits
    return constants | {"logits.weight": weight.reshape(-1), "logits.bias": bias.reshape(-1)}


def pooled_nodes(b: GraphBuilder, layout: TokenMajorLayout, fits: PooledFits, first: str) -> str:
    """The result's name, from the first token's hidden state in block 0, whose other tokens are zero.

    tanh is odd, so other tokens stay zero; the classifier takes its copies there, one for each label. Cost: a
    projection, a polynomial, and ceil(log2 labels) + log2(sub-slots) rotations by steps that the layers use.
    """
    b.stage = "head"
    projected = b.one("pooler", Project((("pooler.weight",),)), 0, first)
    argument = b.one("pooler.biased", AddPlain((Term("pooler.bias", "opening token"),)), 0, projected)
    pooled = b.one("pooled", Polynomial.of(fits.tanh), 0, argument)
    if not fits.labels:
        return pooled
    steps = tuple(layout.sub_slots << i for i in range((fits.labels - 1).bit_length()))
    copies = b.one("pooled.copied", SumOfRotations(steps), 0, pooled) if steps else pooled
    weighted = b.one("logits.weighted", MultiplyPlain((Term("logits.weight"),)), 0, copies)
    total = b.one("logits.sum", SumOfRotations(window_steps(layout)), 0, weighted)
    return b.one("logits", AddPlain((Term("logits.bias"),)), 0, total)
