"""The evaluator over a ring that computes nothing: the memory of an encrypted run, from the same code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import torch

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.encoder import Encoder
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.ckks.key_request import FROM_SPARSE, TO_SPARSE, KeyRequest
from aegis_fhe.ckks.key_shape import half_shape, narrow_parameters
from aegis_fhe.ckks.keys import EncapsulationKeys, EvaluationKeys, KeySwitchKey
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.ring import native
from aegis_fhe.ring.dry import DryRing


class DryParameters(Parameters):
    """Parameters whose ring and encoder only take memory; on_gpu: that of a GPU's operations."""

    on_gpu = False

    @cached_property
    def ring(self) -> DryRing:
        """Allocates, computes nothing."""
        return DryRing(self.degree, self.q + self.p, on_gpu=self.on_gpu)

    @cached_property
    def encoder(self) -> Encoder:
        """Makes coefficients of the right shape."""
        return _DryEncoder(self.degree)


class _DryEncoder(Encoder):
    def encode(self, vector: SlotVector, scale: float) -> torch.Tensor:
        return torch.empty(2 * vector.period, dtype=torch.int64)

    def encode_many(self, vectors: Sequence[SlotVector | None], scale: float, period: int) -> torch.Tensor:
        return torch.empty((len(vectors), 2 * period), dtype=torch.int64)


class _DryKey(KeySwitchKey):
    @property
    def a(self) -> torch.Tensor:
        """Memory of the uniform half."""
        return self.params.ring.arena.empty(self.b.shape)


class GpuDryParameters(DryParameters):
    """Of a GPU, here or not."""

    on_gpu = True


def dry_evaluator(params: Parameters, requests: Iterable[KeyRequest]) -> Evaluator:
    """An evaluator that allocates what a real one would, in the arena of its `params.ring`.

    The stored halves of its keys are not counted there, as they come from a file; the expanded ones are.
    """
    on_gpu = params.kernel_path is not None and native.off_host(params.kernel_path)
    dry = (GpuDryParameters if on_gpu else DryParameters).from_dict(params.to_dict())
    keys = [_dry_key(dry, request) for request in requests]
    found = {key.request.step: key for key in keys if key.request.encapsulates}
    sparse = None
    if found:
        sparse = EncapsulationKeys(to_sparse=found[TO_SPARSE], from_sparse=found[FROM_SPARSE], weight=0)
    return Evaluator(
        dry, EvaluationKeys.collect(dry, (k for k in keys if not k.request.encapsulates), sparse)
    )


def _dry_key(dry: Parameters, request: KeyRequest) -> _DryKey:
    params = dry
    if request.step == TO_SPARSE:  # its ring is another one, but takes memory from the same arena
        params = DryParameters.from_dict(narrow_parameters(dry).to_dict())
        on_gpu = isinstance(dry, GpuDryParameters)
        params.__dict__["ring"] = DryRing(
            params.degree, params.q + params.p, on_gpu=on_gpu, arena=dry.ring.arena
        )
    b = torch.empty(half_shape(params, request.level), dtype=torch.int64)
    return _DryKey(params=params, request=request, b=b, seed=b"")


def key_switch_workspace_bytes(params: Parameters, level: int) -> int:
    """The most that one rotation at `level` holds besides its key, its input and its result."""
    evaluator = dry_evaluator(params, [KeyRequest(1, level)])
    (key,) = evaluator.keys.rotations.values()
    arena = evaluator.params.ring.arena
    x, _ = dry_input(evaluator.params, level, params.scale), evaluator.expanded.halves(key)
    arena.trim()
    arena.reset_peaks()
    before = arena.bytes().in_use
    rotated = evaluator.rotate(x, 1)
    return arena.bytes().peak_in_use - before - rotated.size_bytes


def dry_input(params: Parameters, level: int, scale: float) -> Ciphertext:
    """A fresh ciphertext, expanded from body and seed as `SeededCiphertext.expand` does."""
    arena, shape = params.ring.arena, (level + 1, params.degree)
    mask = arena.empty(shape)
    return Ciphertext(parts=arena.stack((mask, mask)), scale=scale)
