"""CKKS circuits that know nothing of Transformers: polynomials, linear transforms, rotation ladders, fits.

Each circuit is written once against `Backend` and runs on ciphertexts, on clear slots, on predicted noise,
or on levels and scales.
"""

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.chebyshev import ChebyshevSeries, interpolate
from aegis_fhe.circuits.exponential import fit_exponential
from aegis_fhe.circuits.inverse_sqrt import fit_inverse_sqrt
from aegis_fhe.circuits.linear_transform import PeriodicTransform
from aegis_fhe.circuits.noise_backend import NoiseBackend, NoiseValue
from aegis_fhe.circuits.polynomial import evaluate_polynomial, polynomial_depth
from aegis_fhe.circuits.reciprocal import fit_reciprocal
from aegis_fhe.circuits.rotations import RotationLadder

__all__ = [
    "Backend",
    "ChebyshevSeries",
    "NoiseBackend",
    "NoiseValue",
    "PeriodicTransform",
    "RotationLadder",
    "evaluate_polynomial",
    "fit_exponential",
    "fit_inverse_sqrt",
    "fit_reciprocal",
    "interpolate",
    "polynomial_depth",
]
