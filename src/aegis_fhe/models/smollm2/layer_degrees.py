"""The degrees of every layer's polynomials, as calibrated ranges ask for them: what counts rest on."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import msgspec

from aegis_fhe.errors import RangeError
from aegis_fhe.program.long.decoder import DecoderLayer
from aegis_fhe.program.long.degrees import choose_degrees
from aegis_fhe.program.long.shape import Degrees
from aegis_fhe.program.simulate import NetworkRanges


class LayerDegrees(msgspec.Struct, frozen=True, kw_only=True):
    """layers: from first to last. tokens: length of the texts that they were chosen for. origin: in words."""

    layers: tuple[Degrees, ...]
    tokens: int
    origin: str

    @classmethod
    def of(cls, layers: Sequence[DecoderLayer], known: NetworkRanges, *, tokens: int) -> LayerDegrees:
        """What `choose_degrees` finds for each layer of a network. Raises RangeError."""
        found = (choose_degrees(layer.shape, layer.ranges(known), tokens=tokens) for layer in layers)
        return cls(layers=tuple(found), tokens=tokens, origin=known.origin)

    @classmethod
    def read(cls, path: Path) -> LayerDegrees:
        """From a JSON file of `write`. Raises RangeError for anything else."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError) as error:
            raise RangeError(
                f"{path} holds no degrees of layers ({error}): write it by LayerDegrees"
            ) from None

    @classmethod
    def shipped(cls) -> LayerDegrees:
        """Of SmolLM2-135M-Instruct."""
        text = resources.files("aegis_fhe.models.smollm2").joinpath("layer_degrees.json").read_bytes()
        return msgspec.json.decode(text, type=cls)

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))
