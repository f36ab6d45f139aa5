"""Keys that a device uses whole and, as one of a team, in some limbs: held once, rows taken at each use."""

from __future__ import annotations

from aegis_fhe.ckks.expanded_keys import ExpandedKeys
from aegis_fhe.ckks.key_shape import key_limbs
from aegis_fhe.ckks.keys import KeySwitchKey
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.ring.keyswitching import KeyHalves


class KeyRows(ExpandedKeys):
    """A device's rows of whole keys, whose halves `whole` keeps or draws anew.

    Cost of a use: a copy of the rows, which is forgotten after it.
    """

    def __init__(self, whole: ExpandedKeys, placement: LimbPlacement, rank: int) -> None:
        super().__init__(0)
        self.whole, self.placement, self.rank = whole, placement, rank

    def halves(self, key: KeySwitchKey) -> KeyHalves:
        """Of a whole key: those of a `KeyShard` of this placement."""
        limbs = self.placement.q_limbs(key.level, self.rank) + self.placement.p_limbs(self.rank)
        places = {limb: row for row, limb in enumerate(key_limbs(key.params, key.level))}
        rows, found = [places[limb] for limb in limbs], self.whole.halves(key)
        return KeyHalves(b=found.b[:, rows], a=found.a[:, rows])
