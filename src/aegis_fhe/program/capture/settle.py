"""From a complete formula to the node that it is."""

from __future__ import annotations

from typing import Any

from aegis_fhe.program.capture.activations import activation
from aegis_fhe.program.capture.builder import NetworkBuilder
from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.constants import Constant, scalar
from aegis_fhe.program.capture.formula import Formula
from aegis_fhe.program.capture.heads import softmax_attention
from aegis_fhe.program.capture.layers import elementwise, rms_norm_of
from aegis_fhe.program.capture.masks import is_causal
from aegis_fhe.program.capture.rms_norm import rms_norm
from aegis_fhe.program.capture.rotary import rotary
from aegis_fhe.program.capture.spelled_attention import SpelledAttention, spelled_attention
from aegis_fhe.program.capture.views import View
from aegis_fhe.program.network import Add, Multiply, Tanh


class Settler:
    """Makes each formula's nodes once; what only a larger formula needed is never made."""

    def __init__(self, builder: NetworkBuilder) -> None:
        self._builder = builder
        self._settled: dict[Formula, View] = {}

    def view(self, symbol: Any) -> Any:
        """A formula's value; everything else as it is."""
        if not isinstance(symbol, Formula):
            return symbol
        if symbol not in self._settled:
            self._settled[symbol] = self._known_form(symbol) or self._plain(symbol)
        return self._settled[symbol]

    def call(self, call: Call) -> Call:
        """The call on values."""
        args, kwargs = call.substituted(self.view)
        return Call(call.operator, call.path, call.target, args, kwargs, call.shape)

    def _known_form(self, formula: Formula) -> View | None:
        found = activation(formula)
        if found is not None:
            operator, x = found
            return elementwise(formula.call, self._builder, operator, self.view(x))
        attention = spelled_attention(formula)
        if attention is not None:
            return self._attention(formula.call, attention)
        norm = rms_norm(formula)
        if norm is not None:
            return rms_norm_of(formula.call, self._builder, self.view(norm.x), norm.weight, norm.epsilon)
        return rotary(formula, self._builder)

    def _attention(self, call: Call, found: SpelledAttention) -> View:
        causal = is_causal(found.call, found.mask, self._builder.tokens)
        queries, keys, values = (self.view(part) for part in (found.queries, found.keys, found.values))
        if isinstance(keys, View):
            keys = keys.with_entries(keys.entries.transpose(-1, -2))
        return softmax_attention(call, self._builder, (queries, keys, values), found.scale, causal)

    def _plain(self, formula: Formula) -> View:
        call = formula.call
        if call.operator == "tanh":
            return elementwise(call, self._builder, Tanh(), self.view(call["self"]))
        if call.operator not in ("add", "mul"):
            raise call.refusal()
        operands = call["self"], call["other"]
        if any(isinstance(part, Constant) or scalar(part) is not None for part in operands):
            raise call.refusal(
                "combines a value with constants; nearest supported form: Linear (torch.nn.Linear), "
                "with the constant in its weight or bias"
            )
        first, second = (self.view(part) for part in operands)
        if call.operator == "mul":
            return elementwise(call, self._builder, Multiply(), first, second)
        if call["alpha"] != 1:
            raise call.refusal(
                "weighs its second term; nearest supported form: Add, with the factor in a Linear"
            )
        return elementwise(call, self._builder, Add(), first, second)
