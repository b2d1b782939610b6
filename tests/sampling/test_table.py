from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from dpsynth.errors import SpecError
from dpsynth.kinds import Boolean, Categorical, Code, Integer, Number
from dpsynth.release.bundle import read_records, write_records
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
    return {c.name: rng.integers(0, c.size, rows).astype(np.uint8) for c in reversed(schema.modelled)}


def last_codes(schema):
    return {c.name: np.array([0, c.size - 1], dtype=np.uint8) for c in schema.modelled}


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
    for column in WITH_MISSING.modelled:
        back = [column.rule.cell(None if pd.isna(value) else str(value)) for value in found[column.name]]
        assert back == codes[column.name].tolist()


def test_a_seed_gives_the_same_values_and_another_seed_others():
    codes = codes_of(SCHEMA, 100)
    pd.testing.assert_frame_equal(decode(SCHEMA, codes, 1), decode(SCHEMA, codes, 1))
    assert not decode(SCHEMA, codes, 1).equals(decode(SCHEMA, codes, 2))


TIMES = {
    "birth": {"kind": "date", "min": "1900-01-01", "max": "2029-12-31"},
    "seen": {"kind": "datetime", "min": "1900-01-01", "max": "2029-12-31"},
    "stay": {"kind": "duration", "min": 0, "max": "99:59:59"},
    "german": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31", "format": "%d.%m.%Y"},
    "fine": {"kind": "datetime", "min": "2020-01-01", "max": "2020-12-31", "format": "%Y-%m-%d %H:%M:%S.%f"},
    "hours": {"kind": "duration", "min": -5, "max": 300, "unit": "hours", "format": "number"},
    "grade": {"kind": "categorical", "values": ["low", "high"], "ordered": True, "unfold": {"none": 1, "both": 2}},
    "smokes": {"kind": "boolean", "words": ["No", "Yes"]},
}
OUT = Schema.from_columns(
    {"id": {"kind": "identifier"}, **TIMES, "key": {"kind": "identifier", "replace": "uuid"}, "note": {"kind": "text"}}
    | {"gone": {"kind": "identifier", "replace": "none"}, "code": {"kind": "code", "size": 3}}
)
GAPS = Schema.from_columns({name: {**facts, "missing": True} for name, facts in TIMES.items()})
TYPES = ["object", "datetime64[us]", "object", "object", "object", "int64", "category", "object"]


def test_each_kind_has_its_type_and_columns_keep_the_declared_order():
    found = decode(OUT, codes_of(OUT, 50), 4)
    assert list(found.columns) == ["id", *TIMES, "key", "code"]
    assert [str(t) for t in found.dtypes] == ["int64", *TYPES, "object", "int64"]
    assert all(isinstance(value, date) for value in found["birth"])
    assert found["grade"].cat.ordered
    assert list(found["grade"].cat.categories) == ["low", "high", "both", "none"]
    assert set(found["smokes"]) == {"No", "Yes"}
    assert found["german"].str.fullmatch(r"\d\d\.\d\d\.2020").all()
    assert found["fine"].str.fullmatch(r"2020-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}").all()
    assert found["stay"].str.fullmatch(r"\d\d:[0-5]\d:[0-5]\d").all()


def test_gaps_of_each_kind_are_missing_and_nothing_else_is():
    found = decode(GAPS, last_codes(GAPS), 0)
    assert not found.iloc[0].isna().any()
    assert found.iloc[1].isna().all()
    assert [str(t) for t in found.dtypes] == [{"int64": "Int64"}.get(name, name) for name in TYPES]


def test_identifiers_are_fresh_and_follow_from_the_seed():
    codes = codes_of(OUT, 300)
    first, again, other = (decode(OUT, codes, seed) for seed in (1, 1, 2))
    assert first["id"].tolist() == list(range(1, 301))
    assert first["key"].is_unique
    assert first["key"].str.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").all()
    assert first["key"].equals(again["key"])
    assert not set(first["key"]) & set(other["key"])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("schema", [OUT, GAPS], ids=["present", "gaps"])
def test_records_come_back_from_a_file_as_they_were(schema, ending, tmp_path):
    records = decode(schema, codes_of(schema, 200), 5)
    write_records(tmp_path / f"r.{ending}", records)
    again = read_records(tmp_path / f"r.{ending}", schema)
    pd.testing.assert_frame_equal(again, records)


def test_a_file_holds_times_as_people_write_them(tmp_path):
    times = {
        "day": {"kind": "date", "min": "0999-12-30", "max": "0999-12-31"},
        "moment": {"kind": "datetime", "min": "2020-02-29", "max": "2020-02-29T00:00:01"},
        "span": {"kind": "duration", "min": -90_001, "max": -90_000},
        "iso": {"kind": "duration", "min": 3599, "max": 3600, "format": "ISO 8601"},
    }
    schema = Schema.from_columns(times)
    write_records(tmp_path / "r.csv", decode(schema, dict.fromkeys(times, np.array([0, 1])), 0))
    assert (tmp_path / "r.csv").read_text().splitlines() == [
        "day,moment,span,iso",
        "0999-12-30,2020-02-29 00:00:00,-25:00:01,PT59M59S",
        "0999-12-31,2020-02-29 00:00:01,-25:00:00,PT1H",
    ]


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
