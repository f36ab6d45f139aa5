"""A language model compiled: its layers captured, calibrated on sample text, and placed on one bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.errors import RangeError
from aegis_fhe.models.decoder_model import DecoderModel
from aegis_fhe.models.network_calibration import calibrate_network
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.long.compile_decoder import compile_decoder, states_before
from aegis_fhe.program.long.decoder import decoder_layers
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.program.long.shape_program import Packing
from aegis_fhe.program.network import part_of
from aegis_fhe.program.network.graph import INPUT

TOKENS = 128
LEVELS_LEFT = 14
# Rotated inputs of one operator: so many of 17 limbs and a half take 4 GiB at N = 2^16.
MOST_BABIES = 256
# Texts from which ranges come, at most: each takes an exact pass in float64.
MOST_TEXTS = 64
_LEAST_TOKENS = 3


def compile_language_model(
    language: DecoderModel,
    texts: Sequence[str],
    *,
    origin: str,
    tokens: int = TOKENS,
    layers: int | None = None,
    bootstrap: BootstrapPlan | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> DecoderProgram:
    """The first `layers` layers, all by default, for texts of up to `tokens` tokens, public ones included.

    texts: samples like those that will come; the first MOST_TEXTS beginnings give the ranges. bootstrap: by
    default one of 128 bits at N = 2^16. Raises RangeError for too few texts or layers, and what capture and
    `compile_decoder` raise.
    """
    available = len(language.layers)
    if layers is not None and layers not in range(1, available + 1):
        raise RangeError(f"{layers} layers: the model has {available}, 1 at least is needed")
    ids = calibration_ids(language, texts, tokens)
    say("capturing the model")
    captured = capture_network(
        language.body, torch.ones(1, tokens, dtype=torch.long), output="last_hidden_state"
    )
    found = decoder_layers(captured.network, captured.weights)
    network = part_of(captured.network, INPUT, found[(layers or available) - 1].values["result"])
    chosen = decoder_layers(network, captured.weights)
    say(f"calibrating {len(chosen)} layers on {len(ids)} texts")
    public = language.public_ids
    ranges = calibrate_network(
        network,
        captured.weights,
        [language.embed(one) for one in ids],
        public_tokens=len(public),
        origin=f"{len(ids)} texts",
    )
    say("compiling")
    return compile_decoder(
        chosen,
        ranges,
        tokens=tokens,
        bootstrap=presets.n16(LEVELS_LEFT) if bootstrap is None else bootstrap,
        public=states_before(chosen, network, captured.weights, language.embed(public)),
        packing=Packing(most_babies=MOST_BABIES),
        origin=origin,
    )


def calibration_ids(language: DecoderModel, texts: Sequence[str], tokens: int) -> list[list[int]]:
    """The first `tokens` tokens of each text that has some. Raises RangeError when there is none."""
    least = len(language.public_ids) + _LEAST_TOKENS
    ids = [language.token_ids(text)[:tokens] for text in texts if text.strip()]
    long = [one for one in ids if len(one) >= least][:MOST_TEXTS]
    if not long:
        raise RangeError(
            f"no sample text has {_LEAST_TOKENS} tokens of its own: give texts like yours "
            "(--calibration FILE, one text per line)"
        )
    return long
