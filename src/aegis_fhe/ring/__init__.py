"""How are polynomials modulo many primes stored and computed?

int64 torch tensors [..., limb, N] of residues modulo primes below 2^50, negacyclic transforms, exact basis
conversion, automorphisms and sampling. The kernels are C++ (`csrc/`), chosen at run time; all paths give the
same bits.
"""

from aegis_fhe.ring import native, sampling
from aegis_fhe.ring.primes import find_primes
from aegis_fhe.ring.ring import Ring

__all__ = ["Ring", "find_primes", "native", "sampling"]
