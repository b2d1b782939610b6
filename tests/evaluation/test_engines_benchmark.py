"""Counting three ways: one answer, and figures that are kept beside those of other sizes."""

import json

import pytest

from benchmarks import engines


def test_three_ways_agree_and_leave_their_figures(tmp_path):
    out = tmp_path / "engines.json"
    words = ["--columns", "4", "--out", str(out), "--machine", "a machine"]
    engines.main(["--rows", "700", *words])
    engines.main(["--rows", "300", "--only", "dpsynth", *words])
    engines.main(["--rows", "700", "--only", "duckdb", *words])
    facts = json.loads(out.read_text())
    found = [(run["rows"], run["way"]) for run in facts["runs"]]
    assert found == [(300, "dpsynth"), (700, "dpsynth"), (700, "duckdb"), (700, "pandas")]
    assert len({run["digest"] for run in facts["runs"] if run["rows"] == 700}) == 1
    assert facts["machine"] == "a machine"


def test_ways_that_disagree_are_found(tmp_path, monkeypatch):
    taken = iter("ab")
    monkeypatch.setattr(engines, "in_a_process", lambda *_: {"read": 1.0, "count": 1.0, "digest": next(taken), "pairs": 6, "peak": 1 << 20})
    with pytest.raises(SystemExit, match="do not agree"):
        engines.main(["--rows", "300", "--columns", "4", "--only", "dpsynth", "duckdb", "--out", str(tmp_path / "x.json")])
    assert not (tmp_path / "x.json").exists()
