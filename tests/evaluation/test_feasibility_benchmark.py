"""The benchmark of feasibility runs, and its models grow."""

import json

from benchmarks import feasibility


def test_it_leaves_a_row_for_each_network(tmp_path, capsys):
    out = tmp_path / "feasibility.json"
    assert feasibility.main(["network-6x50", "--out", str(out)]) == 0
    (run,) = json.loads(out.read_text())["runs"]
    assert (run["data"], run["columns"]) == ("network-6x50", 6)
    assert 5 <= run["states"] <= 15
    assert all(0 < median <= most for median, most in (run["asked"], run["grown"], run["anew"]))
    assert capsys.readouterr().out.count("\n") == 2
