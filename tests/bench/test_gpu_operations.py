"""What is measured on a GPU: rows on its kernels, emulated here; figures that follow from the rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from aegis_fhe.bench import gpu_operations
from aegis_fhe.bench.gpu_operations import (
    BATCH,
    COPY,
    GPU_OPERATIONS,
    ROTATION,
    TRANSFORM,
    GpuOperations,
    gpu_figures,
    sentences,
    transform_bytes,
)
from aegis_fhe.bench.result_rows import Row
from aegis_fhe.bench.ring_benchmark import measure_ring
from aegis_fhe.bench.ring_table import OPERATIONS, choose_operations
from aegis_fhe.bench.scheme_operations import SchemeOperations
from aegis_fhe.bench.timing import Quantiles
from aegis_fhe.ckks import presets
from aegis_fhe.ckks.secret import decrypt
from aegis_fhe.errors import ParameterError

PARAMS = replace(presets.insecure(6, 3, 2), kernel_path="emulated-gpu")


def row(operation: str, median: float) -> Row:
    times = Quantiles(min=median, median=median, p90=median)
    return Row.of(operation, log_n=6, limbs=4, special_limbs=2, dnum=2, threads=1, ours_ms=times)


def test_every_operation_runs_on_the_kernels_of_a_gpu_and_meets_no_peer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu_operations, "COPIED_BYTES", 1 << 12)
    chosen = choose_operations(None, gpu=True)
    assert chosen == (*OPERATIONS, *GPU_OPERATIONS)
    rows = list(measure_ring(PARAMS, None, operations=chosen, threads=1, runs=1))
    assert [one.operation for one in rows] == list(chosen)
    assert {one.peer for one in rows} == {None}
    assert set(gpu_figures(PARAMS, rows)) == {COPY, TRANSFORM, ROTATION}


def test_a_batch_is_rotated_as_its_ciphertexts_are_alone():
    scheme = SchemeOperations(PARAMS)
    found = GpuOperations(PARAMS, scheme).operations()[ROTATION]()
    assert isinstance(found, list)
    assert len(found) == BATCH
    assert all(torch.equal(one.parts, scheme.rotate().parts) for (one,) in found)
    assert abs(decrypt(scheme.secret, found[0][0]).values[0] - scheme.x_values.values[1]) < 1e-6


def test_the_bound_is_two_passes_at_the_bandwidth_of_the_copy():
    """32 ciphertexts of 2 components of 6 limbs of 64 values, each read and written twice."""
    assert transform_bytes(PARAMS) == 32 * 2 * 6 * 64 * 32
    rows = [row(COPY, 1.0), row(TRANSFORM, 0.001), row(ROTATION, 4.0)]
    figures = gpu_figures(PARAMS, rows)
    bandwidth = 2 * gpu_operations.COPIED_BYTES / 1e-3
    assert figures[COPY]["bytes_per_second"] == pytest.approx(bandwidth)
    bound_ms = transform_bytes(PARAMS) / bandwidth * 1e3
    assert figures[TRANSFORM]["bound_ms"] == pytest.approx(bound_ms)
    assert figures[TRANSFORM]["share_of_bound"] == pytest.approx(bound_ms / 0.001)
    assert figures[ROTATION] == {"amortised_ms": 0.5}
    assert len(sentences(figures)) == 3
    assert gpu_figures(PARAMS, [row("rotate", 1.0)]) == {}


def test_they_are_none_of_the_processors():
    with pytest.raises(ParameterError, match="'key switch' is unknown"):
        choose_operations("key switch")
