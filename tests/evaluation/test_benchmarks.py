"""The benchmark's own arithmetic: specs it writes, regressions it reports."""

import json
import tomllib
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from benchmarks import compare, release
from benchmarks.release import DEFAULT, PublicTable, arguments, coded_table, packaged_table, spec_text
from dpsynth.domain import Domain
from dpsynth.schema import Schema, column_from


def result(error, machine="2-core, 24 GB"):
    run = {"data": "t", "strategy": "mst", "epsilon": "1", "delta": "1e-9", "mean": {"1": 0.5, "2": error}, "seconds": 1, "peak_mib": 9}
    return {"machine": machine, "runs": [run, run]}


@pytest.mark.parametrize(("error", "worse"), [(0.2, False), (0.209, False), (0.211, True), (0.1, False)])
def test_a_regression_is_an_error_up_by_more_than_five_percent(tmp_path, capsys, error, worse):
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, value in zip(paths, (0.2, error), strict=True):
        path.write_text(json.dumps(result(value)))
    assert compare.main([str(path) for path in paths]) == int(worse)
    assert ("WORSE" in capsys.readouterr().out) == worse


def test_an_error_that_was_zero_and_is_not_is_a_regression():
    found = {change.measure: change for change in compare.changes(result(0.0), result(0.1))}
    assert found["2-way error"].regression
    assert not found["1-way error"].regression


def test_slower_is_shown_and_not_judged():
    slow = result(0.2)
    slow["runs"] = [{**run, "seconds": 100, "peak_mib": 900} for run in slow["runs"]]
    assert not any(change.regression for change in compare.changes(result(0.2), slow))


def test_results_without_a_common_setting_cannot_be_compared(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**result(0.2), "runs": []}))
    assert compare.main([str(path), str(path)]) == 2


def test_the_spec_reads_back_as_it_was_asked_for():
    domain = Domain(('odd "name"', "b"), (3, 2))
    table = PublicTable("t", domain, np.zeros((1, 2), dtype=np.int64))
    spec = tomllib.loads(spec_text(table, "mst", "0.10", "1e-9", 4), parse_float=Decimal)
    assert spec["budget"] == {"ledger": "ledger", "epsilon": Decimal("0.10"), "delta": Decimal("1e-9")}
    assert spec["synthesis"] == {"strategy": "mst", "seed": 4, "format": "csv"}
    assert Schema(tuple(column_from(name, facts) for name, facts in spec["columns"].items())).domain == domain
    assert "strategy" not in tomllib.loads(spec_text(table, DEFAULT, "1", "1e-9", 4))["synthesis"]


def test_a_coded_table_is_read_with_its_domain(tmp_path):
    (tmp_path / "t.csv").write_text("b,a,only\n1,2,0\n0,1,0\n")
    (tmp_path / "d.json").write_text(json.dumps({"a": 3, "b": 2, "only": 1}))
    table = coded_table(tmp_path / "t.csv", tmp_path / "d.json")
    assert table.domain.columns == ("a", "b")
    assert table.codes.tolist() == [[2, 1], [1, 0]]


def test_the_packaged_table_is_coded_on_its_domain():
    table = packaged_table()
    assert table.codes.shape == (30_162, len(table.domain.columns))
    assert (table.codes.max(axis=0) < table.domain.sizes).all()


def test_a_release_of_the_same_records_is_scored_zero(monkeypatch):
    def copied(*words, folder):
        if words[0] == "run":
            (folder / "out").mkdir()
            pd.read_csv(folder / "table.csv").iloc[::-1].to_csv(folder / "out" / "synthetic.csv", index=False)
        return 1.0, 2.0

    monkeypatch.setattr(release, "command", copied)
    scored = release.release(packaged_table(), "mst", "1", "1e-9", 0)
    assert scored.mean == scored.maximum == {"1": 0, "2": 0, "3": 0}
    assert (scored.rows, scored.seconds, scored.peak_mib) == (30_162, 1.0, 2.0)


def test_data_without_a_domain_is_refused(capsys):
    with pytest.raises(SystemExit):
        arguments(["--data", "t.csv"])
    assert "go together" in capsys.readouterr().err
