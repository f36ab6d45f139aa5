"""Rows taken of a whole key are the rows of its shard, at no memory of their own."""

from __future__ import annotations

import pytest
import torch

from aegis_fhe.ckks.expanded_keys import ExpandedKeys
from aegis_fhe.runtime.limbs import KeyRows

from .cases import Case, shard_keys


@pytest.mark.parametrize("placed", ["replicated", "split"])
def test_rows_of_whole_keys_are_those_of_shards(placed: str):
    case = Case.of(2, strided=True)
    placement = case.placement(3, placed=placed)
    for rank in range(3):
        whole = ExpandedKeys()
        rows = KeyRows(whole, placement, rank, {key.request.step for key in case.keys.rotations.values()})
        shards = shard_keys(case.params, case.keys, placement, rank)
        for galois, key in case.keys.rotations.items():
            found, shard = rows.halves(key), shards.rotations[galois]
            assert torch.equal(found.b, shard.b)
            assert torch.equal(found.a, shard.a)
            assert found.a.is_contiguous()
        # Drawn from their seeds once, by the device's other evaluator or by this one.
        assert whole.expansions == len(case.keys.rotations)
        for key in case.keys.rotations.values():
            whole.halves(key)
            rows.halves(key)
        assert (whole.expansions, rows.expansions) == (len(case.keys.rotations), 0)
