"""The keys in use: their uniform halves are expanded from seeds and kept, as many as fit."""

from __future__ import annotations

from aegis_fhe.ckks.keys import KeySwitchKey
from aegis_fhe.ring.keyswitching import KeyHalves

EXPANDED_BYTES = 4 << 30


class ExpandedKeys:
    """Halves of at most `limit_bytes` (of one key at least).

    The first that fit are kept; the others are made anew, the same bits, each in the memory of the one
    before. Circuits use their keys in turns: giving up the oldest would give up the one needed next. What is
    made of a key is its uniform half and, where the kernels do not reach the host's memory, a copy of the
    other. Not for use by several threads at once.
    """

    def __init__(self, limit_bytes: int = EXPANDED_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.expansions = 0
        self._kept: dict[int, tuple[KeySwitchKey, KeyHalves]] = {}
        self._kept_bytes = 0
        self._passing: tuple[KeySwitchKey, KeyHalves] | None = None

    @property
    def settled(self) -> bool:
        """Whether all keys that were asked for so far stay where they are."""
        return self._passing is None

    def halves(self, key: KeySwitchKey) -> KeyHalves:
        """Both halves of a key. Cost when its uniform half is not there: digit * limb uniform limbs."""
        found = self._kept.get(id(key))
        if found is None and self._passing is not None and self._passing[0] is key:
            found = self._passing
        return self._expand(key) if found is None else found[1]

    def _expand(self, key: KeySwitchKey) -> KeyHalves:
        self._passing = None  # its memory is the arena's again before the next is drawn
        self.expansions += 1
        halves = key.halves
        size = halves.a.nbytes + (0 if halves.b is key.b else halves.b.nbytes)
        if self._kept_bytes + 2 * size <= self.limit_bytes:  # room is left for one that passes
            self._kept[id(key)] = key, halves
            self._kept_bytes += size
        else:
            self._passing = key, halves
        return halves
