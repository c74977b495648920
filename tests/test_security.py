"""What a stranger's file or name may do: nothing. The full runs are in bench/fuzz.py."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import fuzz  # noqa: E402


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_mutated_files_are_taken_or_refused_in_our_words(tmp_path, kind, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setenv("MV_HOME", str(work / "home"))
    samples = fuzz.make_samples(kind, work)
    outcomes = [fuzz.try_case(kind, samples, random.Random(f"ci {kind} {number}"), work) for number in range(25)]
    assert [outcome for outcome in outcomes if outcome.startswith("fault")] == []
    assert "refused" in outcomes or kind == "lyrics"
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_a_reader_that_fails_otherwise_is_a_fault(tmp_path, monkeypatch):
    def fails(path, work):
        raise KeyError("oops")

    monkeypatch.setitem(fuzz.READERS, "plan", fails)
    assert "fault: KeyError" in fuzz.try_case("plan", [("plan.json", b"{}")], random.Random(0), tmp_path)


def test_no_name_reaches_a_shell():
    """Programs are started with a list of words, never through a shell."""
    for path in [*(ROOT / "mv").rglob("*.py"), *(ROOT / "director").rglob("*.py"), ROOT / "app.py"]:
        source = path.read_text()
        assert [word for word in ("shell=True", "os.system(", "os.popen(", "getoutput(") if word in source] == [], path


@pytest.mark.parametrize("arguments", [["--listen"], ["--share"], ["--listen", "--auth", "nobody"]])
def test_others_are_let_in_only_with_a_password(tmp_path, arguments):
    done = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), *arguments, "--output-dir", str(tmp_path / "home")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2 and "--auth" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists()
