"""CKKS: what a ciphertext is, and what may be done to it. Nothing here can decrypt; see `ckks.secret`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aegis_fhe.lazy_names import load_on_use

if TYPE_CHECKING:
    from aegis_fhe.ckks.ciphertext import Ciphertext, SeededCiphertext
    from aegis_fhe.ckks.encoder import Encoder
    from aegis_fhe.ckks.evaluator import Evaluator
    from aegis_fhe.ckks.key_request import KeyRequest
    from aegis_fhe.ckks.keys import EvaluationKeys, KeySwitchKey
    from aegis_fhe.ckks.parameters import Parameters
    from aegis_fhe.ckks.slots import SlotVector
else:
    __getattr__ = load_on_use(
        __name__,
        {
            "Ciphertext": "aegis_fhe.ckks.ciphertext",
            "Encoder": "aegis_fhe.ckks.encoder",
            "EvaluationKeys": "aegis_fhe.ckks.keys",
            "Evaluator": "aegis_fhe.ckks.evaluator",
            "KeyRequest": "aegis_fhe.ckks.key_request",
            "KeySwitchKey": "aegis_fhe.ckks.keys",
            "Parameters": "aegis_fhe.ckks.parameters",
            "SeededCiphertext": "aegis_fhe.ckks.ciphertext",
            "SlotVector": "aegis_fhe.ckks.slots",
        },
    )

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
]
