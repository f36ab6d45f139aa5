"""One operator call of an exported graph, with what capture knows of its arguments in place of tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import fx

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture.nearest import nearest_form


@dataclass(frozen=True, eq=False)
class Call:
    """`operator` is the name without overload: aten.add.Tensor is add. `path`: the module that called it."""

    operator: str
    path: str
    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, node: fx.Node, values: Mapping[fx.Node, Any]) -> Call:
        """A node of the graph, with `values` in place of the nodes that it uses."""

        def known(part: Any) -> Any:
            return values[part] if isinstance(part, fx.Node) else part

        args, kwargs = _map(node.args, known), {name: _map(part, known) for name, part in node.kwargs.items()}
        shape = tuple(getattr(node.meta.get("val"), "shape", ()))
        return cls(operator_name(node), module_path(node), node.target, args, kwargs, shape)

    def __getitem__(self, name: str) -> Any:
        """An argument by the name that the operator's schema gives it, or its default.

        Raises UnsupportedModuleError for an overload without it: another operator of the same name.
        """
        for index, argument in enumerate(self.target._schema.arguments):
            if argument.name == name:
                given = self.args[index] if index < len(self.args) else argument.default_value
                return self.kwargs.get(name, given)
        raise self.refusal()

    def operands(self) -> list[Any]:
        """All arguments, those inside lists included."""
        found: list[Any] = []
        self.substituted(found.append)
        return found

    def substituted(self, function: Callable[[Any], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(args, kwargs) with `function` applied to each argument, those inside lists included."""
        return _map(self.args, function), {name: _map(value, function) for name, value in self.kwargs.items()}

    def run(self, substitute: Callable[[Any], Any]) -> Any:
        """The operator on tensors that stand for its arguments."""
        args, kwargs = self.substituted(substitute)
        return self.target(*args, **kwargs)

    def refusal(self, reason: str = "") -> UnsupportedModuleError:
        """The error that names the module path, the operator and the nearest supported form."""
        why = reason or f"is not supported; nearest supported form: {nearest_form(self.operator)}"
        return UnsupportedModuleError(f"{self.path or 'the module'}: operator {self.operator} {why}")


def operator_name(node: fx.Node) -> str:
    """aten.add.Tensor -> add."""
    return getattr(node.target, "__name__", str(node.target)).split(".")[0]


def module_path(node: fx.Node) -> str:
    """Dotted path of the module that called the operator; empty for the outermost."""
    stack: Iterable[tuple[str, Any]] = (node.meta.get("nn_module_stack") or {}).values()
    paths = [path for path, _ in stack if path]
    # A module called several times is numbered: name@1.
    return re.sub(r"@\d+", "", paths[-1].removeprefix("L['self'].")) if paths else ""


def _map(argument: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(argument, (list, tuple)):
        return type(argument)(_map(part, function) for part in argument)
    return function(argument)
