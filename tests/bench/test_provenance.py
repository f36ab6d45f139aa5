"""Rows carry where they came from: the commit of a checkout, versions, a date."""

import subprocess
from datetime import datetime, timedelta, timezone
from importlib import metadata

from aegis_fhe.bench import provenance


def git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_commit_is_that_of_the_checkout_and_says_when_files_differ(tmp_path):
    assert provenance.commit(None) is None
    git(tmp_path, "init", "--quiet")
    assert provenance.commit(tmp_path) is None
    (tmp_path / "file").write_text("one")
    rows = tmp_path / provenance.RESULTS / "ring.jsonl"
    rows.parent.mkdir(parents=True)
    rows.touch()
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").touch()
    rows.write_text("a row")
    assert provenance.commit(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert provenance.commit(tmp_path) == f"{head}-dirty"


def test_versions_are_those_that_are_installed():
    found = provenance.versions()
    for name in ("torch", "numpy"):
        assert found[name] == metadata.version(name)


def test_now_is_now_and_has_its_zone():
    moment = datetime.fromisoformat(provenance.now())
    assert abs(datetime.now(timezone.utc) - moment) < timedelta(seconds=5)


def test_results_of_a_checkout_lie_in_its_benchmarks(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "checkout", lambda: tmp_path)
    assert provenance.default_results("ring") == tmp_path / "benchmarks" / "results" / "ring.jsonl"
    monkeypatch.setattr(provenance, "checkout", lambda: None)
    assert provenance.default_results("ring") is None
