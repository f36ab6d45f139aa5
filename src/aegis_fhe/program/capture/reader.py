"""Reads an exported graph operator by operator into a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx

from aegis_fhe.program.capture.builder import NetworkBuilder
from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.constants import Constant
from aegis_fhe.program.capture.formula import ARITHMETIC, Formula
from aegis_fhe.program.capture.layers import LAYERS, elementwise, tanh
from aegis_fhe.program.capture.movement import KEEPS_ORDER, MOVES_ELEMENTS
from aegis_fhe.program.capture.views import View, move
from aegis_fhe.program.network import Add, Multiply


class GraphReader:
    """Symbols of the graph's nodes: constants, views of values, formulas, lists of them."""

    def __init__(self, builder: NetworkBuilder, symbols: dict[fx.Node, Any]) -> None:
        self._builder = builder
        self._symbols = symbols
        self._settled: dict[Formula, View] = {}

    def read(self, nodes: Sequence[fx.Node], result: fx.Node) -> str:
        """Reads the nodes in order; returns the network's value that the result is."""
        for node in nodes:
            call = Call.of(node, self._symbols)
            self._symbols[node] = self._symbol(call)
        last = Call.of(result, self._symbols)
        return self._builder.rows(last, self._view(self._symbols[result]))

    def _symbol(self, call: Call) -> Any:
        if call.operator in KEEPS_ORDER:
            return call.args[0]
        if call.operator == "getitem" and isinstance(call.args[0], list):
            return call.args[0][call.args[1]]
        if call.operator in ARITHMETIC:
            return Formula(call)
        views = {id(part): self._view(part) for part in call.operands() if isinstance(part, (View, Formula))}
        if call.operator in MOVES_ELEMENTS:
            return move(call, views)
        if call.operator not in LAYERS:
            raise call.refusal()
        return LAYERS[call.operator](self._with_views(call), self._builder)

    def _with_views(self, call: Call) -> Call:
        args, kwargs = call.substituted(self._view)
        return Call(call.operator, call.path, call.target, args, kwargs, call.shape)

    def _view(self, symbol: Any) -> Any:
        """A formula's value; everything else as it is."""
        if not isinstance(symbol, Formula):
            return symbol
        if symbol not in self._settled:
            self._settled[symbol] = self._settle(symbol)
        return self._settled[symbol]

    def _settle(self, formula: Formula) -> View:
        call = self._with_views(formula.call)
        if call.operator == "tanh":
            return tanh(call, self._builder)
        first, second = call["self"], call["other"]
        if isinstance(first, Constant) or isinstance(second, Constant) or not isinstance(second, View):
            raise call.refusal(
                "combines a value with constants; nearest supported form: Linear (torch.nn.Linear), "
                "with the constant in its weight or bias"
            )
        if call.operator == "mul":
            return elementwise(call, self._builder, Multiply(), first, second)
        if call["alpha"] != 1:
            raise call.refusal(
                "weighs its second term; nearest supported form: Add, with the factor in a Linear"
            )
        return elementwise(call, self._builder, Add(), first, second)
