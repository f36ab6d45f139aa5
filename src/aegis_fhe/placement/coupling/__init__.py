"""What operators tie together, axis by axis: derived by interpreting them, held against numbers in tests."""

from aegis_fhe.placement.coupling.signature import (
    AXES,
    CIPHERTEXT_AXES,
    GRID_AXES,
    Axis,
    Coupling,
    Signature,
    coupling,
)

__all__ = ["AXES", "CIPHERTEXT_AXES", "GRID_AXES", "Axis", "Coupling", "Signature", "coupling"]
