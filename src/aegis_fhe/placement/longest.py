"""The longest text that fits a number of devices: by the least memory of any rendering, of one layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from aegis_fhe.errors import AegisError, LayoutError
from aegis_fhe.placement.choose import Planning
from aegis_fhe.placement.compare import AEGIS, Comparison
from aegis_fhe.placement.peak_memory import peak_memory
from aegis_fhe.placement.shape_memory import DeviceMemory
from aegis_fhe.placement.strategies import BABIES, Rendering
from aegis_fhe.placement.workload import Workload

LEAST_TOKENS = 128


def lengths_up_to(most: int) -> tuple[int, ...]:
    """Powers of two from 128 on, and 3/2 of them. Raises AegisError where there are none."""
    powers = [LEAST_TOKENS << k for k in range(max(0, most // LEAST_TOKENS).bit_length())]
    found = tuple(n for power in powers for n in (power, power * 3 // 2) if n <= most)
    if not found:
        raise AegisError(f"lengths up to {most}: expected at least {LEAST_TOKENS}")
    return found


@dataclass(frozen=True, kw_only=True)
class Least:
    """The rendering of a strategy that takes the least memory, by name, and what it takes per device."""

    rendering: str
    memory: DeviceMemory


@dataclass
class Lengths:
    """Least memory by strategy, devices and tokens, looked for once. workload: of any tokens and devices."""

    workload: Workload
    tried: Sequence[int]
    known: dict[tuple[str, int, int], Least | None] = field(default_factory=dict)

    def longest(self, strategy: str, devices: int, memory_bytes: int) -> int | None:
        """Of the lengths tried the longest that fits; None if none does.

        From the longest down, not by bisection: token blocks grow with the text, and larger ones take fewer
        keys, so a longer text may take less.
        """
        for tokens in sorted(self.tried, reverse=True):
            found = self.least(strategy, devices, tokens)
            if found is not None and found.memory.total <= memory_bytes:
                return tokens
        return None

    def least(self, strategy: str, devices: int, tokens: int) -> Least | None:
        """Over all packings and variants, with as few babies as are ever tried; None where there are none.

        `single` is on one device, however many there are.
        """
        key = strategy, 1 if strategy == "single" else devices, tokens
        if key not in self.known:
            comparison = Comparison(replace(self.workload, devices=key[1], tokens=tokens))
            found = list(_leasts(comparison, strategy))
            self.known[key] = min(found, key=lambda one: one.memory.total) if found else None
        return self.known[key]


def _leasts(comparison: Comparison, strategy: str) -> Iterator[Least]:
    for rendering in _renderings(comparison, strategy):
        # In chunks few babies are held anyway, and fewer to each giant step mean more turned queries.
        one = rendering.with_babies(None if rendering.in_chunks else BABIES[-1])
        program = comparison.carried(one.packing)
        if program is not None:
            yield Least(rendering=one.variant, memory=peak_memory(one, program))


def _renderings(comparison: Comparison, strategy: str) -> list[Rendering]:
    """None where a text has no token block for every device."""
    if strategy == AEGIS:
        return list(Planning(comparison.workload, comparison.program, comparison.seen_by).shared_by_limbs())
    try:
        return list(comparison.strategies()[strategy]())
    except LayoutError:
        return []
