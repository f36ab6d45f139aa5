"""An interpreter with OpenFHE is found where it is, made where it is not, or the cure is named."""

import shutil

import pytest

from aegis_fhe.bench import openfhe_python
from aegis_fhe.bench.openfhe_python import environment_folder, find_openfhe, interpreters
from aegis_fhe.errors import PeerError

# Succeeds at asking for version 3.10; imports openfhe if a file of that name lies beside it; `-m venv` copies
# it to a new folder, and `-m pip` makes the file.
INTERPRETER = """#!/bin/sh
here=$(dirname "$0")
case "$*" in
    *"import openfhe"*) test -e "$here/openfhe" ;;
    *version_info*) exit 0 ;;
    *"-m venv"*) for folder; do :; done; mkdir -p "$folder/bin"; cp "$0" "$folder/bin/python" ;;
    *"-m pip"*"openfhe=="*) touch "$here/openfhe" ;;
    *) exit 1 ;;
esac
"""


def interpreter(path, text=INTERPRETER):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home in which nothing of this machine is found."""
    monkeypatch.setattr(openfhe_python, "PLACES", (".pyenv/versions/3.10*/bin",))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    return tmp_path


def unexpected(message):
    pytest.fail(message)


def test_one_that_imports_openfhe_is_taken_as_it_is(home):
    interpreter(home / ".pyenv/versions/3.10.9/bin/python3.10")
    able = interpreter(home / ".pyenv/versions/3.10.4/bin/python3.10")
    (able.parent / "openfhe").touch()
    assert find_openfhe(home, install=True, say=unexpected) == able
    assert not environment_folder(home).exists()


def test_an_environment_is_made_once_and_found_again(home):
    interpreter(home / ".pyenv/versions/3.10.9/bin/python3.10")
    said = []
    own = environment_folder(home) / "bin" / "python"
    assert find_openfhe(home, install=True, say=said.append) == own
    assert len(said) == 1
    assert str(environment_folder(home)) in said[0]
    assert find_openfhe(home, install=True, say=unexpected) == own
    assert find_openfhe(home, install=False, say=unexpected) == own


def test_nothing_is_installed_unasked(home):
    interpreter(home / ".pyenv/versions/3.10.9/bin/python3.10")
    with pytest.raises(PeerError, match=r"has no openfhe==.*--no-install"):
        find_openfhe(home, install=False, say=unexpected)
    assert not environment_folder(home).exists()


def test_without_python_3_10_the_cure_is_named(home):
    interpreter(home / ".pyenv/versions/3.10.9/bin/python3.10", "#!/bin/sh\nexit 1\n")
    with pytest.raises(PeerError, match=r"no python3.10"):
        find_openfhe(home, install=True, say=unexpected)


def test_a_failed_installation_says_what_pip_said(home):
    text = INTERPRETER.replace('touch "$here/openfhe"', "echo no matching distribution >&2; exit 1")
    interpreter(home / ".pyenv/versions/3.10.9/bin/python3.10", text)
    with pytest.raises(PeerError, match="no matching distribution"):
        find_openfhe(home, install=True, say=lambda message: None)


def test_an_interpreter_with_two_names_is_tried_once(home, monkeypatch):
    real = interpreter(home / ".pyenv/versions/3.10.9/bin/python3.10")
    other = home / "link"
    other.symlink_to(real)
    monkeypatch.setattr(shutil, "which", lambda name: str(other))
    assert list(interpreters(home)) == [other]
