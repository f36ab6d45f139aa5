"""Devices: seconds by hand, the floor of memory, files that come back the same or are refused."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.errors import ContainerError, ParameterError
from aegis_fhe.placement.cost import (
    DEVICES,
    KERNELS,
    DeviceFile,
    DeviceModel,
    KernelCounts,
    KernelSeconds,
    Setting,
    load_device,
    read_device_file,
    write_device_file,
)
from aegis_fhe.placement.cost.presets import BOOTSTRAP_PRODUCTS, PRODUCTS
from aegis_fhe.placement.plaintext_counts import bootstrap_counts

N = 1 << 16


def kernel_seconds(unit):
    return KernelSeconds(**{name: unit * (i + 1) for i, name in enumerate(KERNELS)})


def setting(threads, unit=1e-6):
    return Setting(
        threads=threads,
        median=kernel_seconds(2 * unit),
        fastest=kernel_seconds(unit),
        memory_bytes_per_second=8e9,
    )


FILE = DeviceFile(
    name="a machine",
    provenance="measured on a machine",
    log_degree=16,
    memory_bytes=1 << 34,
    settings=(setting(1), setting(2, 0.5e-6)),
)


def test_seconds_by_hand():
    device = FILE.device(1, fastest=True)  # ntt 1 us, inverse 2 us, ...
    counts = KernelCounts(ntt=10, inverse_ntt=5, conversion_product=100)
    assert device.seconds(counts, N) == pytest.approx(10e-6 + 10e-6 + 300e-6)
    # Half the degree: transforms 15/32 as long, multiply-adds half.
    assert device.seconds(counts, N // 2) == pytest.approx(20e-6 * 15 / 32 + 150e-6)


def test_memory_is_the_floor():
    device = FILE.device(1, fastest=True)
    counts = KernelCounts(ntt=1, memory_rows=2)
    assert device.computing_seconds(counts, N) == pytest.approx(1e-6)
    assert device.memory_seconds(counts, N) == pytest.approx(2 * N * 8 / 8e9)
    assert device.seconds(counts, N) == device.memory_seconds(counts, N)


@pytest.mark.parametrize("kernel", [*KERNELS, "memory_rows"])
def test_more_of_a_kernel_is_never_faster(kernel):
    one = KernelCounts(**{kernel: 1})
    for device in (*DEVICES.values(), FILE.device()):
        assert device.seconds(one + one, N) > device.seconds(one, N)
        assert device.seconds(one, 2 * N) > device.seconds(one, N)


def test_files_round_trip(tmp_path):
    path = tmp_path / "here.json"
    write_device_file(path, FILE)
    assert read_device_file(path) == FILE
    assert load_device(path) == FILE.device(2)
    assert load_device(str(path), 1, fastest=True) == FILE.device(1, fastest=True)
    assert load_device(path, 1).kernels == kernel_seconds(2e-6)
    with pytest.raises(ContainerError, match="cannot be written"):
        write_device_file(tmp_path / "no folder" / "here.json", FILE)


def facts(**changes):
    return {**msgspec.to_builtins(FILE), **changes}


def with_kernel(**changes):
    first = msgspec.to_builtins(setting(1))
    return facts(settings=[{**first, "median": {**first["median"], **changes}}])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (facts(format="aegis-link"), "of kind 'aegis-link'"),
        (facts(version=7), "version 7, not 1"),
        (facts(colour="red"), "unknown field `colour`"),
        (facts(settings=[]), "settings"),
        (facts(settings=[msgspec.to_builtins(setting(1))] * 2), "repeat a number of threads"),
        (facts(log_degree=40), "log_degree"),
        (facts(memory_bytes=0), "memory_bytes"),
        (facts(provenance=""), "provenance"),
        (with_kernel(ntt=0), "ntt"),
        (with_kernel(addition=-1e-6), "addition"),
        (with_kernel(product="fast"), "product"),
        (with_kernel(speed=1.0), "unknown field `speed`"),
        ([], "not a file of kind"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, content, said):
    path = tmp_path / "device.json"
    path.write_bytes(msgspec.json.encode(content))
    with pytest.raises(ContainerError, match=said) as refused:
        load_device(path)
    assert "aegis calibrate --kernels" in str(refused.value)


def test_devices_that_there_are_not(tmp_path):
    with pytest.raises(ParameterError, match="a100, h100, h200"):
        load_device("b200")
    with pytest.raises(ParameterError, match="not measured with 3 threads"):
        FILE.device(3)
    with pytest.raises(ParameterError, match="no threads"):
        load_device("h100", 2)
    with pytest.raises(ContainerError, match="cannot be read"):
        read_device_file(tmp_path / "nothing.json")


def test_projections_are_what_their_page_says():
    """Our bootstrap's kernels, in modular products, take the published seconds; memory allows them."""
    counts = bootstrap_counts(presets.n16())
    published = {"a100": 42.5e-3, "h100": 31.2e-3, "h200": 31.2e-3 * 3.35 / 4.8}
    products = {"a100": 0.145e-6, "h100": 0.106e-6, "h200": 0.074e-6}
    floored = {"a100": 50.4e-3, "h100": 33.6e-3, "h200": 23.4e-3}
    assert set(DEVICES) == set(published)
    for name, device in DEVICES.items():
        kernels = counts.kernels(device, encoded=True)
        counted = sum(PRODUCTS[kernel] * getattr(kernels, kernel) for kernel in KERNELS)
        assert counted == BOOTSTRAP_PRODUCTS
        assert device.computing_seconds(kernels, N) == pytest.approx(published[name], rel=1e-9)
        assert device.memory_seconds(kernels, N) < published[name]
        assert device.kernels.key_product == pytest.approx(products[name], rel=0.01)
        assert counts.seconds(device, encoded=True) == pytest.approx(floored[name], rel=0.02)
        assert device.provenance.startswith("projected from")
        assert "nothing was measured" in device.provenance
        assert load_device(name) is device
        assert isinstance(device, DeviceModel)


def test_costs_need_no_torch():
    """A plan for 64 devices is made on a laptop: neither torch nor what imports it."""
    code = "import sys, aegis_fhe.placement.cost; assert 'torch' not in sys.modules, 'torch was imported'"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
