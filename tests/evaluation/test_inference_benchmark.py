"""The benchmark of the tree estimators: its problems, its errors and its table; the fits themselves are tested beside the estimators."""

import numpy as np

from benchmarks import inference
from benchmarks.inference import Fit, counts, errors, problem, ratios, tree_pairs
from benchmarks.tables import table_named
from dpsynth.inference.junction import tree_cells
from dpsynth.inference.maxent import MaxEnt

TABLE = table_named("network-6x500")


def test_the_tree_of_a_problem_stays_within_its_cells_and_uses_them():
    pairs, cells = tree_pairs(TABLE, 600)
    assert cells == tree_cells(TABLE.domain, pairs) <= 600
    assert len(tree_pairs(TABLE, 10**9)[0]) == 15 > len(pairs) > 0


def test_every_estimator_sees_the_same_noise():
    pairs, _ = tree_pairs(TABLE, 600)
    first, again = (problem(TABLE, pairs, 5.0, TABLE.domain, pairs) for _ in range(2))
    for one, other in zip(first.measurements, again.measurements, strict=True):
        assert one.values.tolist() == other.values.tolist()
    assert first.domain == TABLE.domain
    noise = np.concatenate([m.values - counts(TABLE, m.clique) for m in first.measurements])
    assert 4 < noise.std() < 6


def test_errors_are_total_variation_distances():
    (pair, *_), _ = tree_pairs(TABLE, 600)
    given = problem(TABLE, [pair], 0.1, TABLE.domain, [pair])
    assert errors(MaxEnt().fit(TABLE.domain, given.measurements), given.exact)[pair] < 0.01


def test_a_row_and_its_ratios_show_what_was_taken():
    ours = Fit("t", "tree", 30, 100, "maxent", 0.02, None, 1.0, 0.5, 10.0, 1e-3)
    theirs = Fit("t", "tree", 30, 100, "private-pgm", 0.04, None, 10.0, 1.0, 100.0)
    assert ratios([ours, theirs]).split() == ["ratio:", "measured", "0.5,", "seconds", "0.1,", "seconds_again", "0.5,", "mib", "0.1"]
    assert theirs.row().split() == ["t", "tree", "30", "100", "private-pgm", "0.04000", "-", "10.00", "1.00", "100", "-"]
    assert len(inference.HEADER) <= len(ours.row()) + 2


def test_figures_of_a_problem_that_is_run_again_give_way_and_the_others_stay(tmp_path):
    out = tmp_path / "inference.json"
    assert inference.known(out) == {}
    words = ["network-3x200", "--cells", "--pairs", "1", "--out", str(out), "--no-plot"]
    inference.main([*words, "--sigmas", "5"])
    inference.main([*words, "--sigmas", "5", "9"])
    assert sorted((sigma, name) for _, _, sigma, _, name in inference.known(out)) == [
        (5.0, "maxent"),
        (5.0, "private-pgm"),
        (9.0, "maxent"),
        (9.0, "private-pgm"),
    ]
