"""A layer with weights as a program that runs on any backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks.key_request import KeyRequest
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import LayoutError, RangeError
from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.program.long.context import GridContext
from aegis_fhe.program.long.decoder import DecoderLayer
from aegis_fhe.program.long.degrees import choose_degrees
from aegis_fhe.program.long.divide import Division, NodeDivisions, divide
from aegis_fhe.program.long.graph import LayerGraph
from aegis_fhe.program.long.layout import Array, GridLayout
from aegis_fhe.program.long.levels import RefreshPlan, depth, place_refreshes
from aegis_fhe.program.long.placement import Placement
from aegis_fhe.program.long.shape import Degrees, LayerRanges, LayerShape
from aegis_fhe.program.long.shape_program import Packing, plan_layer
from aegis_fhe.program.long.steps import LayerPlan
from aegis_fhe.program.long.weights import LayerWeights, layer_constants
from aegis_fhe.program.simulate import NetworkRanges

V = TypeVar("V")


@dataclass(frozen=True, kw_only=True, eq=False)
class LongProgram:
    """Hidden states [tokens <= max_tokens, features] -> hidden states of the same shape, by one layer.

    hidden_bound: by which hidden states are divided before encryption; result_bound: by which results come
    out divided. input_level: of the inputs. bootstrap: None for a program of few enough levels.
    public_tokens: so many rows at the start are public: nothing of them is encrypted, and in results they are
    zero.
    """

    params: Parameters
    layout: GridLayout
    placement: Placement
    graph: Graph
    constants: Mapping[str, Array]
    hidden_bound: float
    result_bound: float
    input_level: int
    max_tokens: int
    bootstrap: BootstrapPlan | None = None
    public_tokens: int = 0

    def context(self, tokens: int) -> GridContext:
        """What operators may know in a run on a text of this length. Raises RangeError."""
        if not self.public_tokens < tokens <= self.max_tokens:
            raise RangeError(
                f"the text has {tokens} tokens, the program was compiled for {self.public_tokens + 1} to "
                f"{self.max_tokens}: "
                "shorten the text, or compile for more tokens"
            )
        return GridContext(
            constants=self.constants,
            scale=self.params.scale,
            tokens=tokens,
            bootstrap=self.bootstrap,
            public_tokens=self.public_tokens,
        )

    def divided(self, division: Division | NodeDivisions) -> LongProgram:
        """The same layer in parts."""
        return replace(self, graph=divide(self.graph, division))

    def input_names(self) -> list[str]:
        """Of the input ciphertexts, block by block, column by column: the order of the results."""
        columns, blocks = range(self.placement.columns), range(self.layout.blocks)
        return [f"x.{a}[{p}]" for p in blocks for a in columns]

    def pack(self, hidden: Array) -> dict[str, Array]:
        """Hidden states -> slot values of each input ciphertext, by name. Raises RangeError, LayoutError."""
        self.context(len(hidden))
        encrypted = np.where(np.arange(len(hidden))[:, None] < self.public_tokens, 0.0, hidden)
        grid = self.placement.pack(encrypted / self.hidden_bound, self.layout)
        return dict(zip(self.input_names(), (values for row in grid for values in row), strict=True))

    def unpack(self, results: Mapping[str, Array], tokens: int) -> Array:
        """Slot values of each result -> hidden states [tokens, features]."""
        flat, n = [results[name] for name in self.graph.results], self.placement.columns
        grid = [flat[start : start + n] for start in range(0, len(flat), n)]
        hidden = self.placement.unpack(grid, self.layout)[:tokens] * self.result_bound
        hidden[: self.public_tokens] = 0.0
        return hidden

    def run(
        self,
        backend: Backend[V],
        inputs: Mapping[str, V],
        tokens: int,
        *,
        observe: Callable[[Node, Sequence[V]], None] | None = None,
    ) -> dict[str, V]:
        """The results on any backend."""
        return run_graph(self.graph, backend, inputs, self.context(tokens), observe=observe)

    def run_clear(
        self, hidden: Array, *, observe: Callable[[Node, Sequence[object]], None] | None = None
    ) -> Array:
        """On float64 slots: what the approximations do, without encryption noise."""
        backend = ClearBackend(self.params.q, self.params.slots)
        inputs = {
            name: backend.encode(values, self.input_level, self.params.scale)
            for name, values in self.pack(hidden).items()
        }
        results = self.run(backend, inputs, len(hidden), observe=observe)
        return self.unpack({name: value.slots for name, value in results.items()}, len(hidden))

    def key_requests(self) -> list[KeyRequest]:
        """The evaluation keys that the program uses, each at the highest level that uses it."""
        backend = SymbolicBackend(self.params.q, self.params.slots)
        fresh = Symbol(self.input_level, self.params.scale)
        self.run(backend, dict.fromkeys(self.input_names(), fresh), self.max_tokens)
        return backend.counts.key_requests()


def compile_layer(
    shape: LayerShape,
    weights: LayerWeights,
    ranges: LayerRanges,
    *,
    tokens: int,
    bootstrap: BootstrapPlan,
    degrees: Degrees | None = None,
    packing: Packing | None = None,
    most_scores: int | None = None,
) -> LongProgram:
    """The layer for texts of up to `tokens` tokens, refreshed where `place_refreshes` says.

    packing: as many tokens in a ciphertext as fit by default. most_scores: of score ciphertexts that stay
    from one round of normalise-and-square to the next; where there would be more they are computed again.
    None for any number.
    Raises LayoutError for weights of another shape, LevelError, RangeError.
    """
    plan = layer_plan(shape, weights, ranges, degrees, bootstrap.params.slots, tokens, packing)
    plan = replace(plan, most_scores=most_scores)
    found = place_refreshes(plan.steps(), fresh=bootstrap.output_level, lowest=bootstrap.input_level)
    program = layer_program(plan, weights, ranges, tokens, bootstrap.params, found, bootstrap)
    return replace(program, constants=layer_constants(weights, shape, ranges, plan.fits))


def compile_decoder_layer(
    layer: DecoderLayer,
    known: NetworkRanges,
    *,
    tokens: int,
    bootstrap: BootstrapPlan,
    public: Array | None = None,
    packing: Packing | None = None,
    most_scores: int | None = None,
) -> LongProgram:
    """A layer of a captured network, for texts of up to `tokens` tokens, its first ones public.

    public: hidden states [public tokens, features] before the layer, as many as the calibration left out.
    packing, most_scores: as `compile_layer`. Raises RangeError, LayoutError, LevelError.
    """
    ranges = layer.ranges(known)
    if known.public_tokens != (0 if public is None else len(public)):
        raise RangeError(f"the ranges hold for {known.public_tokens} public tokens: give their hidden states")
    return compile_layer(
        layer.shape,
        layer.weights_for(known, public),
        ranges,
        tokens=tokens,
        bootstrap=bootstrap,
        degrees=choose_degrees(layer.shape, ranges, tokens=tokens),
        packing=packing,
        most_scores=most_scores,
    )


def compile_unrefreshed(
    shape: LayerShape,
    weights: LayerWeights,
    ranges: LayerRanges,
    *,
    slots: int,
    tokens: int,
    parameters: Callable[[int], Parameters],
    degrees: Degrees | None = None,
    most_scores: int | None = None,
) -> LongProgram:
    """The layer without a bootstrap, on `parameters(levels)` with as many levels as it takes.

    most_scores: as `compile_layer`. Raises as it does.
    """
    plan = replace(layer_plan(shape, weights, ranges, degrees, slots, tokens), most_scores=most_scores)
    levels = depth(plan.steps())
    params = parameters(levels)
    if params.slots != slots or params.max_level < levels:
        raise LayoutError(
            f"parameters of {params.slots} slots and {params.max_level} levels; {slots} slots and {levels} "
            "levels are needed"
        )
    found = RefreshPlan(start=levels, refreshed=frozenset(), bootstraps=0)
    program = layer_program(plan, weights, ranges, tokens, params, found, None)
    return replace(program, constants=layer_constants(weights, shape, ranges, plan.fits))


def layer_plan(
    shape: LayerShape,
    weights: LayerWeights,
    ranges: LayerRanges,
    degrees: Degrees | None,
    slots: int,
    tokens: int,
    packing: Packing | None = None,
) -> LayerPlan:
    """The layer on its grid, nothing refreshed yet. Raises LayoutError for weights of another shape."""
    weights.check(shape, tokens)
    degrees = Degrees() if degrees is None else degrees
    plan = plan_layer(shape, slots=slots, tokens=tokens, ranges=ranges, degrees=degrees, packing=packing)
    return replace(plan, known=weights.known)


def layer_program(
    plan: LayerPlan,
    weights: LayerWeights,
    ranges: LayerRanges,
    tokens: int,
    params: Parameters,
    refreshes: RefreshPlan,
    bootstrap: BootstrapPlan | None,
) -> LongProgram:
    """The program without its constants (`layer_constants`)."""
    return LongProgram(
        params=params,
        layout=plan.layout,
        placement=plan.placements.hidden,
        graph=LayerGraph(plan, refreshes.refreshed, ranges).graph(refreshes.start),
        constants={},
        hidden_bound=ranges.hidden,
        result_bound=ranges.result_bound,
        input_level=refreshes.start,
        max_tokens=tokens,
        bootstrap=bootstrap,
        public_tokens=weights.public_tokens,
    )
