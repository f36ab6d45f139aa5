"""Values on a device from when they come to their last use, each in memory of its own or in another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aegis_fhe.placement.moves import Form


@dataclass
class AliveValues:
    """Values in their forms on a device, until nothing there needs them. left: how often each is needed."""

    left: dict[Form, Counter[str]]
    size: Callable[[str, Form], int]
    bytes: int = 0

    def __post_init__(self) -> None:
        self.held: dict[Form, dict[str, int]] = {"whole": {}, "shared": {}}
        self._together: dict[tuple[str, Form], _Memory] = {}

    def add(self, values: Iterable[str], form: Form) -> None:
        """Those that are there already stay."""
        held = self.held[form]
        for value in values:
            if value not in held:
                held[value] = self.size(value, form)
                self.bytes += held[value]

    def share(self, view: tuple[str, Form], source: tuple[str, Form]) -> None:
        """Both are there; the view is in the other's memory, and takes none of its own."""
        (name, form), (origin, whose) = view, source
        memory = self._together.get(source)
        if memory is None:
            memory = self._together[source] = _Memory(self.held[whose][origin], 1)
        self._together[view] = memory
        memory.views += 1
        self.bytes -= self.held[form][name]

    def use(self, values: Iterable[str], form: Form) -> None:
        """Once each."""
        left, held = self.left[form], self.held[form]
        for value in values:
            left[value] -= 1
            if left[value] <= 0 and value in held:
                self._free(value, form, held.pop(value))

    def _free(self, value: str, form: Form, size: int) -> None:
        memory = self._together.pop((value, form), None) if self._together else None
        if memory is None:
            self.bytes -= size
            return
        memory.views -= 1
        if not memory.views:
            self.bytes -= memory.bytes


@dataclass
class _Memory:
    """What several values lie in."""

    bytes: int
    views: int
