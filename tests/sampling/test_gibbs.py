"""Records matched to pair targets: how closely, from what seed, in what groups; and the kernel's bookkeeping, from scratch."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dpsynth.domain import Domain
from dpsynth.inference.model import PairTargets
from dpsynth.sampling import gibbs, gibbs_kernel
from dpsynth.sampling.gibbs import matched
from dpsynth.sampling.gibbs_kernel import pair_counts, sweep

SIZES = (2, 3, 4, 5)


@dataclass(frozen=True)
class Shares:
    """As much of a model as the sampler looks at: its total and its one-way tables."""

    domain: Domain
    total: float
    one_way: dict

    def marginal(self, clique):
        (column,) = clique
        return self.total * self.one_way[column]


def domain_of(sizes):
    return Domain(tuple(f"c{i}" for i in range(len(sizes))), tuple(sizes))


def starts_of(sizes):
    return np.cumsum([0, *sizes[:-1]])


def all_partners(columns):
    """Every column with every other one, as the kernel takes it."""
    mates = [b for a in range(columns) for b in range(columns) if b != a]
    return np.array(mates, dtype=np.int64), np.arange(columns + 1) * (columns - 1)


def dependent_rows(sizes, rows, seed=0):
    """uint16[rows, d]: every column leans on one hidden class."""
    rng = np.random.default_rng(seed)
    hidden = rng.integers(0, 3, rows)
    codes = [np.array([rng.choice(size, p=p) for p in rng.dirichlet(np.full(size, 0.4), 3)[hidden]]) for size in sizes]
    return np.stack(codes, axis=1).astype(np.uint16)


def aim(sizes, truth, total=None, noise=0.0):
    """The model and the targets of a truth's own tables, scaled to a total: they are consistent."""
    domain = domain_of(sizes)
    scale = (total or len(truth)) / len(truth)
    tables = slow_counts(truth, sizes).astype(np.float32) * np.float32(scale)
    one_way = {c: np.bincount(truth[:, i], minlength=sizes[i]) / len(truth) for i, c in enumerate(domain.columns)}
    return Shares(domain, float(total or len(truth)), one_way), PairTargets(tables, np.full((len(sizes),) * 2, noise, np.float32))


def slow_counts(records, sizes):
    counts = np.zeros((sum(sizes),) * 2)
    starts = starts_of(sizes)
    for row in records.astype(int):
        for a, b in combinations(range(len(sizes)), 2):
            i, j = starts[a] + row[a], starts[b] + row[b]
            counts[i, j] += 1
            counts[j, i] += 1
    return counts


def apart(records, targets, sizes, total):
    """Mean share of misplaced rows over all pairs."""
    pairs = len(sizes) * (len(sizes) - 1)
    return np.abs(slow_counts(records, sizes) / len(records) - targets.tables / total).sum() / 2 / pairs


def unrelated(model, rows, seed=1):
    """Records with the right one-way tables and nothing else."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.choice(len(p), rows, p=p) for p in model.one_way.values()], axis=1).astype(np.uint16)


@pytest.mark.parametrize("sizes", [(2, 2), (1, 3), (2, 3, 4, 5), (1, 1, 2), (7,)])
@pytest.mark.parametrize("rows", [0, 1, 50])
def test_pair_counts_are_those_of_counting_row_by_row(sizes, rows):
    records = np.stack([np.random.default_rng(i).integers(0, size, rows) for i, size in enumerate(sizes)], axis=1).astype(np.uint16)
    counts = pair_counts(records, starts_of(sizes), sum(sizes), *all_partners(len(sizes)))
    assert counts.dtype == np.float32
    assert np.array_equal(counts, slow_counts(records, sizes))


@pytest.mark.parametrize("total", [None, 123.4, 1e6])
def test_records_match_consistent_targets_whatever_total_they_are_for(total):
    model, targets = aim(SIZES, dependent_rows(SIZES, 2000), total)
    records = unrelated(model, 2000)
    before = apart(records, targets, SIZES, model.total)
    after = apart(matched(model, targets, records.copy(), 3), targets, SIZES, model.total)
    assert before > 0.1
    assert after < 0.005
    assert after < before / 20


def test_noisier_targets_are_matched_less_closely():
    errors = []
    for noise in (0.0, 1e5):
        model, targets = aim(SIZES, dependent_rows(SIZES, 1000), noise=noise)
        errors.append(apart(matched(model, targets, unrelated(model, 1000), 3), targets, SIZES, model.total))
    assert errors[0] < 0.01
    assert errors[1] > 0.05


def test_cells_whose_target_is_zero_are_all_but_empty():
    truth = dependent_rows((3, 3, 3), 3000)
    truth = truth[(truth[:, 0] != truth[:, 1]) | (truth[:, 0] == 2)]
    model, targets = aim((3, 3, 3), truth)
    records = unrelated(model, len(truth))
    forbidden = lambda r: ((r[:, 0] == r[:, 1]) & (r[:, 0] != 2)).mean()  # noqa: E731
    assert forbidden(records) > 0.05
    assert forbidden(matched(model, targets, records, 1)) < 0.002


@pytest.mark.parametrize("rows", [0, 1, 2, 17])
def test_few_rows_stay_in_the_domain(rows):
    model, targets = aim(SIZES, dependent_rows(SIZES, 500))
    records = matched(model, targets, unrelated(model, rows), 5)
    assert records.shape == (rows, 4)
    assert (records < np.array(SIZES)).all()


def test_a_single_column_is_left_alone():
    model, targets = aim((4,), dependent_rows((4,), 100))
    records = unrelated(model, 100)
    before = records.copy()
    assert np.array_equal(matched(model, targets, records, 5), before)


def test_codes_beyond_one_byte_are_matched_too():
    sizes = (2, 500)
    truth = dependent_rows(sizes, 4000)
    model, targets = aim(sizes, truth)
    records = matched(model, targets, unrelated(model, 4000), 5)
    assert records[:, 1].max() > 255
    assert apart(records, targets, sizes, model.total) < 0.03


def without(targets, *pairs):
    """The targets less those of some pairs of columns."""
    tables, noise, ends = targets.tables.copy(), targets.noise.copy(), np.cumsum(SIZES)
    np.fill_diagonal(noise, np.inf)
    for i, j in pairs:
        for a, b in ((i, j), (j, i)):
            noise[a, b] = np.inf
            tables[ends[a] - SIZES[a] : ends[a], ends[b] - SIZES[b] : ends[b]] = 0
    return PairTargets(tables, noise)


def test_a_pair_without_a_target_has_no_term():
    """Only the first two columns have one: they are matched, the others stay as they were drawn."""
    model, targets = aim(SIZES, dependent_rows(SIZES, 2000))
    left = without(targets, *[pair for pair in combinations(range(4), 2) if pair != (0, 1)])
    records = unrelated(model, 2000)
    before = records.copy()
    matched(model, left, records, 3)
    assert np.array_equal(records[:, 2:], before[:, 2:])
    counts = [slow_counts(r[:, :2], SIZES[:2])[:2, 2:] for r in (before, records)]
    away = [np.abs(c - targets.tables[:2, 2:5]).sum() / 2 / 2000 for c in counts]
    assert away[0] > 0.1
    assert away[1] < 0.01


def test_a_pair_without_a_target_follows_from_the_others():
    """a and c are independent given b: with targets for both their pairs with b alone, the records have the third."""
    rng = np.random.default_rng(0)
    b = rng.integers(0, 3, 6000)
    truth = np.stack([np.where(rng.random(6000) < 0.7, b, rng.integers(0, 3, 6000)) for _ in range(2)], axis=1)
    truth = np.stack([truth[:, 0] % 2, b, truth[:, 1], rng.integers(0, 5, 6000)], axis=1).astype(np.uint16)
    model, targets = aim(SIZES, truth)
    records = matched(model, without(targets, (0, 2)), unrelated(model, 6000), 1)
    assert apart(records, targets, SIZES, model.total) < 0.01


def test_of_too_many_pairs_the_most_dependent_have_a_term(monkeypatch):
    truth = unrelated(aim(SIZES, dependent_rows(SIZES, 500))[0], 5000)
    truth[:, 2] = truth[:, 1]
    truth[:, 3] = truth[:, 0]
    _, targets = aim(SIZES, truth)
    for partners, expected in ((1, {(1, 2), (0, 3)}), (24, set(combinations(range(4), 2)))):
        monkeypatch.setattr(gibbs, "PARTNERS", partners)
        terms = gibbs._terms(targets, np.array(SIZES))
        assert np.array_equal(terms, terms.T)
        assert set(zip(*np.nonzero(np.triu(terms)), strict=True)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_a_sweep_looks_at_partners_only(seed):
    """Columns 0 and 2 are partners, 1 and 3 have none: nothing else is read or changed, whatever the rest of the field says."""
    records, theta, pull, _, base, starts, sizes = kernel_case(seed=seed)
    partners, ends = np.array([2, 0]), np.array([0, 1, 1, 2, 2])
    blocks = np.repeat(np.arange(4), SIZES)
    mates = ((blocks[:, None] + blocks) == 2) & (blocks[:, None] != blocks)
    found = []
    for nonsense in (0.0, 1e3):
        drawn, field = records.copy(), np.where(mates, theta, nonsense).astype(np.float32)
        sweep(drawn, field, pull, base, starts, sizes, partners, ends, np.uint64(seed))
        assert (field[~mates] == np.float32(nonsense)).all()
        assert np.array_equal(drawn[:, [1, 3]], records[:, [1, 3]])
        assert not np.array_equal(drawn, records)
        found.append(drawn)
    assert np.array_equal(*found)
    counts = pair_counts(records, starts, len(base), partners, ends)
    assert np.array_equal(counts, np.where(mates, slow_counts(records, SIZES), 0))


def test_millions_of_rows_are_matched_in_bounded_memory():
    """3,000,000 rows go the way of 10^7, fifteen batches after each other, in a third of the time."""
    sizes, rows = (2, 3), 3_000_000
    model, targets = aim(sizes, dependent_rows(sizes, 4000))
    records = unrelated(model, rows)
    tracemalloc.start()
    matched(model, targets, records, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6
    for first in range(0, rows, rows // 5):
        flat = records[first : first + rows // 5, 0] * 3 + records[first : first + rows // 5, 1]
        share = np.bincount(flat, minlength=6) / (rows // 5)
        assert np.abs(share - targets.tables[:2, 2:].reshape(-1) / model.total).sum() / 2 < 0.001


@pytest.fixture
def small_groups(monkeypatch):
    """1000 rows make five batches of two groups each."""
    monkeypatch.setattr(gibbs, "SMALLEST_GROUP", 50)
    monkeypatch.setattr(gibbs, "LARGEST_GROUP", 100)


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 1000, 1001])
def test_groups_cut_the_rows_into_batches_of_two_without_loss(rows, small_groups):
    groups = gibbs._groups(rows)
    pieces = [piece for batch in groups for piece in batch]
    assert [i for piece in pieces for i in range(piece.start, piece.stop)] == list(range(rows))
    assert {len(batch) for batch in groups} == ({1} if rows < 100 else {2})
    assert max(piece.stop - piece.start for piece in pieces) <= 101
    assert len(groups) == max(1, -(-rows // 200))


def test_every_batch_matches_its_share_and_starts_from_what_the_first_has_learnt(small_groups, monkeypatch):
    model, targets = aim(SIZES, dependent_rows(SIZES, 1000))
    starts = []
    batches = gibbs._matched_batch
    monkeypatch.setattr(gibbs, "_matched_batch", lambda *a: (starts.append((a[3].copy(), a[4])), batches(*a))[1])
    records = matched(model, targets, unrelated(model, 1000), 2)
    assert len(starts) == 5
    assert not starts[0][0].any()
    assert all(np.array_equal(theta, starts[1][0]) and theta.any() for theta, _ in starts[1:])
    assert [schedule for _, schedule in starts] == [gibbs.LEARNING, *[gibbs.FOLLOWING] * 4]
    assert apart(records, targets, SIZES, model.total) < 0.03
    for first in range(0, 1000, 200):
        assert apart(records[first : first + 200], targets, SIZES, model.total) < 0.08


@pytest.mark.parametrize("rows", [300, 1000])
def test_a_seed_gives_the_same_records_whatever_the_number_of_threads(rows, small_groups, monkeypatch):
    model, targets = aim(SIZES, dependent_rows(SIZES, rows))
    first, again, other = (matched(model, targets, unrelated(model, rows), seed) for seed in (1, 1, 2))
    monkeypatch.setattr(gibbs, "ThreadPoolExecutor", lambda workers: ThreadPoolExecutor(1))
    alone = matched(model, targets, unrelated(model, rows), 1)
    assert np.array_equal(first, again)
    assert np.array_equal(first, alone)
    assert not np.array_equal(first, other)


def test_every_call_of_the_kernel_has_its_own_stream():
    seeds = {
        gibbs._seed(seed, batch, step, group) for seed in (0, 1, 2**62) for batch in range(4) for step in range(21) for group in (0, 1)
    }
    assert len(seeds) == 3 * 4 * 21 * 2


def test_records_are_changed_in_place_and_the_targets_are_not():
    model, targets = aim(SIZES, dependent_rows(SIZES, 400))
    records, tables = unrelated(model, 400), targets.tables.copy()
    before = records.copy()
    found = matched(model, targets, records, 2)
    assert found is records
    assert not np.array_equal(records, before)
    assert np.array_equal(targets.tables, tables)


def kernel_case(sizes=SIZES, rows=300, seed=0, beta=0.5):
    """One call of the kernel as the sampler makes it, in random circumstances."""
    rng = np.random.default_rng(seed)
    records = dependent_rows(sizes, rows, seed)
    target = slow_counts(dependent_rows(sizes, rows, seed + 1), sizes)
    theta = rng.normal(0, 0.5, target.shape)
    theta = theta + theta.T
    pull = (beta / (target + 1)).astype(np.float32)
    base = np.log(rng.dirichlet(np.ones(sum(sizes)))).astype(np.float32)
    return records, theta, pull, target, base, starts_of(sizes), np.array(sizes, dtype=np.int64)


@pytest.mark.parametrize("seed", range(3))
def test_after_a_sweep_the_field_is_what_the_counts_make_it(seed):
    records, theta, pull, target, base, starts, sizes = kernel_case(seed=seed)
    field = (theta - pull * (slow_counts(records, SIZES) - target + 0.5)).astype(np.float32)
    before = records.copy()
    sweep(records, field, pull, base, starts, sizes, *all_partners(len(sizes)), np.uint64(seed))
    assert (records != before).mean() > 0.2
    from_scratch = theta - pull * (slow_counts(records, SIZES) - target + 0.5)
    blocks = np.repeat(np.arange(len(SIZES)), SIZES)
    apart_columns = blocks[:, None] != blocks
    np.testing.assert_allclose(field[apart_columns], from_scratch[apart_columns], atol=2e-3)
    assert (records < sizes).all()


def test_one_draw_has_the_probabilities_of_its_formula():
    """40,000 rows that start alike, without pull: each cell of the first column within 6 deviations (at most 1e-7 false alarms)."""
    sizes = (5, 3)
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(8, 8)).astype(np.float32)
    theta = theta + theta.T
    base = rng.normal(size=8).astype(np.float32)
    rows = 40_000
    records = np.tile(np.array([1, 2], dtype=np.uint16), (rows, 1))
    sweep(records, theta.copy(), np.zeros_like(theta), base, starts_of(sizes), np.array(sizes), *all_partners(len(sizes)), np.uint64(7))
    for values, logits in (
        (records[:, 0], base[:5].astype(float) + theta[7, :5]),
        *[(records[records[:, 0] == v, 1], base[5:].astype(float) + theta[v, 5:]) for v in range(5)],
    ):
        p = np.exp(logits - logits.max())
        p /= p.sum()
        found = np.bincount(values, minlength=len(p))
        assert (np.abs(found - len(values) * p) <= 6 * np.sqrt(len(values) * p * (1 - p)) + 1e-3).all()


def test_the_pull_counts_all_other_records_but_not_the_one_that_is_drawn():
    """One record alone: the logit of each cell is theta - pull (0 - target + 1/2), wherever the record was."""
    sizes, rows = (3, 2), 20_000
    target = np.array([[0, 0, 0, 2.0, 0.5], [0, 0, 0, 0.2, 1.0], [0, 0, 0, 1.5, 0.1], [2, 0.2, 1.5, 0, 0], [0.5, 1.0, 0.1, 0, 0]])
    pull = np.full((5, 5), 0.8, dtype=np.float32)
    drawn = np.zeros(3)
    for seed in range(rows):
        record = np.array([[2, 0]], dtype=np.uint16)
        field = (-pull * (slow_counts(record, sizes) - target + 0.5)).astype(np.float32)
        sweep(
            record,
            field,
            pull,
            np.zeros(5, np.float32),
            starts_of(sizes),
            np.array(sizes),
            *all_partners(len(sizes)),
            np.uint64(seed * 2**32),
        )
        drawn[record[0, 0]] += 1
    p = np.exp(0.8 * (target[3, :3] - 0.5))
    p /= p.sum()
    assert (np.abs(drawn - rows * p) < 6 * np.sqrt(rows * p * (1 - p))).all()


@pytest.mark.parametrize("extreme", [1e4, -1e4, 80.0])
def test_extreme_fields_never_leave_the_domain(extreme):
    sizes = (4, 3)
    field = np.full((7, 7), 0.0, dtype=np.float32)
    field[4:, 1] = field[1, 4:] = extreme
    records = np.zeros((500, 2), dtype=np.uint16)
    sweep(
        records,
        field.copy(),
        np.zeros_like(field),
        np.zeros(7, np.float32),
        starts_of(sizes),
        np.array(sizes),
        *all_partners(len(sizes)),
        np.uint64(1),
    )
    assert (records < np.array(sizes)).all()
    share = (records[:, 0] == 1).mean()
    assert share == 1 if extreme > 0 else share == 0


def test_a_sweep_starts_from_the_field_of_the_formula(monkeypatch):
    """theta - W (H - T share + 1/2), H the counts of all records: the kernel takes the drawn record out itself."""
    fields = []
    monkeypatch.setattr(gibbs, "compile_kernel", lambda: None)
    monkeypatch.setattr(gibbs_kernel, "sweep", lambda part, field, pull, *rest: fields.append((field, pull, slow_counts(part, SIZES))))
    model, targets = aim(SIZES, dependent_rows(SIZES, 600), noise=7.0)
    matched(model, targets, unrelated(model, 300), 0)
    assert len(fields) == sum(sweeps for sweeps, _, _ in gibbs.LEARNING)
    field, pull, counts = fields[0]
    target = targets.tables / 2
    different = target > 0
    expected = gibbs.LEARNING[0][2] / (target + 1 + 0.1 * 7.0 / 2)
    np.testing.assert_allclose(pull[different], expected[different], rtol=1e-5)
    np.testing.assert_allclose(field[different], (-pull * (counts - target + 0.5))[different], rtol=1e-4, atol=1e-4)
    step = gibbs.LEARNING[0][1] * (target - counts) / (target + 1 + 0.1 * 7.0 / 2)
    np.testing.assert_allclose(fields[1][0][different], (step + field)[different], rtol=1e-3, atol=1e-3)


def test_one_way_tables_are_summed_on_one_thread():
    """Sums of many classes differ in their last bits with the number of threads, and a record may turn on one bit."""
    seen = []

    class Watched(Shares):
        def marginal(self, clique):
            seen.append({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
            return super().marginal(clique)

    model, targets = aim(SIZES, dependent_rows(SIZES, 50))
    with threadpool_limits(2):
        matched(Watched(model.domain, model.total, model.one_way), targets, unrelated(model, 50), 0)
    assert seen
    assert all(found == {1} for found in seen)
