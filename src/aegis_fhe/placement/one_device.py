"""What gains are measured by: the best programs of one device, with all the memory that they want."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_fhe.placement.evaluate import Evaluation


@dataclass(frozen=True, kw_only=True)
class OneDevice:
    """fastest: of all programs of one device, the planner's too; single: the fastest rendering of `single`.

    Speed-up is against the first. Memory against the second: the planner's programs buy a little time with
    much memory, or save much for a little, so they would be any reference.
    """

    fastest: Evaluation
    single: Evaluation

    def speedup(self, found: Evaluation) -> float:
        """How many times as fast."""
        return self.fastest.timeline.seconds / found.timeline.seconds

    def memory_share(self, found: Evaluation) -> dict[str, float]:
        """Of the memory of `single`, evaluation keys on both sides counted or left out."""
        own, whole = found.memory, self.single.memory
        return {
            "with_keys": own.total / whole.total,
            "without_keys": (own.total - own.keys) / (whole.total - whole.keys),
        }
