"""The uniform halves of the keys in use: expanded from their seeds and kept, as many as fit."""

from __future__ import annotations

import torch

from aegis_fhe.ckks.keys import KeySwitchKey
from aegis_fhe.ring.keyswitching import KeyHalves

EXPANDED_BYTES = 4 << 30


class ExpandedKeys:
    """Halves of at most `limit_bytes` (of one key at least).

    The first that fit are kept; the others are drawn from their seeds anew, the same bits, each in the memory
    of the one before. Circuits use their keys in turns: giving up the oldest would give up the one needed
    next. Not for use by several threads at once.
    """

    def __init__(self, limit_bytes: int = EXPANDED_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.expansions = 0
        self._kept: dict[int, tuple[KeySwitchKey, torch.Tensor]] = {}
        self._kept_bytes = 0
        self._passing: tuple[KeySwitchKey, torch.Tensor] | None = None

    def halves(self, key: KeySwitchKey) -> KeyHalves:
        """Both halves of a key. Cost when its uniform half is not there: digit * limb uniform limbs."""
        found = self._kept.get(id(key))
        if found is None and self._passing is not None and self._passing[0] is key:
            found = self._passing
        half = self._expand(key) if found is None else found[1]
        return KeyHalves(b=key.b, a=half)

    def _expand(self, key: KeySwitchKey) -> torch.Tensor:
        self._passing = None  # its memory is the arena's again before the next is drawn
        self.expansions += 1
        half, size = key.a, key.b.nbytes
        if self._kept_bytes + 2 * size <= self.limit_bytes:  # room is left for one that passes
            self._kept[id(key)] = key, half
            self._kept_bytes += size
        else:
            self._passing = key, half
        return half
