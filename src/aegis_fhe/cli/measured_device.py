"""This machine as a device of the cost model, measured for a plan that is made now."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from aegis_fhe.bench.device_calibration import calibrate_device
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost import DeviceModel


def measured_device(params: Parameters, threads: int, say: Callable[[str], None]) -> DeviceModel:
    """With so many threads and all of this machine's memory; seconds at N = 2^12."""
    found = calibrate_device(
        params,
        (threads,),
        name="this machine",
        provenance=f"measured at N = 2^{params.log_degree}, kernels {params.ring.path}",
        memory_bytes=psutil.virtual_memory().total,
        say=say,
    )
    return found.device(threads)
