"""Bootstrapping: a ciphertext at the end of its levels becomes one with many, and the same message."""

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.circuits.bootstrap.bootstrapper import Bootstrapper, PrecisionWarning
from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.bootstrap.sine import SineModulus

__all__ = ["BootstrapPlan", "Bootstrapper", "PrecisionWarning", "SineModulus", "presets"]
