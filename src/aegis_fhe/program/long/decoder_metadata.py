"""A decoder's program out of its description and a source of constants."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import ContainerError
from aegis_fhe.program.graph import Graph
from aegis_fhe.program.long.compile import LongProgram
from aegis_fhe.program.long.decoder_facts import DecoderFacts, LayerFacts
from aegis_fhe.program.long.decoder_program import Constants, DecoderProgram


def program_from_metadata(facts: Mapping[str, Any], constants: Callable[[int], Constants]) -> DecoderProgram:
    """The inverse of `DecoderProgram.metadata`. Raises ContainerError for missing or mistyped fields."""
    try:
        decoded = msgspec.convert(facts, DecoderFacts, strict=False)
        params = Parameters.from_dict(decoded.parameters)
        bootstrap = BootstrapPlan.from_dict(params, decoded.bootstrap)
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise ContainerError(f"the program's description is incomplete or malformed: {error}") from error
    if not decoded.layers:
        raise ContainerError("the program's description has no layer: compile it again")
    layers = tuple(_layer(decoded, layer, params, bootstrap) for layer in decoded.layers)
    for before, after in itertools.pairwise(layers):
        if before.result_bound != after.hidden_bound:
            raise ContainerError("the layers of the program do not fit together: compile it again")
    digests = tuple(layer.digest for layer in decoded.layers)
    return DecoderProgram(layers=layers, constants=constants, digests=digests, origin=decoded.origin)


def _layer(
    decoded: DecoderFacts, layer: LayerFacts, params: Parameters, bootstrap: BootstrapPlan
) -> LongProgram:
    return LongProgram(
        params=params,
        layout=decoded.layout,
        placement=decoded.placement,
        graph=Graph(layer.nodes, layer.results),
        constants={},
        hidden_bound=layer.hidden_bound,
        result_bound=layer.result_bound,
        input_level=layer.input_level,
        max_tokens=decoded.max_tokens,
        bootstrap=bootstrap,
        public_tokens=decoded.public_tokens,
    )
