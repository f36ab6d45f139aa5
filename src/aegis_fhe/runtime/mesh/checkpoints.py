"""What a device has at a cut of its run, from which it goes on as if nothing had been.

At a cut nothing is under way between devices (`flights`). How often each value is still needed, and which
exchanges are done, follows from the schedule and is not part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field

from torch import Tensor

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.moves import Form
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.runtime.ledger import Entry
from aegis_fhe.runtime.mesh.values import Values


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Up to a cut. entries: of the ledgers, one for each axis, node and kind. seconds, waiting: by stage.
    activations, workspace: bytes at the fullest moment.
    """

    entries: tuple[Entry, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    waiting: Mapping[str, float] = field(default_factory=dict)
    activations: int = 0
    workspace: int = 0


@dataclass(frozen=True, kw_only=True)
class DeviceState:
    """position: how many nodes are done, of all in order. values: residues of what is still needed and was
    made, by form and name; several may be views of one memory. Whoever goes on from a state takes them out.
    """

    position: int
    values: Mapping[Form, MutableMapping[str, Tensor]]
    measured: Measured


def _forget(state: DeviceState) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """cuts: positions, the same on every device. save: told a device's state at each, before it goes on.
    begin: where the run begins; None at its beginning.
    """

    cuts: tuple[int, ...] = ()
    save: Callable[[DeviceState], None] = _forget
    begin: DeviceState | None = None

    def divided(self, plan: Schedule) -> tuple[Schedule, frozenset[int], int]:
        """With rounds that end at the cuts; before which rounds a cut is; which round is the first to do."""
        if not self.cuts and self.begin is None:
            return plan, frozenset(), 0
        begin = 0 if self.begin is None else self.begin.position
        cut = plan.cut((*self.cuts, begin))
        number_at = {cut.begins(number): number for number in range(len(cut.rounds))}
        return cut, frozenset(number_at[place] for place in self.cuts if place > begin), number_at[begin]


def values_at(values: Values, made_at: Mapping[str, int], position: int) -> dict[Form, dict[str, Tensor]]:
    """What is still needed of what was made before a position."""
    found: dict[Form, dict[str, Tensor]] = {"whole": {}, "shared": {}}
    for form, own in values.here.items():
        for name, value in own.items():
            if made_at[name] < position and values.left[form][name] > 0:
                symbol = values.symbols[name]
                assert (value.level, value.scale) == (symbol.level, symbol.scale), name
                found[form][name] = value.parts
    return found


def restore(values: Values, plan: Schedule, first: int, state: DeviceState) -> None:
    """Moves a state's values to where a run that begins with round `first` needs them.

    Raises CompatibilityError when these are not the values that the schedule has there.
    """
    expected = alive_names(values, plan, first)
    if expected != {(form, name) for form, own in state.values.items() for name in own}:
        raise CompatibilityError("a checkpoint holds other values than the plan has there: delete it")
    for form, own in state.values.items():
        for name in list(own):
            parts, symbol = own.pop(name), values.symbols[name]
            values.here[form][name] = values.evaluators[form].made(parts, symbol.level, symbol.scale)


def alive_names(values: Values, plan: Schedule, first: int) -> set[tuple[Form, str]]:
    """What was made here or came here before a round and is needed in it or later."""
    group, found = values.group, set[tuple[Form, str]]()
    for number in range(first):
        for node in plan.rounds_of(group)[number]:
            found.update((plan.assignment.form(node), name) for name in node.outputs)
        found.update((move.makes, move.value) for move in plan.arriving(group)[number])
    return {(form, name) for form, name in found if values.left[form][name] > 0}
