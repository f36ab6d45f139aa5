"""What a plan is a plan of: it may run there and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import AegisError, CompatibilityError, ContainerError
from aegis_fhe.placement.plan_file import CURE, StoredParameters, StoredPlan
from aegis_fhe.placement.plan_records import from_record
from aegis_fhe.placement.workload import Workload
from aegis_fhe.program.long.shape import Degrees, LayerShape
from aegis_fhe.program.long.shape_program import Packing, ShapeProgram


@dataclass(frozen=True, kw_only=True)
class PlannedLayer:
    """What a plan is a plan of. model: a name, for messages."""

    model: str
    shape: LayerShape
    degrees: Degrees
    tokens: int
    devices: int
    bootstrap: BootstrapPlan

    @classmethod
    def of(cls, stored: StoredPlan) -> PlannedLayer:
        """What the file says of itself. Raises ContainerError for what no layer is."""
        facts = stored.parameters
        try:
            params = Parameters.from_dict(facts.parameters)
            bootstrap = BootstrapPlan.from_dict(params, facts.bootstrap)
        except AegisError as error:
            raise ContainerError(f"the plan's parameters are none: {error}; {CURE}") from None
        if params.fingerprint() != facts.fingerprint:
            raise ContainerError(f"the plan's parameters are not those of its fingerprint: {CURE}")
        return cls(
            model=stored.model,
            shape=from_record(LayerShape, stored.shape, "the plan's shape"),
            degrees=from_record(Degrees, stored.degrees, "the plan's record of degrees"),
            tokens=stored.tokens,
            devices=stored.devices,
            bootstrap=bootstrap,
        )

    @classmethod
    def of_workload(cls, model: str, workload: Workload) -> PlannedLayer:
        """What `aegis plan` plans, without the machine."""
        return cls(
            model=model,
            shape=workload.shape,
            degrees=workload.degrees,
            tokens=workload.tokens,
            devices=workload.devices,
            bootstrap=workload.bootstrap,
        )

    def program(self, packing: Packing) -> ShapeProgram:
        """The layer in a packing, undivided; scores of rounds are computed again, as plans have it."""
        return ShapeProgram.of(
            self.shape,
            self.bootstrap,
            tokens=self.tokens,
            packing=packing,
            degrees=self.degrees,
            most_scores=0,
        )

    def check(self, stored: StoredPlan) -> None:
        """Raises CompatibilityError for a plan of another layer, and says in what it differs."""
        other = PlannedLayer.of(stored)
        for what, mine, its in (
            ("model", self.model, other.model),
            ("shape", self.shape, other.shape),
            ("degrees", self.degrees, other.degrees),
            ("number of tokens", self.tokens, other.tokens),
            ("number of devices", self.devices, other.devices),
            ("parameters", *(_named(one.bootstrap.params) for one in (self, other))),
            ("bootstrap", self.bootstrap.to_dict(), other.bootstrap.to_dict()),
        ):
            if mine != its:
                raise CompatibilityError(f"the plan was made for {what} {its}, not {mine}: {CURE}")


def stored_parameters(bootstrap: BootstrapPlan) -> StoredParameters:
    """As in a file."""
    params = bootstrap.params
    return StoredParameters(
        fingerprint=params.fingerprint(),
        parameters=params.to_dict(),
        bootstrap=msgspec.to_builtins(bootstrap.to_dict()),
    )


def _named(params: Parameters) -> str:
    return f"{params.name} ({params.fingerprint()[:16]})"
