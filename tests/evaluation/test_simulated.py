"""Simulated tables: the same from run to run, of the promised shapes, and with the promised relations."""

import json

import numpy as np
import pytest

from benchmarks.simulated import CONDITIONAL_CELLS, FAMILIES, PART_ROWS, Family, Simulated, main, random_network, simulated
from benchmarks.tables import coded_table, held
from dpsynth.domain import Domain
from dpsynth.evaluation.distance import marginal_distances


def codes(name):
    return held(simulated(name)).codes


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_the_promised_shape(name):
    family, table = FAMILIES[name], held(simulated(name))
    sizes = table.domain.sizes
    assert table.codes.shape == (family.rows, family.columns)
    assert family.least <= min(sizes) <= max(sizes) <= family.most
    assert (table.codes.max(axis=0) < sizes).all()


def test_cells_are_spread_evenly_on_a_logarithmic_scale():
    sizes = np.array(random_network(FAMILIES["network"], 400, 3).domain.sizes)
    below_16 = np.mean(sizes < 16)  # log(16 / 4) / log(65 / 4) = .497; five standard errors
    assert abs(below_16 - 0.497) < 5 * 0.5 / 20
    assert sizes.min() == 4
    assert 60 < sizes.max() <= 64


def test_the_same_name_is_the_same_table_and_another_seed_is_another():
    assert (codes("network-5x1000") == codes("network-5x1000-seed0")).all()
    assert simulated("network-5x10").network.domain != simulated("network-5x10-seed1").network.domain


def test_a_smaller_table_is_the_beginning_of_a_larger_one():
    large = codes(f"network-6x{PART_ROWS + 500}")
    assert (codes("network-6x700") == large[:700]).all()
    assert (codes(f"network-4x{PART_ROWS + 1}") == large[: PART_ROWS + 1, :4]).all()
    assert not (large[PART_ROWS:] == large[:500]).all()


def test_rows_come_in_parts():
    table = simulated(f"binary-3x{2 * PART_ROWS + 5}")
    assert [len(part) for part in table.parts()] == [PART_ROWS, PART_ROWS, 5]
    assert list(simulated("binary-3x0").parts()) == []


def test_rows_follow_the_conditional_distributions():
    """Every cell with at least 50 expected rows within six standard errors."""
    network = random_network(Family(3, 0, 5, 9, 2, 1.5), 3, 1)
    rows = held(Simulated("t", network, 200_000, 1)).codes.astype(int)
    sizes = network.domain.sizes
    assert [len(parents) for parents in network.parents] == [0, 1, 2]
    for column, (parents, steps) in enumerate(zip(network.parents, network.steps, strict=True)):
        given = np.zeros(len(rows), dtype=int)
        for parent in parents:
            given = given * sizes[parent] + rows[:, parent]
        seen = np.bincount(given * sizes[column] + rows[:, column], minlength=steps.size).reshape(steps.shape)
        chances = np.diff(steps - np.arange(len(steps))[:, None], axis=1, prepend=0)
        assert chances.sum(axis=1) == pytest.approx(1)
        expected = seen.sum(axis=1, keepdims=True) * chances
        enough = expected >= 50
        assert enough.sum() >= sizes[column]
        assert (np.abs(seen - expected)[enough] < 6 * np.sqrt(expected[enough])).all()


def from_independence(name):
    """Mean total variation distance of the pairs from the table whose columns were shuffled one by one."""
    table = held(simulated(name))
    shuffled = np.random.default_rng(0).permuted(table.codes, axis=0)
    return marginal_distances(table.codes, shuffled, table.domain, 2).mean


def test_relations_are_as_strong_as_the_family_says():
    assert from_independence("dependent") > 0.2
    assert from_independence("binary") > 0.05
    assert from_independence("independent-4x50000") < 0.05
    assert from_independence("network-4x50000") > 0.15


def test_parents_are_left_out_where_the_conditional_distributions_would_not_fit():
    network = random_network(Family(8, 0, 300, 500, 2, 1.0), 8, 0)
    assert max(map(len, network.parents)) == 1
    assert max(steps.size for steps in network.steps) <= CONDITIONAL_CELLS


@pytest.mark.parametrize("name", ["", "net", "network-0x5", "network-5", "network-3x1e5", "network-3x10-seed", "networks"])
def test_a_name_of_no_table_is_refused(name):
    with pytest.raises(ValueError, match=r"no table|no columns"):
        simulated(name)


def test_a_table_is_written_with_its_domain(tmp_path, capsys):
    name = f"network-3x{PART_ROWS + 2}"
    main([name, "--out", str(tmp_path)])
    sizes = json.loads((tmp_path / f"{name}-domain.json").read_text())
    again = coded_table(tmp_path / f"{name}.parquet", tmp_path / f"{name}-domain.json")
    assert again.domain == Domain(tuple(sizes), tuple(sizes.values())) == simulated(name).network.domain
    assert (again.codes == codes(name)).all()
    assert f"{PART_ROWS + 2:,} rows, 3 columns" in capsys.readouterr().out
