"""The signature of every operator of a graph: its inputs traced through what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.coupling.operations import joined
from aegis_fhe.placement.coupling.places import Places, places
from aegis_fhe.placement.coupling.reads import Traced, Tracing
from aegis_fhe.placement.coupling.signature import GRID_AXES, Coupling, Reading, Signature, coupling
from aegis_fhe.program.graph import Node
from aegis_fhe.program.known_nodes import equal_runs
from aegis_fhe.program.operators import Context, Input, Operator


@dataclass(frozen=True, kw_only=True)
class OperatorCoupling:
    """What an operator ties together.

    roles: for each role of its inputs, how results depend on their indices; token and feature blocks differ
    between roles, the axes of one ciphertext do not. places: of inputs and results. reads: for each result,
    the numbers of the inputs that it is made of.
    """

    roles: Mapping[str, Signature]
    places: Places
    reads: tuple[frozenset[int], ...]

    @property
    def ciphertext(self) -> Signature:
        """Component, limb and coefficient alone."""
        some = next(iter(self.roles.values()), Signature())
        return Signature(component=some.component, limb=some.limb, coefficient=some.coefficient)


class Couplings:
    """Signatures of the operators of one context; equal ones on equal levels are traced once."""

    def __init__(self, params: Parameters, context: Context) -> None:
        self.params, self.context = params, context
        self._known: dict[tuple[Operator, tuple[tuple[Symbol, int], ...], int], OperatorCoupling] = {}

    def of(self, node: Node, symbols: Mapping[str, Symbol]) -> OperatorCoupling:
        """symbols: of the node's inputs at least. Raises what the operator raises; CompatibilityError for an
        operator of whose places nothing is known.
        """
        inputs = tuple(symbols[name] for name in node.inputs)
        key = node.operator, equal_runs(inputs), len(node.outputs)
        if key not in self._known:
            self._known[key] = self._traced(node.operator, inputs, len(node.outputs))
        return self._known[key]

    def _traced(self, operator: Operator, symbols: Sequence[Symbol], outputs: int) -> OperatorCoupling:
        where = places(operator, len(symbols), outputs)
        if isinstance(operator, Input):
            return OperatorCoupling(roles={}, places=where, reads=(frozenset(),) * outputs)
        backend = Tracing(self.params.q, self.params.slots)
        inputs: list[Symbol] = [*backend.inputs(symbols, where.inputs)]
        results = operator.lower(backend, inputs, self.context)
        traced = [found for found in results if isinstance(found, Traced)]
        assert len(traced) == len(results) == outputs
        inside = joined(backend.counts.totals())
        roles = dict.fromkeys(place.role for place in where.inputs)
        return OperatorCoupling(
            roles={
                role: inside.joined(
                    Signature(
                        token_block=_along(traced, where, 2 * number),
                        feature_block=_along(traced, where, 2 * number + 1),
                    )
                )
                for number, role in enumerate(roles)
            },
            places=where,
            reads=tuple(_bits(found.reads) for found in traced),
        )


def _along(results: Sequence[Traced], where: Places, bit: int) -> Coupling:
    """Of one role and axis, by their number in `Traced.touched`."""
    axis = GRID_AXES[bit % len(GRID_AXES)]
    readings: list[Reading] = []
    for found, place in zip(results, where.outputs, strict=True):
        own: int = getattr(place, axis)
        readings.append((own, _bits(found.touched[bit]), not found.mixed >> bit & 1))
    return coupling(readings)


def _bits(number: int) -> frozenset[int]:
    return frozenset(i for i in range(number.bit_length()) if number >> i & 1)
