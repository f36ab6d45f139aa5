"""One tiny encrypted layer, bootstraps included, with its keys and the results of one device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

from aegis_fhe.bench.drawn_layer import DrawnLayer, draw_layer
from aegis_fhe.circuits.bootstrap import BootstrapPlan, presets
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, SlotVector
from aegis_fhe.ckks.secret import SecretKey, encapsulation_keys, encrypt, evaluation_keys
from aegis_fhe.program.long.compile import LongProgram, compile_layer
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.long.shape import Degrees, LayerShape
from aegis_fhe.program.long.shape_program import Packing
from aegis_fhe.ring import native

SHAPE = LayerShape.encoder(features=8, heads=2, hidden=16)
DEGREES = Degrees(exponential=15, squarings=0, reciprocal=15, newton_steps=0, inverse_sqrt=15, activation=15)
TOKENS = 16


@dataclass(frozen=True)
class Encrypted:
    """One layer with its keys, its inputs, and what one device makes of them."""

    layer: DrawnLayer
    program: LongProgram
    secret: SecretKey
    keys: EvaluationKeys
    inputs: dict[str, Ciphertext]

    @cached_property
    def results(self) -> dict[str, Ciphertext]:
        """Of one device alone. Workers that only hand in their share do not ask for them."""
        return self.program.run(Evaluator(self.program.params, self.keys), self.inputs, TOKENS)

    @property
    def symbols(self) -> dict[str, Symbol]:
        """Of the inputs."""
        return dict.fromkeys(self.inputs, Symbol(self.program.input_level, self.program.params.scale))


@cache
def bootstrap() -> BootstrapPlan:
    """N = 2^9 with four strided digits, which one, two and four devices hold whole."""
    return presets.tiny(9)


@cache
def encrypted(
    division: Division | None = None,
    shape: LayerShape = SHAPE,
    packing: Packing | None = None,
    degrees: Degrees = DEGREES,
    seed: bytes = b"layer",
) -> Encrypted:
    native.set_threads(1)
    layer, plan = draw_layer(shape, TOKENS), bootstrap()
    program = compile_layer(
        shape,
        layer.weights,
        layer.ranges,
        tokens=TOKENS,
        bootstrap=plan,
        degrees=degrees,
        packing=packing,
    )
    if division is not None:
        program = program.divided(division)
    params = program.params
    secret = SecretKey.generate(params, seed=seed)
    keys = EvaluationKeys.collect(
        params,
        evaluation_keys(secret, program.key_requests(), seed=seed),
        encapsulation_keys(secret, plan.weight, seed=seed),
    )
    inputs = {
        name: encrypt(secret, SlotVector(v), level=program.input_level, seed=name.encode()).expand(params)
        for name, v in program.pack(layer.hidden).items()
    }
    return Encrypted(layer, program, secret, keys, inputs)
