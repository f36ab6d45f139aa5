"""Keys that a device uses whole and, as one of a team, in some limbs: held once, rows taken at each use."""

from __future__ import annotations

from collections.abc import Collection

import torch

from aegis_fhe.ckks.expanded_keys import ExpandedKeys
from aegis_fhe.ckks.key_request import TO_SPARSE
from aegis_fhe.ckks.key_shape import key_limbs
from aegis_fhe.ckks.keys import KeySwitchKey
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.ring.keyswitching import KeyHalves
from aegis_fhe.runtime.limbs.shard import KeyShard


class KeyRows(ExpandedKeys):
    """A device's rows of the keys of `viewed` steps, whose halves `whole` keeps or draws anew; others, which
    are its rows already, are kept here.

    Cost of a use: a copy of the rows, which is forgotten after it.
    """

    def __init__(
        self, whole: ExpandedKeys, placement: LimbPlacement, rank: int, viewed: Collection[int | str]
    ) -> None:
        super().__init__(whole.limit_bytes)
        self.whole, self.placement, self.rank, self.viewed = whole, placement, rank, viewed

    def halves(self, key: KeySwitchKey) -> KeyHalves:
        """Of a key of a viewed step: those of a `KeyShard` of this placement."""
        if key.request.step not in self.viewed:
            return super().halves(key)
        found = self.whole.halves(key)
        if key.request.step == TO_SPARSE:  # which one device has whole
            return found
        limbs = self.placement.q_limbs(key.level, self.rank) + self.placement.p_limbs(self.rank)
        held = key.limbs if isinstance(key, KeyShard) else key_limbs(key.params, key.level)
        rows = torch.tensor([held.index(limb) for limb in limbs], device=found.b.device)
        return KeyHalves(b=_picked(key.params, found.b, rows), a=_picked(key.params, found.a, rows))


def _picked(params: Parameters, half: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    out = params.ring.arena.empty((half.shape[0], len(rows), half.shape[2]))
    return torch.index_select(half, 1, rows, out=out)
