"""The ring of polynomials modulo many primes, with all its operations."""

from __future__ import annotations

from aegis_fhe.ring.automorphism import Automorphism
from aegis_fhe.ring.basis import BasisConversion
from aegis_fhe.ring.elementwise import Elementwise
from aegis_fhe.ring.keyswitching import KeySwitching
from aegis_fhe.ring.masking import Masking
from aegis_fhe.ring.matrix import MatrixProduct
from aegis_fhe.ring.periodic import Periodic


class Ring(Periodic, Elementwise, BasisConversion, Automorphism, KeySwitching, MatrixProduct, Masking):
    """Z_Q[X]/(X^N + 1), Q = prod moduli: immutable, safe to use from several threads.

    Polynomials are int64 tensors [..., limb, N], contiguous, with residues in [0, q). Each operation takes
    `limbs`, the indices into `moduli` of the rows of axis -2, and returns a new tensor unless `out` is given.

    Ring(degree, moduli, path=None, arena=None): `path` picks one of `native.available_paths()`; all give the
    same bits. New tensors come from `arena`, by default one of the ring's own.
    """
