"""A comparison as plain data, and what would make a strategy fit that does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aegis_fhe.placement.compare import Verdict
from aegis_fhe.placement.cure import find_cure
from aegis_fhe.placement.evaluate import STAGES, Evaluation, in_stage
from aegis_fhe.placement.one_device import OneDevice
from aegis_fhe.placement.workload import Workload

# Where no plan that fits was found.
ADVICE = {
    "keys": "share limbs between devices (limb_parallel), which shares the keys too",
    "weights": "use more devices",
    "activations": "use more devices or a shorter text",
    "workspace": "use more devices or a shorter text",
}


def strategy_facts(verdict: Verdict, one_device: OneDevice) -> dict[str, Any]:
    """What a plan's JSON says of one strategy."""
    tried = {"renderings_tried": verdict.tried, "fits": verdict.fits}
    return {**evaluation_facts(verdict.best, one_device), **tried}


def evaluation_facts(found: Evaluation, one_device: OneDevice) -> dict[str, Any]:
    """Of one rendering; bytes are of the device that receives most, of one layer."""
    gain = one_device.speedup(found)
    return {
        "rendering": found.rendering.variant,
        "seconds": found.timeline.seconds,
        "seconds_blocking": found.blocking.seconds,
        "speedup": gain,
        "efficiency": gain / found.plan.mesh.world_size,
        "devices": found.plan.mesh.world_size,
        "stages": {**{name: _stage(found, name) for name in STAGES}, "total": _total(found)},
        "memory_bytes_per_device": {**asdict(found.memory), "total": found.memory.total},
        "memory_share_of_single": one_device.memory_share(found),
    }


def plan_facts(
    model: str, layers: int, workload: Workload, verdicts: Mapping[str, Verdict], one_device: OneDevice
) -> dict[str, Any]:
    """A whole plan; all figures are of one of the model's equal layers."""
    params = workload.bootstrap.params
    return {
        "model": model,
        "layers": layers,
        "tokens": workload.tokens,
        "devices": workload.devices,
        "objective": workload.objective,
        "device": workload.machine.device.name,
        "device_provenance": workload.machine.device.provenance,
        "device_memory_bytes": workload.memory_bytes,
        "link": workload.machine.network.name,
        "parameters": {
            "name": params.name,
            "log_degree": params.log_degree,
            "limbs": len(params.q),
            "special_limbs": len(params.p),
            "digits": len(params.digits(params.max_level)),
            "digit_limbs": params.digit_size,
            "bootstrap_depth": workload.bootstrap.depth,
            "levels_between_bootstraps": workload.bootstrap.levels_left,
            "log_qp": params.log_qp,
            "security_bits": params.security_bits,
            "fingerprint": params.fingerprint(),
        },
        "one_device": _one_device(one_device, workload),
        "strategies": {name: strategy_facts(verdict, one_device) for name, verdict in verdicts.items()},
    }


def describe_parameters(workload: Workload) -> str:
    """In one line: limbs, digits, bootstrap, security."""
    params, bootstrap = workload.bootstrap.params, workload.bootstrap
    return (
        f"N = 2^{params.log_degree}, {len(params.q)} + {len(params.p)} limbs in "
        f"{len(params.digits(params.max_level))} digits, a bootstrap takes {bootstrap.depth} levels and "
        f"leaves {bootstrap.levels_left}; {params.describe_security()}"
    )


def describe_misfit(name: str, verdicts: Mapping[str, Verdict], workload: Workload) -> str:
    """By how many bytes a strategy lacks memory, on what, and what to change: a plan that fits, if any."""
    memory = verdicts[name].best.memory
    parts = asdict(memory)
    largest = max(parts, key=lambda part: parts[part])
    over = memory.total - workload.memory_bytes
    return (
        f"{name} needs {memory.total / 2**30:.2f} GiB per device, {over / 2**30:.2f} GiB more than "
        f"{workload.memory_bytes / 2**30:.2f} GiB; most of it, {parts[largest] / 2**30:.2f} GiB, are "
        f"{largest}: {_cure(name, verdicts, workload, largest)}"
    )


def _cure(name: str, verdicts: Mapping[str, Verdict], workload: Workload, largest: str) -> str:
    found = find_cure(name, workload, verdicts)
    if found is None:
        return ADVICE[largest]
    devices = f"{found.devices} device" + ("s" if found.devices > 1 else "")
    return f"{found.strategy} on {devices} fits with {found.memory_bytes / 2**30:.2f} GiB each"


def _one_device(found: OneDevice, workload: Workload) -> dict[str, Any]:
    """What every speed-up is against, and every share of memory."""
    return {**_program(found.fastest, workload), "single": _program(found.single, workload)}


def _program(found: Evaluation, workload: Workload) -> dict[str, Any]:
    return {
        "rendering": found.rendering.variant,
        "seconds": found.timeline.seconds,
        "memory_bytes": found.memory.total,
        "fits": found.memory.total <= workload.memory_bytes,
    }


def _stage(found: Evaluation, name: str) -> dict[str, Any]:
    return {
        "bytes_received_per_device": found.received(name),
        "collectives": dict(found.collectives(name)),
        "exposed_seconds": in_stage(found.timeline.exposed, name),
    }


def _total(found: Evaluation) -> dict[str, Any]:
    collectives: Counter[str] = sum((found.collectives(name) for name in STAGES), Counter())
    return {
        "bytes_received_per_device": found.traffic.most,
        "collectives": dict(collectives),
        "exposed_seconds": sum(found.timeline.exposed.values()),
    }
