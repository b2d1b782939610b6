"""A draft is a good file to edit: its sections are in order, `dpsynth plan` names the next key, and what was filled in comes back."""

import json
import re
import tomllib
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from dpsynth import Ledger, import_schema, spec_text
from dpsynth.errors import SpecError
from dpsynth.schemas.draft import Draft, DraftColumn
from dpsynth.schemas.spec_text import literal, release_name
from dpsynth.spec import Spec
from dpsynth.spec_keys import KEYS
from tests.schemas.filling_in import SECTIONS, asked, filled
from tests.stories.world import dpsynth

PAGE = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
METADATA = {
    "METADATA_SPEC_VERSION": "SINGLE_TABLE_V1",
    "columns": {
        "patient": {"sdtype": "id"}, "notes": {"sdtype": "unknown"},
        "age": {"sdtype": "numerical", "computer_representation": "Int64"},
        "fee": {"sdtype": "numerical"}, "ward": {"sdtype": "categorical"}, "emergency": {"sdtype": "boolean"},
        "born": {"sdtype": "datetime", "datetime_format": "%Y-%m-%d"},
        "seen at": {"sdtype": "datetime", "datetime_format": "%d %b %Y %H:%M"},
    },
}  # fmt: skip


@pytest.fixture
def metadata(tmp_path):
    (tmp_path / "visits 2026.json").write_text(json.dumps(METADATA))
    return tmp_path / "visits 2026.json"


def test_each_key_left_open_is_asked_for_by_name_and_nothing_else_is(metadata):
    draft = import_schema(metadata)
    spec, text, steps = filled(spec_text(draft), draft)
    assert set(steps) == {(name, key) for name, keys in draft.to_fill_in().items() for key in keys}
    assert [column.name for column in spec.schema.columns] == list(METADATA["columns"])
    assert {column.name: column.kind for column in spec.schema.columns} == {column.name: column.kind for column in draft.columns}
    assert Spec.from_facts(spec.facts()).facts() == spec.facts()
    assert spec.name == "visits-2026"
    assert "# source = ..." in text  # who says these facts stays for people to say


def test_a_key_that_is_only_uncommented_is_refused(metadata):
    text = spec_text(import_schema(metadata))
    for key in re.findall(r"(?m)^# (\w+) = \.\.\.", text):
        with pytest.raises(SpecError, match="not valid TOML"):
            Spec.from_text(re.sub(rf"(?m)^# {key} = \.\.\.", f"{key} = ...", text))


def test_plan_refuses_a_draft_with_the_key_that_is_missing(metadata, tmp_path):
    spec = tmp_path / "visits.toml"
    assert dpsynth("schema", "import", metadata, "--out", spec).exit_code == 0
    result = dpsynth("plan", spec)
    assert result.exit_code == 2
    assert "[release] needs purpose" in result.stderr
    text = spec.read_text()
    for key, value in SECTIONS.items():
        text = re.sub(rf"(?m)^# {key} = \.\.\.", f"{key} = {value}", text, count=1)
    spec.write_text(text)
    result = dpsynth("plan", spec)
    assert result.exit_code == 2
    assert asked(result.stderr.removeprefix("error: ").strip()) == ("age", ["max", "min"])


def test_sections_and_keys_come_in_the_order_of_the_reference(metadata):
    text = spec_text(import_schema(metadata))
    sections = re.findall(r"(?m)^\[(\w+)", text)
    order = list(dict.fromkeys(re.findall(r"(?m)^\| `(\w+)\.", PAGE)))
    assert [order.index(section) for section in sections] == sorted(order.index(section) for section in sections)
    assert len(max(text.splitlines(), key=len)) <= 120
    assert text.isascii() or all(c.isprintable() or c == "\n" for c in text)


def test_every_comment_about_a_key_is_what_the_reference_says(metadata):
    text = re.sub(r"\n#  +# +", " ", spec_text(import_schema(metadata)))
    for key in KEYS:
        if key.section in {"release", "data", "unit", "budget", "columns.NAME"} and re.search(rf"(?m)^# {key.name} = ", text):
            assert key.meaning in text


def test_a_filled_draft_runs(metadata, tmp_path):
    """From somebody else's metadata to a rehearsal: nothing but the listed keys had to be written."""
    draft = import_schema(metadata)
    _, text, _ = filled(spec_text(draft, tmp_path), draft)
    (tmp_path / "visits.toml").write_text(text)
    Ledger.init(tmp_path / "account", epsilon=2, delta="1e-5")
    assert dpsynth("plan", tmp_path / "visits.toml").exit_code == 0
    result = dpsynth("run", tmp_path / "visits.toml", "--rehearse", "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert "notes" not in (tmp_path / "out" / "synthetic.csv").read_text().splitlines()[0]


VALUES = [
    True, False, 0, -7, 10**25, Decimal("0.5"), Decimal("1E-7"), Decimal("1E+30"),
    "", "a", 'say "hi"', "back\\slash", "größe", "日本", "\U0001f600",
    "a\nb\tc\x7f\x85", ["a", 'b"'], [1, Decimal("2.5")], date(2026, 3, 29), datetime(2026, 3, 29, 1, 2, 3),  # noqa: DTZ001 - TOML has moments without a zone
    ["x" * 60] * 9,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_each_value_comes_back_from_toml(value):
    assert tomllib.loads(f"v = {literal(value)}", parse_float=Decimal)["v"] == value


def test_long_lists_go_over_lines_and_come_back():
    values = [f"value number {i}, with 'quotes' and \"others\"" for i in range(300)]
    text = spec_text(Draft("a test", "t", (DraftColumn("x", "categorical", {"values": values}),)))
    assert tomllib.loads(text)["columns"]["x"]["values"] == values
    assert max(map(len, text.splitlines())) <= 120


def test_names_of_releases_are_made_of_what_they_may_hold():
    names = {
        "Visits 2026.csv": "visits-2026-csv",
        "": "release",
        "---": "release",
        "größe": "gr-e",
        "x" * 99: "x" * 64,
        "people_*": "people",
    }
    assert {text: release_name(text) for text in names} == names


def test_paths_start_at_the_folder_of_the_spec(tmp_path, monkeypatch):
    import pandas as pd

    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    pd.DataFrame({"age": [1]}).to_parquet(tmp_path / "data" / "people.parquet")
    for given in ("data/people.parquet", tmp_path / "data" / "people.parquet", "data/p*.parquet"):
        spec = tmp_path / "specs" / "people.toml"
        assert dpsynth("schema", "draft", given, "--out", spec).exit_code == 0
        source = tomllib.loads(spec.read_text())["data"]["source"]
        assert (spec.parent / source).resolve().parent == tmp_path / "data"
        spec.unlink()


def test_the_command_says_what_is_left_to_do(metadata, tmp_path):
    spec = tmp_path / "deep" / "visits.toml"
    result = dpsynth("schema", "import", metadata, "--out", spec)
    assert "fill in: columns.age.min\nfill in: columns.age.max\n" in result.stdout
    assert f"dpsynth plan {spec}" in result.stdout
    printed = dpsynth("schema", "import", metadata)
    assert printed.stdout == spec.read_text().replace('"../', '"')
    facts = json.loads(dpsynth("schema", "import", metadata, "--json").stdout)
    assert facts["spec"] == printed.stdout
    assert facts["to_fill_in"]["ward"] == ["values"]
    for taken in (spec, tmp_path / "spec.txt", metadata / "under" / "spec.toml"):
        result = dpsynth("schema", "import", metadata, "--out", taken)
        assert result.exit_code == 2
        assert "choose another --out" in result.stderr or "must end in .toml" in result.stderr


def test_schemas_of_polars_and_arrow_are_imported_as_objects():
    polars = pl.Schema({"a": pl.Int8, "e": pl.Enum(["u", "v"]), "c": pl.Categorical(), "d": pl.Decimal(10, 2), "l": pl.List(pl.Int8)})
    draft = import_schema(polars)
    assert {column.name: column.kind for column in draft.columns} == {
        "a": "integer", "e": "categorical", "c": "categorical", "d": "number", "l": "",
    }  # fmt: skip
    assert {column.name: dict(column.facts) for column in draft.columns if column.facts} == {
        "e": {"values": ["u", "v"]},
        "d": {"decimals": 2},
    }
    arrow = import_schema(pa.schema([pa.field("a", pa.int8(), nullable=False), ("b", pa.string())]))
    assert {column.name: (column.kind, column.facts) for column in arrow.columns} == {
        "a": ("integer", {"missing": False}), "b": ("categorical", {"missing": True}),
    }  # fmt: skip


@pytest.mark.parametrize("thing", [None, 3, object(), int, {"a": 1}, pl.Int8, pa.table({"a": [1]})])
def test_what_is_no_schema_is_refused(thing):
    with pytest.raises(SpecError, match="schema must be a file"):
        import_schema(thing)


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_a_draft_has_columns_of_different_names(names):
    with pytest.raises(SpecError, match="column"):
        Draft("a test", "t", tuple(map(DraftColumn, names)))
