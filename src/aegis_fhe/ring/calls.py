"""Work that is done again and again on tensors of the same shapes: as it comes, or launched whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

from torch import Tensor

Work: TypeAlias = Callable[[Sequence[Tensor]], Sequence[Tensor]]


class Calls:
    """Runs everything as it comes."""

    def call(
        self, key: Hashable, inputs: Sequence[Tensor], work: Work, settled: Callable[[], bool]
    ) -> Sequence[Tensor]:
        """What `work` makes of the inputs.

        key: names the work together with the shapes; equal keys mean the same operations on the same
        constants. settled: whether those lie where they will lie the next time.
        """
        return work(inputs)


class CapturedCalls(Calls, ABC):
    """The second call of a key is captured; it and every later one replay what it launched.

    The first call makes tables and brings constants. Where the work is not settled after it, it runs as it
    comes until it is. Results are copies: a replay writes over its own.
    """

    def __init__(self) -> None:
        self.captures = self.replays = 0
        self._seen: set[Hashable] = set()
        self._captured: dict[Hashable, tuple[list[Tensor], Sequence[Tensor], Callable[[], None]]] = {}

    def call(
        self, key: Hashable, inputs: Sequence[Tensor], work: Work, settled: Callable[[], bool]
    ) -> Sequence[Tensor]:
        """As of the class."""
        if key not in self._captured:
            if key not in self._seen or not settled():
                self._seen.add(key)
                return work(inputs)
            own = [x.clone() for x in inputs]
            self._captured[key] = own, *self._capture(lambda: work(own))
            self.captures += 1
        own, results, replay = self._captured[key]
        for mine, x in zip(own, inputs, strict=True):
            mine.copy_(x)
        replay()
        self.replays += 1
        return [y.clone() for y in results]

    @abstractmethod
    def _capture(self, run: Callable[[], Sequence[Tensor]]) -> tuple[Sequence[Tensor], Callable[[], None]]:
        """The tensors that `run` gives, and what computes them anew. Running `run` for good is not needed."""
