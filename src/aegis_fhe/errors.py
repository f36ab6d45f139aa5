"""Every error a user can meet. Each message says what was found, what was expected, and the cure.

`AegisError` is a `ValueError`: the input was wrong, not the program. The command line prints its one line and
exits with status 2.
"""

from __future__ import annotations


class AegisError(ValueError):
    """Base of all errors caused by what was given to AEGIS."""


class ParameterError(AegisError):
    """Parameters that cannot be built: moduli, degrees, digits, scales."""


class SecurityError(ParameterError):
    """Parameters below 128 bits without `insecure=True`."""


class LevelError(AegisError):
    """A ciphertext has too few limbs for the operation."""


class ScaleError(AegisError):
    """Two scales that must agree do not."""


class LayoutError(AegisError):
    """Values do not lie in the slots the operation expects."""


class MissingKeyError(AegisError):
    """An evaluation key that the operation needs was not provided."""


class ContainerError(AegisError):
    """A file is damaged, truncated, of another kind, or of a newer version."""


class CompatibilityError(AegisError):
    """Program, keys and ciphertexts do not belong together."""


class CapacityError(AegisError):
    """Not enough memory or disk; said before the work starts."""


class UnsupportedModuleError(AegisError):
    """A module or operator that cannot be compiled; names its path and the nearest supported form."""


class RangeError(AegisError):
    """A value lies outside the calibrated range, or a text is longer than the program."""


class PeerError(AegisError):
    """Another library that a benchmark compares with cannot be started, or failed."""


class WorkerError(AegisError):
    """A worker process failed; carries its rank and its last message."""
