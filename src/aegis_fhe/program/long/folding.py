"""How attention over tokens is shared out: baby and giant steps, and keys folded over spare sub-slots."""

from __future__ import annotations

import math
from functools import lru_cache

# Key switches that a score takes besides its rotations: its own, exp of degree 15 and its squarings, about.
SCORE_SWITCHES = 9


@lru_cache(maxsize=1024)
def attention_baby_steps(diagonals: int) -> int:
    """b with the fewest rotations b + ceil(diagonals / b); of equals the largest, to relinearise least."""
    return min(range(1, diagonals + 1), key=lambda b: (b + math.ceil(diagonals / b), -b))


def folded_key_switches(key_blocks: int, tokens: int, columns: int) -> int:
    """Of attention with phi = key_blocks, C = columns and T = tokens.

    2 C (phi - 1) to fold K and V; with T / phi = b g diagonals 2 C (b + g - 2) rotations, C g relinearised
    sums, and the scores.
    """
    diagonals = tokens // key_blocks
    b = attention_baby_steps(diagonals)
    g = math.ceil(diagonals / b)
    return columns * (2 * (key_blocks - 1) + 2 * (b + g - 2) + g) + SCORE_SWITCHES * diagonals


@lru_cache(maxsize=1024)
def best_key_blocks(most: int, tokens: int, columns: int) -> int:
    """phi: the power of two up to `most` and to `tokens` with the fewest key switches."""
    powers = [1 << i for i in range(min(most, tokens).bit_length())]
    return min(powers, key=lambda phi: folded_key_switches(phi, tokens, columns))
