"""Bootstrapping: a ciphertext at the end of its levels becomes one with many, and the same message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aegis_fhe.lazy_names import load_on_use

if TYPE_CHECKING:
    from aegis_fhe.circuits.bootstrap.bootstrapper import Bootstrapper, PrecisionWarning
    from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
    from aegis_fhe.circuits.bootstrap.sine import SineModulus
else:
    __getattr__ = load_on_use(
        __name__,
        {
            "BootstrapPlan": "aegis_fhe.circuits.bootstrap.plan",
            "Bootstrapper": "aegis_fhe.circuits.bootstrap.bootstrapper",
            "PrecisionWarning": "aegis_fhe.circuits.bootstrap.bootstrapper",
            "SineModulus": "aegis_fhe.circuits.bootstrap.sine",
        },
    )

__all__ = [
    "BootstrapPlan",
    "Bootstrapper",
    "PrecisionWarning",
    "SineModulus",
]
