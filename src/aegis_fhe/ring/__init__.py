"""How are polynomials modulo many primes stored and computed?

int64 torch tensors [..., limb, N] of residues modulo primes below 2^50, negacyclic transforms, exact basis
conversion, automorphisms and sampling. The kernels are C++ (`csrc/`), chosen at run time; all paths give the
same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aegis_fhe.lazy_names import load_on_use

if TYPE_CHECKING:
    from aegis_fhe.ring.primes import find_primes
    from aegis_fhe.ring.ring import Ring
else:
    __getattr__ = load_on_use(
        __name__,
        {
            "Ring": "aegis_fhe.ring.ring",
            "find_primes": "aegis_fhe.ring.primes",
        },
    )

__all__ = [
    "Ring",
    "find_primes",
]
