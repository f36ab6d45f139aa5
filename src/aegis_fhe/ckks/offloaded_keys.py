"""Evaluation keys beside a GPU: as many as fit stay there, the others come while another one is used."""

from __future__ import annotations

from aegis_fhe.ckks.expanded_keys import ExpandedKeys
from aegis_fhe.ckks.keys import KeySwitchKey
from aegis_fhe.ring.copies import Arriving, Copies
from aegis_fhe.ring.keyswitching import KeyHalves

AT_ONCE = 2  # keys that do not stay: the one in use, and the next on its way


class OffloadedKeys(ExpandedKeys):
    """Both halves of at most `limit_bytes` (of two keys at least) where the kernels are.

    The first that fit stay. The others wait in the host's memory, expanded once, and are copied for each use.
    Circuits use their keys in the same order again: the key that followed this one the last time begins its
    way when this one is asked for. expansions: how often a uniform half was drawn; copies: how often a key
    travelled, foreseen: how often it was on its way before it was asked for. Not for several threads at once.
    """

    def __init__(self, copies: Copies, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.copies_made = self.foreseen = 0
        self._copies = copies
        self._waiting: dict[int, tuple[KeySwitchKey, KeyHalves]] = {}
        self._coming: tuple[KeySwitchKey, Arriving] | None = None
        self._after: dict[int, KeySwitchKey] = {}
        self._last: KeySwitchKey | None = None

    def halves(self, key: KeySwitchKey) -> KeyHalves:
        """Both halves of a key, where the kernels are. Cost where it does not stay: its way from the host."""
        found = self._kept.get(id(key)) or self._here(key)
        halves = self._arrived(key) if found is None else found[1]
        self._foresee(key)
        return halves

    def _here(self, key: KeySwitchKey) -> tuple[KeySwitchKey, KeyHalves] | None:
        passing = self._passing
        return passing if passing is not None and passing[0] is key else None

    def _arrived(self, key: KeySwitchKey) -> KeyHalves:
        coming, self._coming = self._coming, None
        if coming is not None and coming[0] is key:
            self.foreseen += 1
        else:
            coming = key, self._begin(key)
        self._passing = None  # its memory is free before another one's is asked for
        b, a = coming[1]()
        halves = KeyHalves(b=b, a=a)
        size = b.nbytes + a.nbytes
        if self._kept_bytes + (1 + AT_ONCE) * size <= self.limit_bytes:
            self._kept[id(key)] = key, halves
            self._kept_bytes += size
            self._waiting.pop(id(key))
        else:
            self._passing = key, halves
        return halves

    def _begin(self, key: KeySwitchKey) -> Arriving:
        self.copies_made += 1
        found = self._waiting.get(id(key))
        if found is None:
            self.expansions += 1
            held = KeyHalves(b=self._copies.held(key.b), a=self._copies.held(key.a))
            found = self._waiting[id(key)] = key, held
        return self._copies.begin([found[1].b, found[1].a])

    def _foresee(self, key: KeySwitchKey) -> None:
        if self._last is not None and self._last is not key:
            self._after[id(self._last)] = key
        self._last = key
        expected = self._after.get(id(key))
        if expected is None or id(expected) in self._kept or self._here(expected) is not None:
            return
        if self._coming is None or self._coming[0] is not expected:
            self._coming = None
            self._coming = expected, self._begin(expected)
