"""Seconds of kernels from those of samples, exactly; and samples that do what they are counted as."""

from __future__ import annotations

import pytest
import torch

from aegis_fhe.bench.device_calibration import OF_SAMPLE, PAIRS, calibrate_device, kernel_seconds
from aegis_fhe.bench.kernel_samples import KernelSamples
from aegis_fhe.bench.model_check import check_model
from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.placement.cost import KERNELS, KernelCounts, OperationCosts, load_device
from aegis_fhe.placement.plaintext_counts import chain_of

PLAN = presets.insecure(9)


@pytest.fixture(scope="module")
def samples():
    return KernelSamples(PLAN.params).samples()


def test_every_kernel_comes_from_one_sample():
    found = [*OF_SAMPLE.values()] + [kernel for pair in PAIRS for kernel in (pair[0], pair[2])]
    assert sorted(found) == sorted(KERNELS)


def test_seconds_are_found_again(samples):
    """Times made up from seconds of kernels give these seconds back."""
    seconds = {kernel: 1e-6 * (3 + i % 5) for i, kernel in enumerate(KERNELS)} | {"copy": 1e-10}
    times = {
        name: sum(count * seconds[kernel] for kernel, count in sample.takes.items())
        for name, sample in samples.items()
    }
    found = kernel_seconds(samples, times)
    for kernel in KERNELS:
        assert getattr(found, kernel) == pytest.approx(seconds[kernel], rel=1e-9), kernel


def test_noise_makes_no_kernel_free_or_negative(samples):
    """A small sample that took longer than the large one, and a difference below zero."""
    times = dict.fromkeys(samples, 0.001) | {"key product": 0.5e-3, "division": 1e-9}
    found = kernel_seconds(samples, times)
    assert all(getattr(found, kernel) > 0 for kernel in KERNELS)


def test_samples_take_what_operations_take(samples):
    """The shares in which samples count kernels are those of the model's formulas."""
    params = PLAN.params
    costs, top = OperationCosts(chain_of(params), load_device("h100")), params.max_level

    def of(operation):
        counts = costs.kernels(operation, top)
        return {name: getattr(counts, name) for name in KERNELS if getattr(counts, name)}

    assert samples["division"].takes == of("mod down")
    assert samples["rescale"].takes == of("rescale")
    product, row = of("product"), costs.kernels("product row", top).tensor_row
    assert samples["product of ciphertexts"].takes == product | {"tensor_row": 3.5 * row}
    extra = {"accumulation", "joined"}
    takes = {**samples["sum of key products"].takes, "joined": top + 1}
    assert takes == of("accumulated rotation")
    assert extra < set(takes)


def test_samples_compute(samples):
    """Each gives residues that are not all the same; a transform and its inverse are one another's."""
    for name, sample in samples.items():
        result = sample.run()
        assert isinstance(result, torch.Tensor)
        assert name == "copy" or len(result.unique()) > 10, name
    before = samples["uniform"].run().clone()
    samples["ntt"].run()
    assert torch.equal(samples["inverse_ntt"].run(), before)


def test_a_machine_is_measured():
    said: list[str] = []
    found = calibrate_device(
        PLAN.params,
        (1, 2, 2),
        name="here",
        provenance="measured",
        memory_bytes=1 << 30,
        rounds=1,
        say=said.append,
    )
    assert [setting.threads for setting in found.settings] == [1, 2]
    assert found.log_degree == 9
    assert len(said) == 2
    device = found.device(1)
    assert device.operation_seconds == found.settings[0].operation_seconds
    assert device.seconds(KernelCounts(ntt=1), 512) > 0
    for setting in found.settings:
        assert setting.memory_bytes_per_second > 1e6
        assert 1e-6 < setting.operation_seconds < 1e-1
    checked = {one.operation: one for one in check_model(PLAN, device, 1, runs=1)}
    assert {"rotate", "product + relinearise", "rescale", "matrix product", "bootstrap"} <= set(checked)
    for one in checked.values():
        assert one.predicted > 0
        assert one.measured > 0
        assert one.ratio == one.predicted / one.measured
