"""From a model to records: matched to its targets where it has any, and the same whatever the machine's settings."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.latent_class import LatentClassModel
from dpsynth.inference.model import FitReport, PairTargets
from dpsynth.kinds import Boolean, Categorical, Code, Integer
from dpsynth.sampling.ancestral import draw
from dpsynth.sampling.records import draw_codes, sample_records
from dpsynth.schema import Schema
from tests.processes import THREADS, outputs

SCHEMA = Schema(
    (
        Categorical(name="colour", values=("red", "blue"), missing=True),
        Integer(name="age", least=0, most=99, bins=10),
        Boolean(name="flag"),
        Code(name="place", codes=300),
    )
)
REPORT = FitReport("latent-class", True, 1, 0.1, 0.4, 1, certified=False)


def mixture(domain, total=1000.0, classes=6, seed=0):
    rng = np.random.default_rng(seed)
    emissions = np.concatenate([rng.dirichlet(np.full(size, 0.5), classes).T for size in domain.sizes])
    return LatentClassModel(domain, total, rng.dirichlet(np.ones(classes)), emissions, REPORT)


def targeted(model, other):
    """The model with targets that are the pairs of another model."""
    domain = model.domain
    ends = np.cumsum([0, *domain.sizes])
    tables = np.zeros((ends[-1], ends[-1]), dtype=np.float32)
    for i, j in combinations(range(len(domain.columns)), 2):
        block = other.marginal((domain.columns[i], domain.columns[j])).reshape(domain.sizes[i], -1).astype(np.float32)
        tables[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = block
        tables[ends[j] : ends[j + 1], ends[i] : ends[i + 1]] = block.T
    return replace(model, pair_targets=PairTargets(tables, np.zeros((len(domain.columns),) * 2, dtype=np.float32)))


def apart(codes, model):
    domain, rows = model.domain, len(codes[model.domain.columns[0]])
    errors = []
    for a, b in combinations(domain.columns, 2):
        flat = codes[a].astype(int) * domain.size[b] + codes[b]
        errors.append(np.abs(np.bincount(flat, minlength=domain.cells((a, b))) / rows - model.marginal((a, b)) / model.total).sum() / 2)
    return np.mean(errors)


def test_records_follow_the_targets_where_there_are_any_and_the_model_where_there_are_none():
    """The targets are another model's pairs: same columns, other dependence."""
    domain = Domain(("a", "b", "c"), (3, 4, 2))
    own, other = mixture(domain), mixture(domain, seed=5)
    plain, matched = draw_codes(own, 3000, 1), draw_codes(targeted(own, other), 3000, 1)
    assert apart(plain, own) < 0.03
    assert apart(plain, other) > 0.15
    assert apart(matched, other) < 0.03
    assert all(np.array_equal(plain[c], draw(own, 3000, 1)[c]) for c in domain.columns)


@pytest.mark.parametrize("targets", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 2, 500])
def test_codes_are_of_the_smallest_type_in_the_domains_order(targets, rows):
    domain = SCHEMA.domain
    model = targeted(mixture(domain), mixture(domain)) if targets else mixture(domain)
    codes = draw_codes(model, rows, 0)
    assert list(codes) == list(domain.columns)
    assert [v.dtype for v in codes.values()] == [np.uint8, np.uint8, np.uint8, np.uint16]
    for column, values in codes.items():
        assert values.shape == (rows,)
        assert (values < domain.size[column]).all()


def test_codes_of_300_cells_use_all_of_them():
    domain = SCHEMA.domain
    assert draw_codes(targeted(mixture(domain), mixture(domain)), 5000, 0)["place"].max() > 255


def test_a_seed_gives_the_same_records_and_another_seed_others():
    model = targeted(mixture(SCHEMA.domain), mixture(SCHEMA.domain))
    first, again, other = (sample_records(model, SCHEMA, 200, seed, {}) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_a_condition_holds_in_every_record_and_leaves_the_targets_out():
    model = targeted(mixture(SCHEMA.domain), mixture(SCHEMA.domain, seed=9))
    records = sample_records(model, SCHEMA, 100, 1, {"colour": "blue", "age": 42})
    assert set(records["colour"]) == {"blue"}
    assert set(records["age"]) == {42}
    assert len(set(records["place"])) > 5


@pytest.mark.parametrize(
    ("facts", "value", "found"),
    [
        ({"kind": "date", "min": "2020-01-01", "max": "2020-12-31", "bins": 4}, date(2020, 5, 6), date(2020, 5, 6)),
        ({"kind": "date", "min": "2020-01-01", "max": "2020-12-31", "bins": 4, "format": "%d.%m.%Y"}, "6.5.2020", "06.05.2020"),
        ({"kind": "datetime", "min": "2020-01-01", "max": "2020-12-31"}, "2020-05-06T07:08Z", pd.Timestamp(2020, 5, 6, 7, 8)),
        ({"kind": "duration", "min": 0, "max": 90_000}, timedelta(hours=25), "25:00:00"),
        ({"kind": "number", "min": 0, "max": 9, "edges": [0, 1, 9], "spikes": [0]}, 7.25, 7.25),
        ({"kind": "integer", "min": 0, "max": 99, "spikes": [7]}, "7.0", 7),
        ({"kind": "categorical", "values": ["a"], "unfold": {"b": 1, "c": 9}, "ordered": True}, "b", "b"),
        ({"kind": "boolean", "words": ["No", "Yes"]}, "yes", "Yes"),
    ],
)
@pytest.mark.parametrize("missing", [False, True])
def test_a_condition_holds_to_the_very_value_for_each_kind(facts, value, found, missing):
    schema = Schema.from_columns({"x": {**facts, "missing": missing}, "y": {"kind": "code", "size": 3}})
    records = sample_records(mixture(schema.domain), schema, 20, 1, {"x": value})
    assert records["x"].tolist() == [found] * 20
    assert records["x"].dtype == sample_records(mixture(schema.domain), schema, 20, 1, {})["x"].dtype


@pytest.mark.parametrize(
    ("rows", "seed", "words"),
    [
        (-1, 0, "rows must be a whole number from 0 to .*, got -1"),
        (10**9 + 1, 0, "rows must be"),
        (1.5, 0, "rows must be"),
        (True, 0, "rows must be"),
        (1, -1, "seed must be a whole number from 0 to .*, got -1"),
        (1, 2**63, "seed must be"),
        (1, "a", "seed must be"),
    ],
)
def test_impossible_rows_and_seeds_are_refused(rows, seed, words):
    with pytest.raises(SpecError, match=words):
        sample_records(mixture(SCHEMA.domain), SCHEMA, rows, seed, {})


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"shape": "round"}, "shape"),
        ({"colour": "green"}, "'colour' does not list 'green': it has .*blue"),
        ({"age": 100}, "'age' does not list '100'"),
        ({"flag": None}, "'flag' has no missing values"),
        ({"place": 300}, "'place' does not list '300': it has .* and 288 more"),
    ],
)
def test_values_that_the_schema_does_not_list_are_refused_with_those_it_does(where, words):
    with pytest.raises(SpecError, match=words):
        sample_records(mixture(SCHEMA.domain), SCHEMA, 5, 0, where)


SCRIPT = """
import hashlib
from tests.sampling.test_records import mixture, targeted
from dpsynth.domain import Domain
from dpsynth.sampling.records import draw_codes
domain = Domain(("a", "b", "c"), (2, 400, 30))
model = targeted(mixture(domain, classes=600), mixture(domain, classes=600, seed=3))
codes = draw_codes(model, 3000, 4)
print(hashlib.sha256(b"".join(codes[c].tobytes() for c in domain.columns)).hexdigest())
"""


def test_no_thread_setting_and_no_hash_seed_changes_a_record():
    assert len(outputs(SCRIPT, threads=2, names=THREADS)) == 1
