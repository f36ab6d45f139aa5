"""The uniform halves of the keys in use: expanded from their seeds, the least recently used given up."""

from __future__ import annotations

from collections import OrderedDict

import torch

from aegis_fhe.ckks.keys import KeySwitchKey
from aegis_fhe.ring.keyswitching import KeyHalves

EXPANDED_BYTES = 4 << 30


class ExpandedKeys:
    """Halves of at most `limit_bytes` (of one key at least), in memory that is taken over from key to key.

    A half that is gone is drawn again from its seed: the same bits. Not for use by several threads at once.
    """

    def __init__(self, limit_bytes: int = EXPANDED_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.expansions = 0
        self._halves: OrderedDict[int, tuple[KeySwitchKey, torch.Tensor]] = OrderedDict()
        self._held_bytes = 0

    def halves(self, key: KeySwitchKey) -> KeyHalves:
        """Both halves of a key. Cost when its uniform half is not there: digit * limb uniform limbs."""
        found = self._halves.pop(id(key), None)
        half = self._expand(key) if found is None else found[1]
        self._halves[id(key)] = key, half
        return KeyHalves(b=key.b, a=half)

    def _expand(self, key: KeySwitchKey) -> torch.Tensor:
        while self._halves and self._held_bytes + key.b.nbytes > self.limit_bytes:
            _, (_, oldest) = self._halves.popitem(last=False)
            self._held_bytes -= oldest.nbytes
            del oldest  # its memory is the arena's again before the next is drawn
        self._held_bytes += key.b.nbytes
        self.expansions += 1
        return key.a
