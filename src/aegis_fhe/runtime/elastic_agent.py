"""The agent of torch elastic on one host: starts all ranks, and all again when one fails, from its own order.

Ranks meet through files alone, so that no port is open for it. Run by `elastic`.
"""

from __future__ import annotations

import os
import sys
import threading
import uuid
from typing import Any

import msgspec

from aegis_fhe.runtime.events import LostEvent
from aegis_fhe.runtime.worker import exit_with_parent, read_order, send

SHUTDOWN_S = 5  # from SIGTERM to SIGKILL, for ranks that are stopped
JOIN_S = 300
LOOK_S = 0.1


class AgentConfig(msgspec.Struct, forbid_unknown_fields=True):
    """module, arguments: what each rank is. restarts: of all ranks, at most."""

    module: str
    arguments: list[str]
    ranks: int
    restarts: int


def run(config: AgentConfig) -> list[LostEvent]:
    """Until all ranks are done; else those that were lost in the last attempt, first first."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    launch = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=config.ranks,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_configs={"store_type": "file", "timeout": JOIN_S},
        max_restarts=config.restarts,
        monitor_interval=LOOK_S,
        local_addr="localhost",
    )
    try:
        elastic_launch(launch, sys.executable)("-m", config.module, *config.arguments)
    except ChildFailedError as error:
        lost = sorted(error.failures.items(), key=lambda item: item[1].timestamp)
        return [LostEvent(rank, failure.exitcode) for rank, failure in lost]
    return []


def main() -> None:
    """The whole process: ends with its parent, and its ranks with it."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    config: Any = msgspec.convert(read_order().config, AgentConfig)
    threading.Thread(target=exit_with_parent, daemon=True).start()
    os.environ["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = str(SHUTDOWN_S)  # as of torch 2.10, a name of theirs
    lost = run(config)
    for event in lost:
        send(stream, event)
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
