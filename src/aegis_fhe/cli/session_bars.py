"""Two progress bars in turn: bytes of keys at the client, then the workers' operations by their cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from aegis_fhe.ckks.keys import KeyRequest, half_bytes, parameters_of
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.observe.progress import Progress
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.service.session import SessionResult

Advance = Callable[[str, float], None]
OnProgress = Callable[[ProgressEvent], None]


def run_under_bars(
    params: Parameters,
    requests: Sequence[KeyRequest],
    work: float,
    start: Callable[[Advance, OnProgress], SessionResult],
    *,
    quiet: bool,
) -> SessionResult:
    """What `start` returns, which reports its keys and its progress. work: of the slowest worker."""
    key_bytes = sum(half_bytes(parameters_of(params, request), request.level) for request in requests)
    with ExitStack() as open_bars:
        keys = open_bars.enter_context(Progress(float(key_bytes), quiet=quiet))
        bars = [keys]

        def on_progress(event: ProgressEvent) -> None:
            if bars[-1] is keys:
                open_bars.close()  # one live bar at a time
                bars.append(open_bars.enter_context(Progress(work, quiet=quiet)))
            bars[-1].report(event.rank, event.stage, event.fraction)

        return start(keys.advance, on_progress)
