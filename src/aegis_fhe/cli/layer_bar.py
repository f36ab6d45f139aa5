"""The bar of a plan that runs: how far the slowest device is, by what its nodes were predicted to take."""

from __future__ import annotations

from types import TracebackType

from aegis_fhe.observe.progress import Progress
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.runtime.mesh.planned import PlannedProgram


class LayerBar:
    """Shown from the first word of a worker on; a context manager.

    A remaining time is shown where the plan's device was measured: of a projection it would be a guess.
    """

    def __init__(self, planned: PlannedProgram, *, quiet: bool) -> None:
        seconds = max(one.seconds for one in planned.timelines)
        rate = 1.0 if planned.machine.device.measured else None
        self.progress = Progress(seconds, quiet=quiet, seconds_per_weight=rate)
        self._shown = False

    def report(self, event: ProgressEvent) -> None:
        """What a worker says."""
        if not self._shown:
            self._shown = True
            self.progress.__enter__()
        self.progress.report(event.rank, event.stage, event.fraction)

    def __enter__(self) -> LayerBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self.progress.__exit__(kind, error, trace)
