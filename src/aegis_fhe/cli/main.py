"""`aegis`: one command, one file. A command's file is imported when the command is called, not before.

So `aegis --help` and `aegis doctor` start at once, and work where torch or the native kernels are missing.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from aegis_fhe.errors import AegisError, CompatibilityError
from aegis_fhe.runtime.garbage import no_collection

# name -> its line in `aegis --help`. The command is the function of that name in `aegis_fhe.cli.<name>`, and
# the line is the first line of the function's docstring (a test holds them together).
COMMANDS = {
    "demo": "Embed two sentences with an encrypted Transformer and compare them.",
    "embed": "Embed texts with a sentence encoder: encrypted, simulated or in clear.",
    "calibrate": "Find the ranges of a model's values on sample text, and report them.",
    "train": "Train a sentiment classifier on film reviews: a folder that can be compiled.",
    "compile": "Compile an encoder, a classifier or a language model into a folder that `aegis run` takes.",
    "run": "Run a compiled folder on texts, client and workers on this machine.",
    "worker": "Evaluate a client's ciphertexts: reads a folder of files, adds results.",
    "evaluate": "Predict the accuracy of an encrypted model, against the exact one.",
    "counts": "Count a model's operations, bootstraps, weights and keys at any length.",
    "plan": "Predict bytes, seconds and memory of one layer on several devices, from shapes alone.",
    "longest": "Find the longest text that fits a number of devices, by strategy, from shapes alone.",
    "layer": "Run one encrypted layer as a plan says, on worker processes of this machine.",
    "params": "Show parameter sets: bits, security and key sizes.",
    "bench": "Measure operations beside another library's, or a layer on several devices beside one.",
    "doctor": "Say what this machine has, what is missing, and the cure.",
}


def load_command(name: str) -> Any:
    """Import `aegis_fhe.cli.<name>` and make a command of its function `<name>`.

    Raises `CompatibilityError` when something that the command imports cannot be imported here.
    """
    try:
        with no_collection():
            module = importlib.import_module(f"aegis_fhe.cli.{name}")
    except (ImportError, OSError) as error:  # OSError: a shared library that does not load
        raise CompatibilityError(f"{name} cannot start: {error}; `aegis doctor` names the cure") from error
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command(name)(getattr(module, name))
    return typer.main.get_command(single)


class DeferredCommand(TyperCommand):
    """Stands in for a command in the list of commands, and becomes it when it is called."""

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        """The context of the real command, so that its options, its help and its function are used."""
        return load_command(str(self.name)).make_context(info_name, args, parent=parent, **extra)


class DeferredGroup(TyperGroup):
    """The commands of `COMMANDS`, in that order."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The stand-in of a command, or None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        return DeferredCommand(cmd_name, help=COMMANDS[cmd_name])


# Plain tracebacks, always: the pretty ones print local variables, and those may be secrets.
app = typer.Typer(
    cls=DeferredGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


def print_version(wanted: bool) -> None:
    """Print the version of the installed distribution and stop."""
    if wanted:
        typer.echo(f"aegis-fhe {metadata.version('aegis-fhe')}")
        raise typer.Exit


@app.callback()
def aegis(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run a Transformer on data that stays encrypted."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status.

    Bad input (`AegisError`) is one line on stderr and status 2; with `-v` or `--verbose` the traceback comes
    before it.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=given, prog_name="aegis")
    except AegisError as error:
        if {"-v", "--verbose"} & set(given):
            traceback.print_exception(error)
        print("aegis:", *str(error).split(), file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
