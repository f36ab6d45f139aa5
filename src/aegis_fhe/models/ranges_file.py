"""Calibrated ranges in a file, beside the fingerprint of the weights that they belong to."""

from __future__ import annotations

from pathlib import Path

import msgspec

from aegis_fhe.errors import AegisError, CompatibilityError
from aegis_fhe.models.minilm.recipe import ShippedRanges
from aegis_fhe.models.text_encoder import TextEncoder


def read_ranges(path: Path, encoder: TextEncoder) -> ShippedRanges:
    """Raises AegisError for another file, CompatibilityError for ranges of other weights."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=ShippedRanges)
    except (OSError, msgspec.MsgspecError) as error:
        raise AegisError(f"{path} holds no ranges ({error}): write them with `aegis calibrate`") from error
    if found.fingerprint != encoder.fingerprint():
        raise CompatibilityError(f"{path} was calibrated on other weights than {encoder.folder}'s")
    return found


def write_ranges(path: Path, ranges: ShippedRanges) -> None:
    """As indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(ranges), indent=1))
