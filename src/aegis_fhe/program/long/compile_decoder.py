"""A captured decoder compiled as one program: the fewest bootstraps for all its layers together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aegis_fhe.circuits.bootstrap import BootstrapPlan
from aegis_fhe.errors import RangeError
from aegis_fhe.program.long.compile import layer_plan, layer_program
from aegis_fhe.program.long.decoder import DecoderLayer
from aegis_fhe.program.long.decoder_program import Constants, DecoderProgram, constants_digest
from aegis_fhe.program.long.degrees import choose_degrees
from aegis_fhe.program.long.fits import LayerFits
from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.long.levels import RefreshPlan, place_chain
from aegis_fhe.program.long.shape import LayerRanges
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
    most_babies: int | None = None,
    origin: str,
) -> DecoderProgram:
    """The layers in turn, for texts of up to `tokens` tokens, on the calibrated ranges of their network.

    The stream is stored over one bound until it is refreshed, and over the refreshed value's own from there
    on: that costs nothing (`Refresh`). public: hidden states [public tokens, features] before each layer
    (`states_before`), as many tokens as the calibration left out. most_babies: as `compile_layer`. Raises
    RangeError for ranges that a layer cannot carry or that are of other layers, LayoutError, LevelError.
    """
    public, slots = _checked(layers, known, public), bootstrap.params.slots
    weights = [
        layer.weights_for(known, public[index] if public else None) for index, layer in enumerate(layers)
    ]
    ranges = [layer.ranges(known) for layer in layers]
    degrees = [choose_degrees(layer.shape, r, tokens=tokens) for layer, r in zip(layers, ranges, strict=True)]
    plans = [
        layer_plan(layer.shape, own, r, chosen, slots, tokens)
        for layer, own, r, chosen in zip(layers, weights, ranges, degrees, strict=True)
    ]
    chain = place_chain(
        [plan.steps() for plan in plans], fresh=bootstrap.output_level, lowest=bootstrap.input_level
    )
    ranges = _stream_bounds(layers, ranges, chain, known)
    plans = [
        replace(plan, fits=LayerFits.of(plan.shape, r, chosen), most_babies=most_babies)
        for plan, r, chosen in zip(plans, ranges, degrees, strict=True)
    ]
    programs = tuple(
        layer_program(plan, own, r, tokens, bootstrap.params, refreshes, bootstrap)
        for plan, own, r, refreshes in zip(plans, weights, ranges, chain, strict=True)
    )
    constants = _FoldedConstants(plans, weights, ranges)
    digests = tuple(constants_digest(constants(index)) for index in range(len(plans)))
    return DecoderProgram(layers=programs, constants=constants, digests=digests, origin=origin)


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


def _stream_bounds(
    layers: Sequence[DecoderLayer],
    ranges: Sequence[LayerRanges],
    chain: Sequence[RefreshPlan],
    known: NetworkRanges,
) -> list[LayerRanges]:
    """The ranges with what divides the stream where a layer begins, from its middle on, and at its end."""
    bounds, found = known.bounds, []
    entering = bounds[layers[0].values["input"]]
    for layer, own, plan in zip(layers, ranges, chain, strict=True):
        names = layer.values
        middle = bounds[names["middle"]] if "middle" in plan.refreshed else entering
        result = bounds[names["result"]] if "output" in plan.refreshed else middle
        found.append(replace(own, hidden=entering, middle=middle, result=result))
        entering = result
    if bounds[layers[-1].values["result"]] > MOST_ABOVE_BOUND * entering:
        raise RangeError(
            f"the result may be {bounds[layers[-1].values['result']] / entering:.0f} times what it is stored "
            f"over, {MOST_ABOVE_BOUND:.0f} times at most: compile more layers, or calibrate without outliers"
        )
    return found


@dataclass(frozen=True)
class _FoldedConstants:
    """Constants of a layer, made when they are asked for."""

    plans: Sequence[LayerPlan]
    weights: Sequence[LayerWeights]
    ranges: Sequence[LayerRanges]

    def __call__(self, index: int) -> Constants:
        plan = self.plans[index]
        return layer_constants(self.weights[index], plan.shape, self.ranges[index], plan.fits)
