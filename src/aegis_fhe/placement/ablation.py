"""What each way to hide exchanges gives: a plan's timeline with it, and with it alone switched off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aegis_fhe.placement.evaluate import STAGES, Evaluation, evaluate, in_stage
from aegis_fhe.placement.facts import Seen
from aegis_fhe.placement.timeline import Timeline
from aegis_fhe.program.long.divide import REWRITES, without
from aegis_fhe.program.long.shape_program import ShapeProgram

OVERLAP = "overlap"
DESCRIPTIONS = {**REWRITES, OVERLAP: "exchanges are under way while a device computes"}


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """without: by rewrite, of those that change the plan, and of overlap: the timeline with all others."""

    planned: Timeline
    without: Mapping[str, Timeline]

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        found = {name: timeline_facts(timeline) for name, timeline in self.without.items()}
        return {"planned": timeline_facts(self.planned), "without": found}


def ablation(
    found: Evaluation, program: ShapeProgram, seen: Seen | None = None, team_seen: Seen | None = None
) -> Ablation:
    """program, seen, team_seen: as `evaluate` had them."""
    nodes, rendering = program.divided(found.rendering.division).graph, found.rendering
    timelines: dict[str, Timeline] = {}
    for name in REWRITES:
        division = without(rendering.division, name)
        if program.divided(division).graph != nodes:
            other = evaluate(replace(rendering, division=division), program, found.machine, seen, team_seen)
            timelines[name] = other.timeline
    return Ablation(planned=found.timeline, without={**timelines, OVERLAP: found.blocking})


def timeline_facts(timeline: Timeline) -> dict[str, Any]:
    """Seconds, and those of waiting by reported stage; of the device that is done last."""
    return {
        "seconds": timeline.seconds,
        "exposed_seconds": {name: in_stage(timeline.exposed, name) for name in STAGES},
    }
