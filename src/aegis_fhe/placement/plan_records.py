"""Configurations (dataclasses of numbers, texts and sets of texts) as records of a file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

import msgspec

from aegis_fhe.errors import AegisError, ContainerError

T = TypeVar("T")


def to_record(value: Any) -> dict[str, Any]:
    """What of a dataclass is not as by default; sets as sorted lists."""
    found = {one.name: getattr(value, one.name) for one in fields(value)}
    kept = {one.name for one in fields(value) if found[one.name] != _default(one)}
    return {name: _plain(x) for name, x in found.items() if name in kept}


def from_record(kind: type[T], record: Mapping[str, Any], what: str) -> T:
    """The inverse. Raises ContainerError for a field that is missing, unknown or mistyped; what: it is."""
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(record) - set(known))
    if unknown:
        raise ContainerError(
            f"{what} has {', '.join(unknown)}, which it cannot have: its fields are {', '.join(known)}"
        )
    try:
        return msgspec.convert(dict(record), kind)
    except (msgspec.ValidationError, AegisError) as error:
        raise ContainerError(f"{what} is not as it should be: {error}") from None


def _default(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return one.default


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else msgspec.to_builtins(value)
