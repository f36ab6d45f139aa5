"""Reads an exported graph operator by operator into a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx

from aegis_fhe.program.capture.builder import NetworkBuilder
from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.formula import ARITHMETIC, Formula
from aegis_fhe.program.capture.layers import LAYERS, is_layer
from aegis_fhe.program.capture.movement import KEEPS_ORDER, MOVES_ELEMENTS
from aegis_fhe.program.capture.settle import Settler
from aegis_fhe.program.capture.views import View, move


class GraphReader:
    """Symbols of the graph's nodes: constants, views of values, formulas, lists of them."""

    def __init__(self, builder: NetworkBuilder, symbols: dict[fx.Node, Any]) -> None:
        self._builder = builder
        self._symbols = symbols
        self._settler = Settler(builder)

    def read(self, nodes: Sequence[fx.Node], result: fx.Node) -> str:
        """Reads the nodes in order; returns the network's value that the result is."""
        for node in nodes:
            call = Call.of(node, self._symbols)
            self._symbols[node] = self._symbol(call)
        last = Call.of(result, self._symbols)
        return self._builder.rows(last, self._settler.view(self._symbols[result]))

    def _symbol(self, call: Call) -> Any:
        if call.operator in KEEPS_ORDER:
            return call.args[0]
        if call.operator == "getitem" and isinstance(call.args[0], list):
            return call.args[0][call.args[1]]
        if call.operator == "neg":
            view: View = self._settler.view(call.args[0])
            return view.negated()
        if call.operator in ARITHMETIC and not is_layer(call):
            return Formula(call)
        if call.operator in MOVES_ELEMENTS:
            parts = [part for part in call.operands() if isinstance(part, (View, Formula))]
            return move(call, {id(part): self._settler.view(part) for part in parts})
        if call.operator not in LAYERS:
            raise call.refusal()
        return LAYERS[call.operator](self._settler.call(call), self._builder)
