"""The benchmark's own arithmetic: specs it writes, what it scores, what it keeps, regressions it reports."""

import json
import math
import subprocess
import sys
import tomllib
from dataclasses import asdict
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from benchmarks import compare, growth, plots, release
from benchmarks.command import LAUNCHER, CommandFailed, Took, command
from benchmarks.release import DEFAULT, Limits, arguments, row_of, spec_text
from benchmarks.results import Failure, Results, Setting, read_results
from benchmarks.score import SPLIT, remarks, score
from benchmarks.tables import PACKAGED, PublicTable, coded_table, compact, packaged_table, records, table_named
from dpsynth.domain import Domain
from dpsynth.schema import Schema, column_from

TINY = "network-4x300"
SETTING = Setting("t", "mst", "0.10", "1e-9")
FLAGS = ["--machine", "made up", "--repeats", "2"]


@pytest.fixture
def copying(monkeypatch):
    """In place of dpsynth: the records are the table's rows in reverse. Returns the words of every command."""
    said = []

    def copied(*words, folder, time_limit=math.inf):
        said.append(words)
        if words[0] == "run":
            (folder / "out").mkdir()
            pd.read_parquet(folder / "table.parquet").iloc[::-1].astype("int64").to_parquet(folder / "out" / "synthetic.parquet")
        return Took(1.0, 3.0, 2.0)

    monkeypatch.setattr(release, "command", copied)
    return said


# compare.py


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


# Specs and tables


def test_the_spec_reads_back_as_it_was_asked_for():
    domain = Domain(('odd "name"', "b"), (3, 2))
    spec = tomllib.loads(spec_text(domain, SETTING, 4), parse_float=Decimal)
    assert spec["budget"] == {"ledger": "ledger", "epsilon": Decimal("0.10"), "delta": Decimal("1e-9")}
    assert spec["synthesis"] == {"strategy": "mst", "seed": 4, "format": "parquet"}
    assert Schema(tuple(column_from(name, facts) for name, facts in spec["columns"].items())).domain == domain
    named = tomllib.loads(spec_text(domain, Setting("t", "mst/private-pgm", "1", "1e-9"), 4))["synthesis"]
    assert (named["strategy"], named["estimator"]) == ("mst", "private-pgm")
    assert "strategy" not in tomllib.loads(spec_text(domain, Setting("t", DEFAULT, "1", "1e-9"), 4))["synthesis"]


def test_a_coded_table_is_read_with_its_domain(tmp_path):
    (tmp_path / "t.csv").write_text("b,a,only\n1,2,0\n0,1,0\n")
    (tmp_path / "t-domain.json").write_text(json.dumps({"a": 3, "b": 2, "only": 1}))
    table = table_named(str(tmp_path / "t.csv"))
    assert (table.name, table.domain.columns) == ("t", ("a", "b"))
    assert table.codes.tolist() == [[2, 1], [1, 0]]
    table.write(tmp_path / "u.parquet")
    again = coded_table(tmp_path / "u.parquet", tmp_path / "t-domain.json")
    assert again.codes.tolist() == table.codes.tolist()
    assert records(tmp_path / "u.parquet", Domain(("b", "a"), (2, 3))).tolist() == [[1, 2], [0, 1]]


def test_the_packaged_table_is_coded_on_its_domain():
    table = packaged_table()
    assert table.codes.shape == (30_162, len(table.domain.columns))
    assert (table.codes.max(axis=0) < table.domain.sizes).all()


@pytest.mark.parametrize("code", [-1, 3, 256])
def test_codes_outside_the_domain_are_refused_before_they_wrap_around(code):
    domain = Domain(("a", "b"), (3, 256))
    assert compact(domain, [np.array([[2, 255]])], 1).tolist() == [[2, 255]]
    with pytest.raises(ValueError, match="outside the domain"):
        compact(domain, [np.array([[0, 0]]), np.array([[code, 0]])], 2)


def test_a_domain_for_several_tables_is_refused(capsys):
    with pytest.raises(SystemExit):
        arguments(["a.csv", "b.csv", "--domain", "d.json"])
    assert "belongs to one table, got 2" in capsys.readouterr().err


# Scores


def table_of(codes, sizes):
    domain = Domain(tuple(f"c{i}" for i in range(len(sizes))), tuple(sizes))
    return PublicTable("t", domain, compact(domain, [codes], len(codes)))


def test_pairs_are_split_by_the_cells_of_their_table():
    random = np.random.default_rng(0)
    sizes = (9, 11, 45, 46, 400)
    table = table_of(np.column_stack([random.integers(0, size, 200) for size in sizes]), sizes)
    scored = score(table, random.permuted(table.codes, axis=0))
    assert {name: found["number"] for name, found in scored.pairs.items()} == {"<100": 1, "100-500": 3, ">500": 6}
    whole = sum(found["mean"] * found["number"] for found in scored.pairs.values()) / 10
    assert whole == pytest.approx(scored.mean["2"], rel=1e-12)
    assert max(found["maximum"] for found in scored.pairs.values()) == scored.maximum["2"] > 0
    assert list(scored.pairs) == list(SPLIT)
    assert remarks("t", scored) == []


def test_what_is_left_out_is_said():
    table = table_of(np.zeros((5, 4), dtype=int), (2, 2, 1000, 1001))
    scored = score(table, table.codes, pairs=4, triples=3)
    assert (scored.scored, scored.marginals) == ({"1": 4, "2": 4, "3": 0}, {"1": 4, "2": 6, "3": 4})
    assert set(scored.mean) == set(scored.maximum) == {"1", "2"}
    assert remarks("t", scored) == [
        "t: 1 of 6 2-way marginals have over a million cells and are not scored",
        "t: sample of 4 of 6 2-way marginals, the same in every run",
        "t: 3-way marginals are not scored, 4 are too many",
    ]


def test_a_table_of_one_column_has_one_score():
    scored = score(table_of(np.zeros((5, 1), dtype=int), (2,)), np.ones((5, 1), dtype=int))
    assert (scored.mean, scored.pairs) == ({"1": 1.0}, {})


# Releases


def test_a_release_of_the_same_records_is_scored_zero(copying):
    scored = release.release(packaged_table(), Setting(PACKAGED, "mst", "1", "1e-9"), 0, Limits())
    assert scored.mean == scored.maximum == {"1": 0, "2": 0, "3": 0}
    assert (scored.rows, scored.table_rows, scored.seconds, scored.cpu_seconds, scored.peak_mib) == (30_162, 30_162, 1.0, 3.0, 2.0)
    assert copying[0] == ("ledger", "init", "ledger", "--epsilon", "1", "--delta", "1e-9")


def test_one_real_release_from_ledger_to_plot(tmp_path, capsys):
    path = tmp_path / "results" / "tiny.json"
    words = [TINY, "--strategies", "independent", "no-such-strategy", "--repeats", "1", "--machine", "made up", "--out", str(path)]
    assert release.main(words) == 1
    facts = read_results(path)
    (run,), (failure,) = facts["runs"], facts["failures"]
    assert (facts["benchmark"], facts["schema"], facts["machine"]) == ("release", 1, "made up")
    assert (run["data"], run["strategy"], run["epsilon"], run["columns"], run["table_rows"]) == (TINY, "independent", "1", 4, 300)
    assert 0 < run["mean"]["1"] <= run["maximum"]["1"] <= 1
    assert run["scored"] == run["marginals"] == {"1": 4, "2": 6, "3": 4}
    assert run["peak_mib"] > 50
    assert run["cpu_seconds"] > 0
    assert "no-such-strategy" in failure["reason"]
    assert "ended with 2" in failure["reason"]
    said = capsys.readouterr().out
    assert f"{run['mean']['2']:.5f}" in said
    assert "Median of 1 noise draws. made up" in said
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert compare.main([str(path), str(path)]) == 0


def test_the_printed_line_is_the_median_of_the_repeats(copying):
    runs = [release.release(table_named(TINY), SETTING, repeat, Limits(triples=0)) for repeat in range(3)]
    changed = [
        type(run)(**{**asdict(run), "mean": {"1": 0, "2": mean}, "seconds": seconds})
        for run, mean, seconds in zip(runs, (0.3, 0.1, 0.2), (9, 7, 8), strict=True)
    ]
    cells = row_of(changed).split()
    assert cells[:6] == ["t", "mst", "0.10", "0.00000", "0.20000", "-"]
    assert cells[-2:] == ["8.0", "2"]


def test_every_combination_is_measured_and_kept(copying, tmp_path, capsys):
    path = tmp_path / "r.json"
    words = [TINY, f"{TINY}-seed1", "--strategies", "mst", "default", "--epsilons", "0.1", "1"]
    assert release.main([*words, *FLAGS, "--out", str(path)]) == 0
    asked = [(run["data"], run["strategy"], run["epsilon"], run["repeat"]) for run in read_results(path)["runs"]]
    expected = [(t, s, e, r) for t in (TINY, f"{TINY}-seed1") for s in ("mst", "default") for e in ("0.1", "1") for r in (0, 1)]
    assert asked == expected
    assert len([line for line in capsys.readouterr().out.splitlines() if line.startswith(TINY)]) == 8


def test_a_setting_is_given_up_after_its_first_failure_and_the_next_is_made(copying, monkeypatch, tmp_path):
    copied = release.command

    def refusing(*words, folder, time_limit=math.inf):
        if words[0] == "run" and "mst" in (folder / "spec.toml").read_text():
            raise CommandFailed("dpsynth run was stopped after 5 s")
        return copied(*words, folder=folder)

    monkeypatch.setattr(release, "command", refusing)
    path = tmp_path / "r.json"
    assert release.main([TINY, "--strategies", "mst", "independent", *FLAGS, "--no-plot", "--out", str(path)]) == 1
    facts = read_results(path)
    assert facts["failures"] == [asdict(Failure(TINY, "mst", "1", "1e-9", 0, "dpsynth run was stopped after 5 s"))]
    assert [run["strategy"] for run in facts["runs"]] == ["independent"] * 2
    assert not path.with_suffix(".png").exists()


def test_growth_goes_both_ways_from_the_smallest_table(copying, tmp_path, capsys):
    path = tmp_path / "g.json"
    sizes = ["--rows", "40", "400", "--columns", "3", "5", "--columns-at", "3", "--rows-at", "40"]
    assert growth.main([*sizes, *FLAGS, "--out", str(path)]) == 0
    facts = read_results(path)
    assert [(run["columns"], run["table_rows"]) for run in facts["runs"][::2]] == [(3, 40), (5, 40), (3, 400)]
    assert len(facts["runs"]) == 6
    assert facts["benchmark"] == "growth"
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "400" in capsys.readouterr().out


def test_named_shapes_are_all_that_grows(copying, tmp_path):
    path = tmp_path / "g.json"
    assert growth.main(["--shapes", "2x50", "--family", "binary", *FLAGS, "--out", str(path)]) == 0
    assert not path.with_suffix(".png").exists()  # one shape is no growth
    assert {(run["data"], run["cells"]) for run in read_results(path)["runs"]} == {("binary-2x50", 4)}


def test_plots_are_drawn_again_from_the_file(copying, tmp_path, capsys):
    path = tmp_path / "r.json"
    release.main([TINY, "--strategies", "mst", "--epsilons", "1", "10", *FLAGS, "--no-plot", "--out", str(path)])
    plots.main([str(path)])
    assert path.with_suffix(".png").stat().st_size > 5_000


def test_results_of_another_schema_are_refused(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**Results("release", "made up").facts(), "schema": 0}))
    with pytest.raises(ValueError, match="schema 0, this version reads 1"):
        read_results(path)


# The process that measures


def launched(limit, *program):
    done = subprocess.run([sys.executable, "-I", str(LAUNCHER), limit, *program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


def test_the_memory_of_a_process_is_its_own_and_not_that_of_who_asks():
    ballast = np.ones(40 << 20)  # 320 MiB, in this process
    (code, _, _, peak), said = launched("60", sys.executable, "-I", "-S", "-c", "print('said')")
    assert (code, said) == (0, "said\n")
    assert peak < ballast.nbytes / 2
    (code, _, _, peak), _ = launched("60", sys.executable, "-I", "-S", "-c", "bytearray(b'x' * (100 << 20)); raise SystemExit(3)")
    assert code == 3
    assert peak > 100 << 20


def test_a_process_that_takes_too_long_is_killed():
    (code, *_), _ = launched("0.2", sys.executable, "-I", "-S", "-c", "import time; time.sleep(200)")
    assert code == -9


def test_a_command_that_is_stopped_or_refused_says_so(tmp_path):
    with pytest.raises(CommandFailed, match="dpsynth --version was stopped after"):
        command("--version", folder=tmp_path, time_limit=0.01)
    with pytest.raises(CommandFailed, match=r"dpsynth run none.toml --out out ended with 2:\nerror: .*none.toml"):
        command("run", "none.toml", "--out", "out", folder=tmp_path)
