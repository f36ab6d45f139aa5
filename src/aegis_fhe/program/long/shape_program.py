"""A layer as a graph from its shape alone: what plans and counts are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.program.graph import Graph
from aegis_fhe.program.long.context import GridContext
from aegis_fhe.program.long.divide import Division, NodeDivisions, divide
from aegis_fhe.program.long.fits import LayerFits
from aegis_fhe.program.long.graph import LayerGraph
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.levels import RefreshPlan, place_refreshes
from aegis_fhe.program.long.shape import Degrees, LayerRanges, LayerShape
from aegis_fhe.program.long.steps import LayerPlan


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How a text lies in ciphertexts. block_tokens: of a token block, T, by default as many as fit.

    head_groups: groups of heads with columns of their own. most_babies: rotated inputs that an operator holds
    at a time (`LayerPlan`). giant_steps: of attention, at most; by default as many as take the fewest
    rotations.
    """

    block_tokens: int | None = None
    head_groups: int = 1
    most_babies: int | None = None
    giant_steps: int | None = None


class Ones(dict[str, np.ndarray]):
    """Every constant is one, without axes: a matrix or a vector of ones, whatever its size."""

    def __missing__(self, name: str) -> np.ndarray:
        return np.asarray(1.0)


def plan_layer(
    shape: LayerShape,
    *,
    slots: int,
    tokens: int,
    ranges: LayerRanges,
    degrees: Degrees,
    packing: Packing | None = None,
) -> LayerPlan:
    """The layer on the grid for texts of up to `tokens` tokens; scores are masked where some are no keys."""
    packing = Packing() if packing is None else packing
    layout = GridLayout.of(slots, tokens, packing.block_tokens)
    masked = shape.causal or tokens < layout.tokens * layout.blocks
    return LayerPlan(
        shape,
        layout,
        LayerFits.of(shape, ranges, degrees),
        masked,
        most_babies=packing.most_babies,
        head_groups=packing.head_groups,
        giant_steps=packing.giant_steps,
    )


@dataclass(frozen=True, kw_only=True)
class ShapeProgram:
    """One layer of a shape: its graph, undivided, and what operators may know in a symbolic run."""

    plan: LayerPlan
    refreshes: RefreshPlan
    graph: Graph
    context: GridContext
    bootstrap: BootstrapPlan

    @classmethod
    def of(
        cls,
        shape: LayerShape,
        bootstrap: BootstrapPlan,
        *,
        tokens: int,
        packing: Packing | None = None,
        degrees: Degrees | None = None,
        ranges: LayerRanges | None = None,
        most_scores: int | None = None,
    ) -> ShapeProgram:
        """ranges: by default any with as many rounds as the degrees. most_scores: as `LayerPlan`.

        Raises LayoutError, and LevelError when no choice of bootstraps carries the layer.
        """
        params, degrees = bootstrap.params, Degrees() if degrees is None else degrees
        ranges = LayerRanges.assumed(len(degrees.rounds)) if ranges is None else ranges
        plan = plan_layer(
            shape, slots=params.slots, tokens=tokens, ranges=ranges, degrees=degrees, packing=packing
        )
        plan = replace(plan, most_scores=most_scores)
        found = place_refreshes(plan.steps(), fresh=bootstrap.output_level, lowest=bootstrap.input_level)
        graph = LayerGraph(plan, found.refreshed, ranges).graph(found.start)
        context = GridContext(constants=Ones(), scale=params.scale, tokens=tokens, bootstrap=bootstrap)
        return cls(plan=plan, refreshes=found, graph=graph, context=context, bootstrap=bootstrap)

    def divided(self, division: Division | NodeDivisions) -> ShapeProgram:
        """The same layer in parts."""
        return replace(self, graph=divide(self.graph, division))

    @property
    def symbols(self) -> dict[str, Symbol]:
        """Of the input ciphertexts."""
        fresh = Symbol(self.refreshes.start, self.bootstrap.params.scale)
        columns = range(self.plan.placements.hidden.columns)
        return {f"x.{a}[{p}]": fresh for p in range(self.plan.layout.blocks) for a in columns}
