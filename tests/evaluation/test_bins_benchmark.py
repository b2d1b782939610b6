"""The benchmark of bins: both methods give partitions of the column, and its figures are what they say."""

import json

import numpy as np
import pytest

from benchmarks import bins


@pytest.mark.parametrize("method", bins.METHODS)
@pytest.mark.parametrize("cells", [33, 512])
def test_both_place_bins_of_all_cells(method, cells):
    counts = np.random.default_rng(0).poisson(100, cells).astype(float)
    starts = bins.METHODS[method](counts, 1e-3, np.random.default_rng(1))
    assert starts[0] == 0
    assert list(starts) == sorted(set(starts))
    assert starts[-1] < cells
    assert len(starts) <= bins.MOST


def test_what_bins_lose_is_the_distance_from_even_rows():
    counts = np.array([4.0, 0, 1, 1])
    assert bins.spread((0, 2), np.array([4.0, 2]), 4).tolist() == [2, 2, 1, 1]
    assert bins.distance(np.array([2.0, 2, 1, 1]), counts) == pytest.approx(2 / 6)


def test_a_row_for_each_method_and_the_ratio(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bins, "REPEATS", 2)
    file = tmp_path / "people.csv"
    file.write_text("age,name\n" + "".join(f"{20 + i % 60},x\n" for i in range(600)), encoding="utf-8")
    bins.main([str(file), "--rhos", "1e-3", "--out", str(tmp_path / "bins.json")])
    runs = json.loads((tmp_path / "bins.json").read_text())["runs"]
    assert {(run["column"], run["method"]) for run in runs} >= {("age", "ours"), ("age", "privtree")}
    assert capsys.readouterr().out.count("ratio of the means") == 2
