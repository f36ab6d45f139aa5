"""`aegis bench replay`: every device of a plan measured on this one, and what they would take together."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from aegis_fhe.bench.planned_run import DrawnProgram, require_room
from aegis_fhe.bench.replay import ReplayedWorld, measure_replays
from aegis_fhe.bench.result_rows import record_facts
from aegis_fhe.bench.scaling import best_plan, scaling_workload
from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.cli.circumstances import circumstances
from aegis_fhe.cli.measured_device import measured_device
from aegis_fhe.cli.world_sizes import world_sizes
from aegis_fhe.errors import CompatibilityError, ParameterError
from aegis_fhe.observe.table import format_bytes, format_seconds, results_table
from aegis_fhe.placement.cost import load_network
from aegis_fhe.placement.evaluate import STAGES, Machine
from aegis_fhe.placement.plan_file import StoredPlan, read_plan_file
from aegis_fhe.placement.planned_layer import PlannedLayer

DEGREES = range(11, 15)
SECONDS = ("devices", "computed", "projected", "priced", "speed-up", "efficiency", "waiting")
BYTES = ("devices", "mesh", "plan", "held", "predicted", "received", "sent")


def bench_replay(
    *,
    n: int,
    threads: int,
    runs: int,
    worlds: str,
    tokens: int,
    link: str,
    plans: Sequence[Path],
    device: str | None,
    output: Path | None,
    record: bool,
    as_json: bool,
) -> None:
    """Of plans' files where there are some; or else, at degree 2^n and of no security, of plans that are made
    for devices as fast as this one, on links by name. threads: of each device. device: a GPU that takes the
    part of each in turn, by default this machine's processor.
    """
    found = _read(plans) if plans else _planned(n, threads, worlds, tokens, link, device)
    replayed = []
    for stored, layer in found:
        require_room(stored, at_once=1, kernels=device)
        replayed.append(ReplayedWorld(DrawnProgram.of(stored, layer, seed=1), device))
    (stored, layer), params = found[0], found[0][1].bootstrap.params
    facts = {
        "log_n": params.log_degree,
        "model": stored.model,
        "tokens": stored.tokens,
        "link": stored.machine.network.name,
        "link_measured": stored.machine.network.measured,
        **measure_replays(replayed, runs=runs, threads=threads, say=_say),
    }
    if record:
        record_facts("replay", output, facts | circumstances("replay", params), _say)
    if as_json:
        print(json.dumps(facts))
    else:
        _print(facts, params.describe_security())


def _planned(
    n: int, threads: int, worlds: str, tokens: int, link: str, device: str | None
) -> list[tuple[StoredPlan, PlannedLayer]]:
    sizes, network = world_sizes(worlds), load_network(link)
    if n not in DEGREES:
        raise ParameterError(f"--n {n}: replay takes {DEGREES.start} to {DEGREES.stop - 1}, or --plan")
    bootstrap, memory = presets.tiny(n, strided=False), psutil.virtual_memory().total
    machine = Machine(
        device=measured_device(replace(bootstrap.params, kernel_path=device), threads, _say), network=network
    )
    found = []
    for size in sizes:
        workload = scaling_workload(bootstrap, machine, tokens=tokens, devices=size, memory_bytes=memory)
        _, stored, layer = best_plan(workload, _say)
        found.append((stored, layer))
    return found


def _read(plans: Sequence[Path]) -> list[tuple[StoredPlan, PlannedLayer]]:
    """Raises CompatibilityError for plans that say nothing of each other."""
    found = [read_plan_file(path).plan() for path in plans]
    devices, first = [one.devices for one in found], found[0]
    if devices[0] != 1 or devices != sorted(set(devices)):
        raise CompatibilityError(
            f"plans for {', '.join(map(str, devices))} devices: expected one for 1 device first, then for "
            "more and more (aegis plan --devices 1 -o FILE)"
        )
    for path, one in zip(plans, found, strict=True):
        same = one.model, one.tokens, one.parameters.fingerprint, one.machine.network
        if same != (first.model, first.tokens, first.parameters.fingerprint, first.machine.network):
            raise CompatibilityError(
                f"{path} is a plan for another layer or other links than {plans[0]}: give plans that differ "
                "in the number of devices"
            )
    return [(one, PlannedLayer.of(one)) for one in found]


def _print(facts: Mapping[str, Any], security: str) -> None:
    console, worlds = Console(), facts["worlds"]
    title = (
        f"Projection: one layer of {facts['tokens']} tokens, N = 2^{facts['log_n']}, ranks measured one by "
        f"one, {facts['link']}"
    )
    console.print(results_table(title, SECONDS, [_seconds(facts, world) for world in worlds]))
    console.print(results_table("Measured: memory and bytes", BYTES, [_bytes(world) for world in worlds]))
    title = "Seconds that the device that is last computes, measured / priced"
    console.print(results_table(title, ("devices", *STAGES), [_stages(world) for world in worlds]))
    for line in _lines(facts, security):
        console.print(line, markup=False, highlight=False)


def _seconds(facts: Mapping[str, Any], world: Mapping[str, Any]) -> tuple[str, ...]:
    size = str(world["devices"])
    return (
        size,
        format_seconds(max(world["computing"])),
        format_seconds(world["seconds"]),
        format_seconds(world["predicted_seconds"]),
        f"{facts['speedup'][size]:.3f}",
        f"{100 * facts['efficiency'][size]:.1f} %",
        f"{100 * world['waiting']:.1f} %",
    )


def _bytes(world: Mapping[str, Any]) -> tuple[str, ...]:
    every = (world[kind] for kind in ("held_bytes", "predicted_held_bytes"))
    held, predicted = (max(one["total"] for one in ranks) for ranks in every)
    moved = (max(world[kind]) for kind in ("received_bytes", "sent_bytes"))
    return (
        str(world["devices"]),
        f"{world['mesh'][0]} x {world['mesh'][1]}",
        world["rendering"],
        *map(format_bytes, (held, predicted, *moved)),
    )


def _stages(world: Mapping[str, Any]) -> tuple[str, ...]:
    both = (world["stages"][name] for name in STAGES)
    times = (f"{one['seconds']:.2f} / {one['predicted_seconds']:.2f}" for one in both)
    return (str(world["devices"]), *times)


def _lines(facts: Mapping[str, Any], security: str) -> Iterator[str]:
    measured = "as measured" if facts["link_measured"] else "as described, not measured"
    yield (
        "Measured: what every rank computes, holds and exchanges, each in turn by itself on this machine, "
        f"{facts['threads']} thread(s), medians of {facts['runs']} run(s) of each node; of one thread the "
        "processor's seconds, as kernels are priced. Bytes were those of the plan. Computed, held, received, "
        "sent: of the device with most."
    )
    yield (
        f"Projected: how devices wait for each other, on {facts['link']} ({measured}), in the order of the "
        "plan. Efficiency is T(1) / (G T(G)), T(1) of one device's own plan. Priced: the same with prices of "
        "kernels in place of what was measured."
    )
    yield f"Parameters: {security}."


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
