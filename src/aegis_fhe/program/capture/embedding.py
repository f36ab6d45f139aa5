"""The client's part: from token ids to the hidden states that it encrypts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from aegis_fhe.errors import RangeError, UnsupportedModuleError
from aegis_fhe.program.capture.call import Call, operator_name
from aegis_fhe.program.capture.constants import Constant, fold
from aegis_fhe.program.capture.movement import KEEPS_ORDER, MOVES_ELEMENTS

# ne and cumsum: positions counted over the tokens that are no padding, as RoBERTa does; gather: token types.
EMBEDDING_OPERATORS = (
    KEEPS_ORDER | MOVES_ELEMENTS | {"embedding", "add", "mul", "layer_norm", "ne", "cumsum", "gather"}
)


@dataclass(frozen=True, eq=False)
class TokenEmbedding:
    """Token ids -> [tokens, features] float64, by the nodes that the module's embedding was exported as."""

    nodes: tuple[fx.Node, ...]
    known: Mapping[fx.Node, Any]
    tokens: int

    def __call__(self, ids: Sequence[int]) -> NDArray[np.float64]:
        """Raises RangeError for no or too many tokens, or an id outside the vocabulary."""
        if not 1 <= len(ids) <= self.tokens:
            raise RangeError(
                f"{len(ids)} tokens: the module was captured for 1 to {self.tokens}; capture a longer example"
            )
        # An embedding does not depend on later tokens: shorter texts are filled up, and cut off again.
        padded = torch.tensor([[*ids, *[0] * (self.tokens - len(ids))]])
        values = {**self.known, self.nodes[0]: Constant(padded, "")}
        try:
            for node in self.nodes[1:]:
                values[node] = fold(Call.of(node, values))
        except IndexError as error:
            raise RangeError(f"a token id lies outside the vocabulary: {error}") from error
        hidden: NDArray[np.float64] = values[self.nodes[-1]].tensor[0, : len(ids)].double().numpy()
        return hidden


def embedding_nodes(dependent: Sequence[fx.Node]) -> tuple[fx.Node, ...]:
    """The nodes from the token ids to the last value before which nothing but embedding happens.

    `dependent`: the nodes that depend on the ids, in order. What comes after must use that one value alone.
    Raises UnsupportedModuleError when there is no such value.
    """
    live, found = set(dependent), 0
    for index, node in enumerate(dependent[1:], start=1):
        if operator_name(node) not in EMBEDDING_OPERATORS:
            break
        before, value = set(dependent[: index + 1]), node.meta.get("val")
        alone = all(user in before for part in dependent[:index] for user in part.users if user in live)
        if alone and isinstance(value, torch.Tensor) and value.is_floating_point() and value.dim() == 3:
            found = index
    if not found:
        raise UnsupportedModuleError(
            "the token ids do not become one tensor of hidden states [1, tokens, features]; "
            "nearest supported form: torch.nn.Embedding, and positions added to it"
        )
    return tuple(dependent[: found + 1])
