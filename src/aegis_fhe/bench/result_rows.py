"""What a benchmark leaves: rows, printed as JSON and appended to a file with the circumstances of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from aegis_fhe.bench import provenance
from aegis_fhe.bench.timing import Quantiles
from aegis_fhe.errors import AegisError


@dataclass(frozen=True, kw_only=True)
class Row:
    """One operation: its size, our times, and those of a peer where one can do it.

    limbs, special_limbs: what the operation works on, in our parameters (1 and 0 for a single limb); dnum:
    digits of the key switch. `peer`, `peer_ms` and `ratio` are None together.
    """

    operation: str
    log_n: int
    limbs: int
    special_limbs: int
    dnum: int
    threads: int
    ours_ms: Quantiles
    peer: str | None
    peer_ms: Quantiles | None
    ratio: float | None

    @classmethod
    def of(
        cls,
        operation: str,
        *,
        log_n: int,
        limbs: int,
        special_limbs: int,
        dnum: int,
        threads: int,
        ours_ms: Quantiles,
        peer: str | None = None,
        peer_ms: Quantiles | None = None,
    ) -> Row:
        """A row with ratio = the peer's median / our median: above 1 we are faster."""
        measured = peer is not None and peer_ms is not None
        return cls(
            operation=operation,
            log_n=log_n,
            limbs=limbs,
            special_limbs=special_limbs,
            dnum=dnum,
            threads=threads,
            ours_ms=ours_ms,
            peer=peer if measured else None,
            peer_ms=peer_ms if measured else None,
            ratio=peer_ms.median / ours_ms.median if peer_ms is not None and measured else None,
        )


def to_json(rows: Sequence[Row]) -> str:
    """A JSON list of objects whose keys are the fields of `Row`."""
    return msgspec.json.encode(list(rows)).decode()


def append_rows(
    path: Path,
    rows: Sequence[Row],
    circumstances: Mapping[str, Any],
    extras: Mapping[str, Mapping[str, Any]],
) -> None:
    """Append one line of JSON for each row: its fields, then `circumstances`, then its operation's `extras`.

    Missing folders are made. Raises AegisError when the file cannot be written.
    """
    common = dict(circumstances)
    append_facts(
        path, [msgspec.to_builtins(row) | common | dict(extras.get(row.operation, {})) for row in rows]
    )


def append_facts(path: Path, facts: Sequence[Mapping[str, Any]]) -> None:
    """Append one line of JSON for each. Missing folders are made. Raises AegisError as `append_rows`."""
    lines = [msgspec.json.encode(one) for one in facts]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
    except OSError as error:
        raise AegisError(f"{path} cannot be written ({error.strerror}): give another file") from error


def record_facts(
    benchmark: str, output: Path | None, row: Mapping[str, Any], say: Callable[[str], None]
) -> None:
    """Append the row as `record` does."""
    record(benchmark, output, lambda path: append_facts(path, [row]), say)


def record(
    benchmark: str, output: Path | None, append: Callable[[Path], None], say: Callable[[str], None]
) -> None:
    """`append` to `output`, by default to where the benchmark's rows are kept in a checkout.

    A file that nobody asked for is no reason to lose a measurement: then what is wrong is only said.
    """
    path = output or provenance.default_results(benchmark)
    if path is None:
        return
    try:
        append(path)
    except AegisError as error:
        if output is not None:
            raise
        say(f"not recorded: {error}")
    else:
        say(f"recorded in {path}")
