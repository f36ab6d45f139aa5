"""Slot vectors that depend on the text's length: which tokens of a block are real, and which keys."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.layout import TokenMajorLayout

Array = NDArray[np.float64]
Where = Literal[
    "everywhere",
    "real tokens",
    "first token",
    "later tokens",
    "opening token",
    "inner tokens",
    "closing token",
    "real keys",
    "other keys",
]


def select(
    layout: TokenMajorLayout,
    values: Array,
    where: Where,
    *,
    block: int,
    tokens: int,
    queries: int | None = None,
) -> SlotVector:
    """`values` (one period, [sub_slots]) on the chosen slots of token block `block`, zero elsewhere.

    tokens: length of the text; token t of the block is real when block * layout.tokens + t < tokens.
    "real keys": slot (t, z, x, h) of a score holds key (t + x) mod layout.tokens of key block `block` + z,
    real when that token is and, where `queries` names the block of the queries t, that one is too; "other
    keys" is the complement, the sub-slots past the zones included.
    "first token" and "later tokens" are the block's; "opening token", "closing token" and the "inner tokens"
    between them are the text's. "everywhere" stays periodic.
    """
    if where == "everywhere":
        return SlotVector(values)
    if where in ("real keys", "other keys"):
        mask = _real_keys(layout, first_block=block, tokens=tokens)
        if queries is not None:
            mask &= (queries * layout.tokens + np.arange(layout.tokens) < tokens)[:, None]
        chosen = mask if where == "real keys" else ~mask
        return SlotVector(np.where(chosen, values, 0.0).reshape(-1))
    position = np.arange(layout.tokens)
    token = block * layout.tokens + position
    rows = {
        "real tokens": token < tokens,
        "opening token": token == 0,
        "inner tokens": (token > 0) & (token < tokens - 1),
        "closing token": (token > 0) & (token == tokens - 1),
        "first token": position == 0,
        "later tokens": position > 0,
    }[where]
    return SlotVector(np.where(rows[:, None], values, 0.0).reshape(-1))


def _real_keys(layout: TokenMajorLayout, *, first_block: int, tokens: int) -> NDArray[np.bool_]:
    """[tokens, sub_slots]: does the score slot hold a real key?"""
    t = np.arange(layout.tokens)[:, None, None, None]
    z = np.arange(layout.zones)[None, :, None, None]
    x = np.arange(layout.head_dim)[None, None, :, None]
    key = (first_block + z) * layout.tokens + (t + x) % layout.tokens
    real = np.broadcast_to(key < tokens, (layout.tokens, layout.zones, layout.head_dim, layout.heads))
    mask = np.zeros((layout.tokens, layout.sub_slots), dtype=bool)
    mask[:, : layout.zones * layout.width] = real.reshape(layout.tokens, -1)
    return mask
