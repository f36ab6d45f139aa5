"""What is measured on a GPU besides single operations: batches, and the bandwidth they run against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch

from aegis_fhe.bench.result_rows import Row
from aegis_fhe.bench.scheme_operations import ROTATIONS, SchemeOperations
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ring.arena import Arena

COPY, TRANSFORM, KEY_SWITCH, ROTATION = (
    "copy on the device",
    "ntt of 32 ciphertexts",
    "key switch",
    "rotate, 8 ciphertexts",
)
GPU_OPERATIONS = (COPY, TRANSFORM, KEY_SWITCH, ROTATION)

COPIED_BYTES = 1 << 30  # read and written each
CIPHERTEXTS, MOST_LIMBS = 32, 30
BATCH = 8
PASSES, BYTES_PER_VALUE = 2, 16  # of a transform: each pass reads and writes every value

NOTES: Mapping[str, str] = {
    COPY: "one tensor to another, both on the device; bytes read and written are counted",
    TRANSFORM: "two components each, in place; the bound is two passes at the bandwidth of the copy",
    KEY_SWITCH: "a product's third component, all limbs; the product has been made before",
    ROTATION: "by one step, all together; amortised_ms is of one",
}


class GpuOperations:
    """On the device of `params`; `scheme` gives ciphertexts and keys."""

    def __init__(self, params: Parameters, scheme: SchemeOperations) -> None:
        self.params, self.scheme = params, scheme
        self.transformed_limbs = tuple(range(transformed_limbs(params)))

    def operations(self) -> dict[str, Callable[[], object]]:
        """Name -> one run."""
        return {
            COPY: lambda: self._pair[1].copy_(self._pair[0]),
            TRANSFORM: lambda: self.params.ring.ntt(
                self._ciphertexts, self.transformed_limbs, out=self._ciphertexts
            ),
            KEY_SWITCH: lambda: self.scheme.multiplier.relinearize(self._product),
            ROTATION: lambda: self.scheme.rotator.rotate_many_each(self._batch, ROTATIONS[:1]),
        }

    @cached_property
    def _pair(self) -> tuple[torch.Tensor, torch.Tensor]:
        words = (COPIED_BYTES // 8,)
        return self._arena.zeros(words), self._arena.zeros(words)

    @cached_property
    def _ciphertexts(self) -> torch.Tensor:
        """Zeros are residues, before and after a transform."""
        return self._arena.zeros((CIPHERTEXTS, 2, len(self.transformed_limbs), self.params.degree))

    @cached_property
    def _product(self) -> Ciphertext:
        return self.scheme.multiplier.multiply(self.scheme.x, self.scheme.y)

    @cached_property
    def _batch(self) -> list[Ciphertext]:
        """Of memory of their own."""
        x = self.scheme.x
        return [Ciphertext(parts=self._arena.copy(x.parts), scale=x.scale) for _ in range(BATCH)]

    @property
    def _arena(self) -> Arena:
        return self.params.ring.arena


def gpu_figures(params: Parameters, rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """By operation, what follows from the rows: bandwidth, bound and the share of it, time of one."""
    found: dict[str, dict[str, Any]] = {}
    median_ms = {row.operation: row.ours_ms.median for row in rows}
    if ROTATION in median_ms:
        found[ROTATION] = {"amortised_ms": median_ms[ROTATION] / BATCH}
    if COPY in median_ms:
        bandwidth = 2 * COPIED_BYTES / median_ms[COPY] * 1e3
        found[COPY] = {"bytes_per_second": bandwidth}
        if TRANSFORM in median_ms:
            bound_ms = transform_bytes(params) / bandwidth * 1e3
            found[TRANSFORM] = {
                "ciphertexts": CIPHERTEXTS,
                "transformed_limbs": transformed_limbs(params),
                "bytes": transform_bytes(params),
                "bound_ms": bound_ms,
                "share_of_bound": bound_ms / median_ms[TRANSFORM],
            }
    return found


def transformed_limbs(params: Parameters) -> int:
    """How many of each component: MOST_LIMBS, or all of fewer."""
    return min(MOST_LIMBS, len(params.q) + len(params.p))


def transform_bytes(params: Parameters) -> int:
    """CIPHERTEXTS * 2 * limbs * N values, BYTES_PER_VALUE in each of PASSES."""
    return CIPHERTEXTS * 2 * transformed_limbs(params) * params.degree * BYTES_PER_VALUE * PASSES


def sentences(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The figures for people."""
    lines = []
    if COPY in figures:
        lines.append(f"Copy bandwidth: {figures[COPY]['bytes_per_second'] / 1e9:.0f} GB/s, read and written.")
    if TRANSFORM in figures:
        own = figures[TRANSFORM]
        lines.append(
            f"Forward NTT of {own['ciphertexts']} ciphertexts of {own['transformed_limbs']} limbs: "
            f"{own['share_of_bound']:.0%} of the bound of two passes, {own['bound_ms']:.3g} ms."
        )
    if ROTATION in figures:
        lines.append(f"A rotation in a batch of {BATCH}: {figures[ROTATION]['amortised_ms']:.3g} ms.")
    return lines
