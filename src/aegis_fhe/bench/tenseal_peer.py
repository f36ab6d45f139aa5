"""TenSEAL (Microsoft SEAL) as a peer where OpenFHE is not to be had. It can do four of the operations.

Its key switching is another: one special prime and a digit for each limb; it encrypts with the public key.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from importlib import metadata
from typing import Any

from aegis_fhe.bench.peer import PeerFacts, Unsupported
from aegis_fhe.bench.timing import milliseconds
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import PeerError

LARGEST_LOG_DEGREE = 15
SCALE = 2.0**40
DESCRIPTION = "same degree and levels, one special prime, a digit for each limb, public-key encryption"


class TensealPeer:
    """One TenSEAL context and two vectors. Raises PeerError without tenseal, or beyond SEAL's degrees."""

    def __init__(self, params: Parameters, threads: int) -> None:
        if params.log_degree > LARGEST_LOG_DEGREE:
            raise PeerError(f"SEAL has no degree beyond 2^{LARGEST_LOG_DEGREE}")
        try:
            ts = importlib.import_module("tenseal")
        except ImportError as error:
            raise PeerError(f"tenseal cannot be imported ({error}): `pip install tenseal`") from None
        self._facts = PeerFacts(name=f"TenSEAL {metadata.version('tenseal')}", description=DESCRIPTION)
        self._operations = _operations(ts, params, threads)

    @property
    def facts(self) -> PeerFacts:
        """See `Peer.facts`."""
        return self._facts

    def measure(self, operation: str) -> float | Unsupported:
        """See `Peer.measure`."""
        run = self._operations.get(operation)
        if run is None:
            return Unsupported(f"TenSEAL has no {operation} by itself")
        return milliseconds(run)

    def close(self) -> None:
        """Nothing to release."""


def _operations(ts: Any, params: Parameters, threads: int) -> dict[str, Callable[[], object]]:
    sizes = [60, *[40] * params.max_level, 60]
    context = ts.context(ts.SCHEME_TYPE.CKKS, params.degree, coeff_mod_bit_sizes=sizes, n_threads=threads)
    context.global_scale = SCALE
    context.auto_rescale = False
    values = [math.sin(slot) for slot in range(params.slots)]
    x, y = ts.ckks_vector(context, values), ts.ckks_vector(context, values)
    return {
        "encrypt": lambda: ts.ckks_vector(context, values),
        "decrypt + decode": x.decrypt,
        "add": lambda: x + y,
        "product + relinearise": lambda: x * y,
    }
