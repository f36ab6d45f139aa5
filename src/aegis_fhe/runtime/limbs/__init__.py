"""Devices that share the limbs of every ciphertext: the same operations, the same bits."""

from aegis_fhe.runtime.limbs.evaluator import LimbEvaluator
from aegis_fhe.runtime.limbs.key_rows import KeyRows
from aegis_fhe.runtime.limbs.shard import KeyShard, LimbShard, digit_shards, shard_ciphertext, shard_keys

__all__ = [
    "KeyRows",
    "KeyShard",
    "LimbEvaluator",
    "LimbShard",
    "digit_shards",
    "shard_ciphertext",
    "shard_keys",
]
