"""No module needs itself while it loads, so any of them can be the first that a process imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter

from lazy_packages import LAZY, MODULES


def packages_around(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[:length]) for length in range(1, len(parts))}


def loading(nodes: Sequence[ast.stmt]) -> Iterator[ast.ImportFrom | ast.Import]:
    """The imports outside functions and outside `if TYPE_CHECKING`."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom | ast.Import):
            yield node
        elif isinstance(node, ast.If):
            yield from loading(
                [*([] if ast.unparse(node.test) == "TYPE_CHECKING" else node.body), *node.orelse]
            )
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            yield from loading(node.body)


def targets(node: ast.ImportFrom | ast.Import) -> Iterator[str]:
    """Modules that an import loads; of a name that loads on use the module that it is from."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield alias.name
        elif f"{node.module}.{alias.name}" in MODULES:
            yield f"{node.module}.{alias.name}"
        else:
            yield LAZY.get(str(node.module), {}).get(alias.name, str(node.module))


def needs(module: str) -> set[str]:
    """What loads before `module` has. The packages around it began before it and may be waiting for it."""
    imports = loading(ast.parse(MODULES[module].read_text()).body)
    found = {target for node in imports for target in targets(node)}
    found |= {package for target in found for package in packages_around(target)}
    return (found & set(MODULES)) - {module} - packages_around(module)


def test_the_scan_sees_what_modules_need():
    assert needs("aegis_fhe.ring.primes") == {"aegis_fhe.errors"}
    assert "aegis_fhe.ring.ring" not in needs("aegis_fhe.ckks.parameters")
    lazily = needs("aegis_fhe.program.interpret")
    assert "aegis_fhe.program.operators.context" in lazily, "though it is imported from the package"
    assert "aegis_fhe.program.operators" in lazily


def test_no_module_needs_itself():
    """A CycleError names the modules, each needed by the next."""
    order = list(TopologicalSorter({module: needs(module) for module in MODULES}).static_order())
    assert len(order) == len(MODULES)
