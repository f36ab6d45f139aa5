"""Which keys an attention mask lets every token see: all of them, or those up to the token itself."""

from __future__ import annotations

from typing import Any

import torch

from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.constants import Constant

# What is added to a hidden key's score is -inf, or the type's smallest number; padding tricks stop at -10000.
HIDDEN_SCORE = -1e4


def is_causal(call: Call, mask: Any, tokens: int) -> bool:
    """Whether the mask is lower-triangular; False when everything is visible, as without a mask.

    Raises UnsupportedModuleError for any other mask, and for one that depends on the input.
    """
    if mask is None:
        return False
    if not isinstance(mask, Constant):
        raise call.refusal("has a mask that depends on the input; supported: none, or causal")
    visible = _visible(call, mask.tensor).reshape(-1, *mask.tensor.shape[-2:]).expand(-1, tokens, tokens)
    if visible.all():
        return False
    if (visible == torch.ones(tokens, tokens, dtype=torch.bool).tril()).all():
        return True
    raise call.refusal("has a mask that is neither all-visible nor causal (lower-triangular)")


def _visible(call: Call, mask: torch.Tensor) -> torch.Tensor:
    if mask.dtype == torch.bool:
        return mask
    if not ((mask == 0) | (mask <= HIDDEN_SCORE)).all():
        raise call.refusal("adds a bias to its scores; supported: no mask, or a causal one")
    return mask == 0
