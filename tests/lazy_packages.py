"""The packages whose names load on use, as they are written."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((SOURCE / "aegis_fhe").rglob("*.py"))
}


def typed_names(path: Path) -> dict[str, str]:
    """Name -> the module it is from, as a type checker reads it: the imports under `if TYPE_CHECKING`."""
    branches = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
    imports = [node for branch in branches for node in branch.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


LAZY = {
    module: typed_names(path)
    for module, path in MODULES.items()
    if path.name == "__init__.py" and "load_on_use" in path.read_text()
}
