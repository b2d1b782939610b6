from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from dpsynth.errors import SpecError
from dpsynth.kinds import Boolean, Categorical, Code, Integer, Number
from dpsynth.sampling.table import decode
from dpsynth.schema import Schema


def kinds(missing):
    return (
        Number(name="wage", least=Decimal(0), most=Decimal(10), bins=5, decimals=2, missing=missing),
        Integer(name="age", least=17, most=90, bins=10, missing=missing),
        Boolean(name="member", missing=missing),
        Categorical(name="job", values=("cook", "nurse"), missing=missing),
        Code(name="sector", codes=9, missing=missing),
    )


SCHEMA, WITH_MISSING = Schema(kinds(False)), Schema(kinds(True))


def codes_of(schema, rows, seed=0):
    rng = np.random.default_rng(seed)
    return {c.name: rng.integers(0, c.size, rows).astype(np.uint8) for c in reversed(schema.columns)}


def last_codes(schema):
    return {c.name: np.array([0, c.size - 1], dtype=np.uint8) for c in schema.columns}


def test_types_without_missing_values():
    found = decode(SCHEMA, codes_of(SCHEMA, 200), 0)
    assert list(found.columns) == ["wage", "age", "member", "job", "sector"]
    assert [str(t) for t in found.dtypes] == ["float64", "int64", "bool", "object", "int64"]
    assert not found.isna().any().any()


def test_types_with_missing_values():
    found = decode(WITH_MISSING, last_codes(WITH_MISSING), 0)
    assert [str(t) for t in found.dtypes] == ["float64", "Int64", "boolean", "object", "Int64"]
    assert not found.iloc[0].isna().any()
    assert found.iloc[1].isna().all()
    assert found["job"][1] is None
    assert found["job"][0] == "cook"
    assert np.isnan(found["wage"][1])
    assert found["age"][1] is pd.NA


@pytest.mark.parametrize("schema", [SCHEMA, WITH_MISSING])
def test_types_do_not_depend_on_the_rows(schema):
    empty, full = (decode(schema, codes_of(schema, rows), 0) for rows in (0, 50))
    assert len(empty) == 0
    assert list(empty.dtypes) == list(full.dtypes)


def test_values_lie_in_their_cells_and_go_back_to_them():
    codes = codes_of(WITH_MISSING, 500)
    found = decode(WITH_MISSING, codes, 3)
    for column in WITH_MISSING.columns:
        back = [column.rule.cell(None if pd.isna(value) else str(value)) for value in found[column.name]]
        edges = column.name == "wage"  # rounding to cents may cross an edge
        assert np.mean(np.array(back) == codes[column.name]) > (0.98 if edges else 0.9999)


def test_a_seed_gives_the_same_values_and_another_seed_others():
    codes = codes_of(SCHEMA, 100)
    pd.testing.assert_frame_equal(decode(SCHEMA, codes, 1), decode(SCHEMA, codes, 1))
    assert not decode(SCHEMA, codes, 1).equals(decode(SCHEMA, codes, 2))


def test_codes_that_do_not_fit_the_schema_are_refused():
    codes = codes_of(SCHEMA, 5)
    with pytest.raises(SpecError, match="'age' has no codes"):
        decode(SCHEMA, {k: v for k, v in codes.items() if k != "age"}, 0)
    with pytest.raises(SpecError, match="from 0 to 8"):
        decode(SCHEMA, codes | {"sector": np.full(5, 9, dtype=np.uint8)}, 0)
    with pytest.raises(SpecError, match="from 0 to 8"):
        decode(SCHEMA, codes | {"sector": np.full(5, 0.5)}, 0)
    with pytest.raises(SpecError, match="same number"):
        decode(SCHEMA, codes | {"sector": np.zeros(4, dtype=np.uint8)}, 0)
