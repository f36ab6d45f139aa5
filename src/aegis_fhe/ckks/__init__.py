"""CKKS: what a ciphertext is, and what may be done to it. Nothing here can decrypt; see `ckks.secret`."""

from aegis_fhe.ckks import presets
from aegis_fhe.ckks.ciphertext import Ciphertext, SeededCiphertext
from aegis_fhe.ckks.encoder import Encoder
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.ckks.keys import EvaluationKeys, KeyRequest, KeySwitchKey
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.slots import SlotVector

__all__ = [
    "Ciphertext",
    "Encoder",
    "EvaluationKeys",
    "Evaluator",
    "KeyRequest",
    "KeySwitchKey",
    "Parameters",
    "SeededCiphertext",
    "SlotVector",
    "presets",
]
