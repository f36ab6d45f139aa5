"""What follows an encoder's last layer: nothing, the mean over the tokens, or a head on the first token."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture import LinearLayer
from aegis_fhe.program.returns import HiddenStates, Logits, PooledToken, Returns, TokenMean

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FirstToken:
    """tanh(pooler(x_0)) of the first token's hidden state x_0, and classifier(.) of that where there is one.

    labels: names of the logits. Raises UnsupportedModuleError when there are not as many as logits.
    """

    pooler: LinearLayer
    classifier: LinearLayer | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        logits = 0 if self.classifier is None else len(self.classifier.weight)
        if len(self.labels) != logits:
            where = self.pooler.path if self.classifier is None else self.classifier.path
            raise UnsupportedModuleError(f"{where}: {len(self.labels)} labels for {logits} logits")

    @property
    def returns(self) -> Returns:
        """What a program with this head returns."""
        return PooledToken() if self.classifier is None else Logits(self.labels)

    def argument(self, first: Array) -> Array:
        """What tanh is applied to: first tokens [n, features] -> [n, features]."""
        y: Array = first @ self.pooler.weight.T + self.pooler.bias
        return y

    def classify(self, pooled: Array) -> Array:
        """tanh's results [n, features] -> logits [n, labels], or the same without a classifier."""
        if self.classifier is None:
            return pooled
        y: Array = pooled @ self.classifier.weight.T + self.classifier.bias
        return y

    def evaluate(self, hidden: Array) -> Array:
        """One text's hidden states [tokens, features] -> what `returns` says, in float64."""
        values = self.classify(np.tanh(self.argument(hidden[:1])))
        return values if self.classifier is None else values[0]


Head = HiddenStates | TokenMean | FirstToken


def returns_of(head: Head) -> Returns:
    """What a program with this head returns."""
    return head.returns if isinstance(head, FirstToken) else head
