"""`aegis doctor`: what this machine has, what is missing for the demo, and the cure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from aegis_fhe.cli.checks import Check, Status, examine

MARKS: dict[Status, str] = {"ok": "ok", "note": "note", "missing": "MISSING"}


def print_table(checks: list[Check]) -> None:
    """The checks as a table, then the cures, then the verdict."""
    width = max(len(check.name) for check in checks)
    for check in checks:
        typer.echo(f"{check.name:<{width}}  {MARKS[check.status]:<7}  {check.found}")
    cures = [check for check in checks if check.cure]
    if cures:
        typer.echo()
    for check in cures:
        typer.echo(f"{check.name:<{width}}  cure:    {check.cure}")


def doctor(
    device: Annotated[
        str | None, typer.Option(help="A kernel path, cuda or cuda:1: only say whether it runs here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what this machine has, what is missing, and the cure.

    Exit status 0 when `aegis demo` can run here, 1 when something is missing. Raises ParameterError, which
    says what, for a device that is not here.
    """
    if device is not None:
        from aegis_fhe.ring import native

        typer.echo(f"kernel path {native.choose_path(device)} runs here")
        return
    checks = list(examine())
    able = all(check.status != "missing" for check in checks)
    if as_json:
        typer.echo(json.dumps({"able": able, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        print_table(checks)
        typer.echo("\nThis machine can run `aegis demo`." if able else "\n`aegis demo` cannot run here yet.")
    raise typer.Exit(0 if able else 1)
