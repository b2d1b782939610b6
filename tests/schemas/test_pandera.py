"""A pandera schema states bounds and lists by its checks, in each of the forms that its versions write, and as an object."""

import json
import warnings
from datetime import datetime
from decimal import Decimal

import pytest

from dpsynth.errors import SpecError
from dpsynth.schemas.importing import import_schema

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what pandera and pydantic say on import
    import pandas as pd
    import pandera.pandas as pa

CHECKS = {
    "age": ("int64", {"in_range": {"min_value": 0, "max_value": 120, "include_min": True, "include_max": False}}),
    "height": ("float64", {"greater_than": 0.5, "less_than_or_equal_to": 3}),
    "sex": ("str", {"isin": ["F", "M"]}),
    "level": ("int64", {"isin": [1, 2, 4]}),
    "when": ("datetime64[ns]", {"greater_than_or_equal_to": "2020-01-01 00:00:00"}),
    "code": ("object", {"str_matches": "[a-z]+"}),
}
NULLABLE = {"height"}
FACTS = {
    "age": ("integer", {"min": 0, "max": 119, "missing": False}),
    "height": ("number", {"min": Decimal("0.5"), "max": 3, "missing": True}),
    "sex": ("categorical", {"values": ["F", "M"], "missing": False}),
    "level": ("categorical", {"values": ["1", "2", "4"], "missing": False}),
    "when": ("datetime", {"min": datetime(2020, 1, 1), "missing": False}),  # noqa: DTZ001 - as written, without a zone
    "code": ("categorical", {"missing": False}),
}


def as_mapping(checks):
    return {"checks": checks}


def as_list(checks):
    entries = [{**(v if isinstance(v, dict) else {"value": v}), "options": {"check_name": k, "ignore_na": True}} for k, v in checks.items()]
    return {"checks": entries}


def as_keys(checks):
    return {"checks": None, **checks}


def document(form):
    columns = {name: {"dtype": dtype, "nullable": name in NULLABLE, **form(checks)} for name, (dtype, checks) in CHECKS.items()}
    table = {"checks": None, "index": None, "coerce": False, "unique": ["age"]}
    return {"schema_type": "dataframe", "version": "0.0.0", "columns": columns, **table}


def drafted(tmp_path, found):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(found))
    return import_schema(path)


def facts(draft):
    return {column.name: (column.kind, dict(column.facts)) for column in draft.columns}


@pytest.mark.parametrize("form", [as_mapping, as_list, as_keys])
def test_each_written_form_states_the_same(tmp_path, form):
    draft = drafted(tmp_path, document(form))
    assert facts(draft) == FACTS
    assert draft.notes == ("unique: age",)
    notes = {column.name: " ".join(column.notes) for column in draft.columns}
    assert "greater_than: value = 0.5" in notes["height"]
    assert "str_matches: value = '[a-z]+'" in notes["code"]
    assert notes["age"] == notes["sex"] == ""


def real():
    """The same schema as pandera's own object."""
    columns = {
        "age": pa.Column("int64", pa.Check.in_range(0, 120, include_max=False)),
        "height": pa.Column("float64", [pa.Check.gt(0.5), pa.Check.le(3)], nullable=True),
        "sex": pa.Column("str", pa.Check.isin(["F", "M"])),
        "level": pa.Column("int64", pa.Check.isin([1, 2, 4])),
        "when": pa.Column("datetime64[ns]", pa.Check.ge(pd.Timestamp("2020-01-01"))),
        "code": pa.Column("object", pa.Check.str_matches("[a-z]+")),
    }
    return pa.DataFrameSchema(columns, unique=["age"], name="people")


def test_the_object_and_what_it_writes_state_the_same(tmp_path):
    schema = real()
    assert facts(import_schema(schema)) == FACTS
    for name, text in (("s.json", schema.to_json()), ("s.yaml", schema.to_yaml())):
        (tmp_path / name).write_text(text)
        assert facts(import_schema(tmp_path / name)) == FACTS
    assert import_schema(schema).name == "people"


def test_a_model_class_states_what_its_schema_does():
    class Model(pa.DataFrameModel):
        age: int = pa.Field(ge=0, lt=10)
        group: pd.CategoricalDtype = pa.Field(dtype_kwargs={"categories": ["a", "b"], "ordered": True})

    assert facts(import_schema(Model)) == {
        "age": ("integer", {"min": 0, "max": 9, "missing": False}),
        "group": ("categorical", {"values": ["a", "b"], "missing": False}),
    }


def test_a_schema_for_polars_is_read_alike():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandera.polars as pp
        import polars as pl
    schema = pp.DataFrameSchema({"a": pp.Column(pl.Int64, pa.Check.ge(1)), "e": pp.Column(pl.Enum(["u", "v"]), nullable=True)})
    assert facts(import_schema(schema)) == {
        "a": ("integer", {"min": 1, "missing": False}), "e": ("categorical", {"values": ["u", "v"], "missing": True}),
    }  # fmt: skip


def test_a_check_that_is_a_function_is_listed():
    schema = pa.DataFrameSchema({"a": pa.Column("int64", pa.Check(lambda s: s > 0, name="positive"))})
    (column,) = import_schema(schema).columns
    assert (column.facts, column.notes) == ({"missing": False}, ("check positive",))


def test_columns_that_are_patterns_or_of_no_kind_are_left_out(tmp_path):
    found = {
        "schema_type": "dataframe",
        "columns": {
            "x_.*": {"dtype": "int64", "regex": True}, "c": {"dtype": "complex128"}, "any": {"dtype": None},
            "listed": {"dtype": None, "isin": ["a", "b"]},
        },
    }  # fmt: skip
    draft = drafted(tmp_path, found)
    assert draft.left_out() == ["x_.*", "c"]
    assert draft.to_fill_in() == {"any": ["kind"]}
    assert facts(draft)["listed"] == ("categorical", {"values": ["a", "b"], "missing": False})


def test_two_checks_allow_what_both_do(tmp_path):
    checks = [
        {"value": 3, "options": {"check_name": "greater_than_or_equal_to"}}, {"value": 5, "options": {"check_name": "greater_than"}},
        {"value": 9, "options": {"check_name": "less_than"}}, {"value": 7, "options": {"check_name": "less_than_or_equal_to"}},
    ]  # fmt: skip
    found = {"schema_type": "dataframe", "columns": {"a": {"dtype": "int64", "checks": checks}}}
    assert facts(drafted(tmp_path, found)) == {"a": ("integer", {"min": 6, "max": 7, "missing": False})}


@pytest.mark.parametrize("checks", [[{"value": 1}], [1], 3, {"isin": []}, {"isin": 3}, {"isin": [[1]]}, {"greater_than": 1e400}])
def test_checks_out_of_shape_are_refused(tmp_path, checks):
    found = {"schema_type": "dataframe", "columns": {"a": {"dtype": "float64", "checks": checks}}}
    with pytest.raises(SpecError, match="a"):
        drafted(tmp_path, found)
