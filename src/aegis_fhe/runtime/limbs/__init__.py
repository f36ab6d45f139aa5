"""Devices that share the limbs of every ciphertext: the same operations, the same bits."""

from aegis_fhe.runtime.limbs.evaluator import LimbEvaluator
from aegis_fhe.runtime.limbs.key_rows import KeyRows
from aegis_fhe.runtime.limbs.shard import KeyShard, LimbShard, held_key, held_keys, shard_ciphertext

__all__ = [
    "KeyRows",
    "KeyShard",
    "LimbEvaluator",
    "LimbShard",
    "held_key",
    "held_keys",
    "shard_ciphertext",
]
