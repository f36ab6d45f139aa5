"""What `aegis plan --explain` prints."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from aegis_fhe.observe.table import format_bytes, format_seconds
from aegis_fhe.placement.alternatives import Alternative
from aegis_fhe.placement.explain import Explanation
from aegis_fhe.placement.traffic import LIMB_AXIS


def print_explanations(name: str, reasons: Sequence[Explanation]) -> None:
    """One paragraph for each group of collectives."""
    typer.echo(
        f"\n{name}: {len(reasons)} kinds of collectives remain" if reasons else f"\n{name}: nothing moves"
    )
    for one in reasons:
        typer.echo(describe(one))
        for alternative in one.alternatives:
            typer.echo(f"    instead: {describe_alternative(alternative)}")


def describe(one: Explanation) -> str:
    """What moves, and why."""
    low, high = one.levels
    levels = f"level {low}" if low == high else f"levels {low} to {high}"
    what = "exchanges of limbs" if one.axis == LIMB_AXIS else "cts"
    kind = one.kind.replace("_", "-")
    return (
        f"  {one.stage}, {kind} for {one.reader}: {one.ciphertexts} {what}, {levels}, "
        f"{format_bytes(one.received_bytes)}/device\n    because {one.dependency}"
    )


def describe_alternative(one: Alternative) -> str:
    """Its costs, and what they are of."""
    costs = [f"{format_bytes(one.received_bytes)} received"]
    costs += [format_seconds(one.seconds)] if one.seconds is not None else []
    costs += [f"{format_bytes(one.memory_bytes)} of memory"] if one.memory_bytes is not None else []
    scope = "the whole layer then takes" if one.whole_layer else "takes for these"
    return f"{one.name}; {scope} {', '.join(costs)}"
