"""A captured decoder compiled as one program: the fewest bootstraps for all its layers together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.errors import RangeError
from aegis_fhe.program.long.compile import layer_plan, layer_program
from aegis_fhe.program.long.decoder import DecoderLayer
from aegis_fhe.program.long.decoder_program import Constants, DecoderProgram, constants_digest
from aegis_fhe.program.long.degrees import choose_degrees
from aegis_fhe.program.long.fits import LayerFits
from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.long.levels import RefreshPlan, place_chain
from aegis_fhe.program.long.shape import Degrees, LayerRanges
from aegis_fhe.program.long.shape_program import Packing
from aegis_fhe.program.long.steps import LayerPlan
from aegis_fhe.program.long.weights import LayerWeights, layer_constants
from aegis_fhe.program.network import Network, NetworkNode, evaluate
from aegis_fhe.program.network.graph import INPUT
from aegis_fhe.program.network.operators import Weights
from aegis_fhe.program.simulate import NetworkRanges

# The last result may lie at level 0, whose prime is 2^10 times the scale.
MOST_ABOVE_BOUND = 2.0**8


def compile_decoder(
    layers: Sequence[DecoderLayer],
    known: NetworkRanges,
    *,
    tokens: int,
    bootstrap: BootstrapPlan,
    public: Sequence[Array] = (),
    packing: Packing | None = None,
    most_scores: int | None = None,
    origin: str,
) -> DecoderProgram:
    """The layers in turn, for texts of up to `tokens` tokens, on the calibrated ranges of their network.

    The stream is stored over one bound until it is refreshed, and over the refreshed value's own from there
    on: that costs nothing (`Refresh`). public: hidden states [public tokens, features] before each layer
    (`states_before`), as many tokens as the calibration left out. packing, most_scores: as `compile_layer`.
    Raises RangeError for ranges that a layer cannot carry or that are of other layers,
    LayoutError, LevelError.
    """
    public = _checked(layers, known, public)
    found = [
        _Layer.of(
            layer,
            known,
            public[index] if public else None,
            slots=bootstrap.params.slots,
            tokens=tokens,
            packing=packing,
            most_scores=most_scores,
        )
        for index, layer in enumerate(layers)
    ]
    chain = place_chain(
        [layer.plan.steps() for layer in found], fresh=bootstrap.output_level, lowest=bootstrap.input_level
    )
    found = _with_stream_bounds(found, chain, known)
    programs = tuple(
        layer_program(layer.plan, layer.weights, layer.ranges, tokens, bootstrap.params, refreshes, bootstrap)
        for layer, refreshes in zip(found, chain, strict=True)
    )
    return DecoderProgram(
        layers=programs,
        constants=lambda index: found[index].constants(),
        digests=tuple(constants_digest(layer.constants()) for layer in found),
        origin=origin,
    )


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """A layer on its way to a program."""

    values: Mapping[str, str]
    weights: LayerWeights
    ranges: LayerRanges
    degrees: Degrees
    plan: LayerPlan

    @classmethod
    def of(
        cls,
        layer: DecoderLayer,
        known: NetworkRanges,
        public: Array | None,
        *,
        slots: int,
        tokens: int,
        packing: Packing | None,
        most_scores: int | None,
    ) -> _Layer:
        """With the degrees that its ranges ask for."""
        weights, ranges = layer.weights_for(known, public), layer.ranges(known)
        degrees = choose_degrees(layer.shape, ranges, tokens=tokens)
        plan = layer_plan(layer.shape, weights, ranges, degrees, slots, tokens, packing)
        plan = replace(plan, most_scores=most_scores)
        return cls(values=layer.values, weights=weights, ranges=ranges, degrees=degrees, plan=plan)

    def stored_over(self, hidden: float, middle: float, result: float) -> _Layer:
        """The same layer on a stream that is divided by these bounds in turn."""
        ranges = replace(self.ranges, hidden=hidden, middle=middle, result=result)
        plan = replace(self.plan, fits=LayerFits.of(self.plan.shape, ranges, self.degrees))
        return replace(self, ranges=ranges, plan=plan)

    def constants(self) -> Constants:
        """Made when they are asked for."""
        return layer_constants(self.weights, self.plan.shape, self.ranges, self.plan.fits)


def states_before(
    layers: Sequence[DecoderLayer], network: Network, weights: Weights, embedded: Array
) -> list[Array]:
    """Hidden states [tokens, features] before each layer of the network, in float64."""
    wanted = {layer.values["input"] for layer in layers}
    seen = {INPUT: embedded}

    def observe(node: NetworkNode, inputs: Sequence[Array], value: Array) -> None:
        if node.name in wanted:
            seen[node.name] = value

    evaluate(network, weights, embedded, observe=observe)
    return [seen[layer.values["input"]] for layer in layers]


def _checked(
    layers: Sequence[DecoderLayer], known: NetworkRanges, public: Sequence[Array]
) -> Sequence[Array]:
    if not layers:
        raise RangeError("no layer to compile: give one at least")
    lengths = {len(states) for states in public} or {0}
    if lengths != {known.public_tokens} or len(public) not in (0, len(layers)):
        raise RangeError(
            f"the ranges hold for {known.public_tokens} public tokens: give their hidden states before each "
            "layer"
        )
    missing = [name for layer in layers for name in layer.values.values() if name not in known.bounds]
    if missing:
        raise RangeError(f"the ranges say nothing of {missing[0]}: they belong to another network")
    return public


def _with_stream_bounds(
    layers: Sequence[_Layer], chain: Sequence[RefreshPlan], known: NetworkRanges
) -> list[_Layer]:
    """Each stretch of the stream is stored over the bound of the value that was refreshed at its start."""
    bounds, found = known.bounds, []
    entering = bounds[layers[0].values["input"]]
    for layer, plan in zip(layers, chain, strict=True):
        names = layer.values
        middle = bounds[names["middle"]] if "middle" in plan.refreshed else entering
        result = bounds[names["result"]] if "output" in plan.refreshed else middle
        found.append(layer.stored_over(entering, middle, result))
        entering = result
    last = bounds[layers[-1].values["result"]] / entering
    if last > MOST_ABOVE_BOUND:
        raise RangeError(
            f"the result may be {last:.0f} times what it is stored over, not {MOST_ABOVE_BOUND:.0f} at most: "
            "compile more layers, or calibrate without outliers"
        )
    return found
