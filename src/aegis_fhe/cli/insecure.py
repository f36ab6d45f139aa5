"""`--insecure`: parameters of no security, for tests, are used only by who says so."""

from __future__ import annotations

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.security import STANDARD_BITS
from aegis_fhe.errors import SecurityError


def require_secure(params: Parameters, insecure: bool) -> None:
    """Raises SecurityError for less than 128 bits unless `insecure`."""
    if params.security_bits < STANDARD_BITS and not insecure:
        raise SecurityError(
            f"parameters {params.name} are {params.describe_security()}: choose others, or say --insecure "
            "for a test"
        )
