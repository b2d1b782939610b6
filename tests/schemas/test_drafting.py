"""Drafts from a source: names and declared types, and not a row."""

import gzip
from dataclasses import dataclass

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from dpsynth.engines import parts
from dpsynth.engines.database import DatabaseSource
from dpsynth.errors import SourceError, SpecError
from dpsynth.schemas import drafting
from dpsynth.schemas.drafting import draft_spec
from dpsynth.schemas.spec_text import spec_text
from dpsynth.schemas.type_names import kind_of, type_word
from tests.schemas.filling_in import filled
from tests.stories.world import dpsynth

CANARY = "Kp3canaryZt"
TYPED = pa.schema(
    [
        pa.field("age", pa.int16(), nullable=False),
        pa.field("income", pa.float64()),
        pa.field("fee", pa.decimal128(10, 2)),
        pa.field("born", pa.date32()),
        pa.field("seen", pa.timestamp("us", tz="UTC")),
        pa.field("stay", pa.duration("s")),
        pa.field("sex", pa.dictionary(pa.int8(), pa.string())),
        pa.field("note", pa.string()),
        pa.field("member", pa.bool_()),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("at", pa.time32("s")),
        pa.field("raw", pa.binary()),
    ]
)
KINDS = {
    "age": "integer", "income": "number", "fee": "number", "born": "date", "seen": "datetime", "stay": "duration", "sex": "categorical",
    "note": "categorical", "member": "boolean", "tags": "", "at": "", "raw": "",
}  # fmt: skip


def typed_table():
    """Canaries wherever a file keeps something that it took from the rows."""
    values = {
        "age": [41, 42], "income": [1234567.5, 2.0], "fee": [None, None], "born": [None, None], "seen": [None, None], "stay": [5, 6],
        "sex": [CANARY, "F"], "note": [CANARY, "x"], "member": [True, None], "tags": [[CANARY], []],
        "at": [None, None], "raw": [b"x", b"y"],
    }  # fmt: skip
    table = pa.table({name: pa.array(values[name], TYPED.field(name).type) for name in TYPED.names}, schema=TYPED)
    own = f'{{"columns": [{{"metadata": {{"categories": ["{CANARY}"]}}}}]}}'
    return table.replace_schema_metadata({"pandas": own, CANARY: CANARY})


@pytest.fixture
def file(tmp_path):
    parquet.write_table(typed_table(), tmp_path / "people.parquet", write_statistics=True)
    return tmp_path / "people.parquet"


def test_each_declared_type_suggests_a_kind(file):
    draft = draft_spec(file)
    assert {column.name: column.kind for column in draft.columns} == KINDS
    facts = {column.name: dict(column.facts) for column in draft.columns if column.kind}
    assert facts.pop("age") == {"missing": False}
    assert facts.pop("fee") == {"decimals": 2, "missing": True}
    assert all(found == {"missing": True} for found in facts.values())
    assert draft.left_out() == ["tags", "at", "raw"]


def test_nothing_that_was_taken_from_rows_is_in_the_draft(file):
    assert CANARY.encode() in file.read_bytes()
    text = spec_text(draft_spec(file))
    assert CANARY not in text
    assert "1234567" not in text
    assert "41" not in text.replace(str(file.parent), "")
    assert not [key for column in draft_spec(file).columns for key in column.facts if key in {"min", "max", "values", "size"}]


def test_a_parquet_file_whose_rows_are_destroyed_still_drafts(file):
    before = spec_text(draft_spec(file))
    data = bytearray(file.read_bytes())
    footer = int.from_bytes(data[-8:-4], "little")
    data[4 : len(data) - 8 - footer] = bytes(len(data) - 12 - footer)
    file.write_bytes(data)
    with pytest.raises((OSError, ValueError)):
        parquet.read_table(file)
    assert spec_text(draft_spec(file)) == before


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_of_a_csv_the_first_line_is_read_and_no_other(tmp_path, monkeypatch, ending):
    path, text = tmp_path / f"people.{ending}", f"age,sex\n41,{CANARY}\n".encode()
    path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    lines = []

    class Watched:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.stream.close()

        def readline(self, *limit):
            lines.append(self.stream.readline(*limit))
            return lines[-1]

    opened = parts._bytes_of
    monkeypatch.setattr(parts, "_bytes_of", lambda path: Watched(opened(path)))
    draft = draft_spec(path, columns=["sex"])
    assert [column.name for column in draft.columns] == ["age", "sex"]
    assert lines == [b"age,sex\n"]
    assert draft.to_fill_in() == {"age": ["kind"], "sex": ["kind"]}
    assert CANARY not in spec_text(draft)


def test_a_first_line_that_may_be_a_row_is_used_only_where_it_proves_to_be_a_header(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(f"41,{CANARY}\n")
    for words in ([], ["--column", "age"], ["--column", "age", "--column", "sex"]):
        result = dpsynth("schema", "draft", path, *words)
        assert result.exit_code == 2
        assert "not shown" in result.stderr
        assert CANARY not in result.stdout + result.stderr
    path.write_text("age,sex\n")
    result = dpsynth("schema", "draft", path, "--column", "age", "--column", "job")
    assert result.exit_code == 2
    assert "no column 'job'" in result.stderr


def test_several_files_give_the_columns_that_all_have(tmp_path):
    parquet.write_table(pa.table({"a": [1], "b": ["x"], "c": [1.5]}), tmp_path / "p-1.parquet")
    parquet.write_table(pa.table({"c": [1], "a": [1]}), tmp_path / "p-2.parquet")
    draft = draft_spec(str(tmp_path / "p-*.parquet"))
    assert {column.name: column.kind for column in draft.columns} == {"a": "integer", "c": ""}
    (tmp_path / "p-3.csv").write_text("a,c\n1,2\n")
    with pytest.raises(SpecError, match="not shown"):
        draft_spec(str(tmp_path / "p-*"))
    assert [column.kind for column in draft_spec(str(tmp_path / "p-*"), columns=["a"]).columns] == ["", ""]


def test_tables_in_memory_are_drafted_from_their_types():
    frame = pd.DataFrame(
        {
            "age": [41], "whole": pd.array([1], "Int64"), "income": [1.5], "sex": pd.Categorical([CANARY]), "note": [CANARY],
            "any": [object()],
            "seen": pd.to_datetime(["2020-01-01"]), "stay": pd.to_timedelta([5], "s"), "member": [True],
        }
    )  # fmt: skip
    drafts = {"frame": draft_spec(frame), "table": draft_spec(typed_table())}
    assert {column.name: (column.kind, column.facts) for column in drafts["frame"].columns} == {
        "age": ("integer", {"missing": False}), "whole": ("integer", {"missing": True}), "income": ("number", {"missing": True}),
        "sex": ("categorical", {"missing": True}), "note": ("categorical", {"missing": True}), "any": ("categorical", {"missing": True}),
        "seen": ("datetime", {"missing": True}), "stay": ("duration", {"missing": True}), "member": ("boolean", {"missing": False}),
    }  # fmt: skip
    assert {column.name: column.kind for column in drafts["table"].columns} == KINDS
    assert all(CANARY not in spec_text(draft) for draft in drafts.values())


def test_a_table_of_a_database_is_drafted_from_its_catalog(tmp_path):
    path = tmp_path / "hospital.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TYPE ward AS ENUM ('{CANARY}', 'ok')")
        connection.execute("CREATE TABLE visits (age SMALLINT, ward ward, nested STRUCT(a ward), fee DECIMAL(9, 2), seen TIMESTAMP)")
        connection.execute(f"INSERT INTO visits VALUES (3, '{CANARY}', {{'a': '{CANARY}'}}, 1.5, NULL)")
    draft = draft_spec(path, table="visits")
    assert {column.name: column.kind for column in draft.columns} == {
        "age": "integer", "ward": "categorical", "nested": "", "fee": "number", "seen": "datetime",
    }  # fmt: skip
    text = spec_text(draft, tmp_path)
    assert CANARY not in text
    assert (draft.name, draft.reading) == ("visits", {"table": "visits"})
    spec, _, _ = filled(text, draft)
    assert spec.table == "visits"
    result = dpsynth("schema", "draft", path)
    assert result.exit_code == 2
    assert "data.table" in result.stderr


def test_an_address_stays_as_it_is(monkeypatch):
    @dataclass(frozen=True)
    class Kind:
        words: str
        nullable: bool = True

        def __str__(self):
            return self.words

    kinds = (("age", Kind("!int16", nullable=False)), ("born", Kind("date")), ("stay", Kind("interval('s')")), ("who", Kind("uuid")))
    source = DatabaseSource("a table", ("people",), kinds, None, None)
    monkeypatch.setattr(drafting, "open_source", lambda *_, **__: source)
    draft = draft_spec("postgres://host/db", table="s.people")
    assert {column.name: (column.kind, column.facts) for column in draft.columns} == {
        "age": ("integer", {"missing": False}), "born": ("date", {"missing": True}), "stay": ("duration", {"missing": True}),
        "who": ("identifier", {}),
    }  # fmt: skip
    assert 'source = "postgres://host/db"\ntable = "s.people"' in spec_text(draft, "elsewhere")


def test_the_delimiter_is_part_of_the_draft(tmp_path):
    (tmp_path / "people.csv").write_text("age;sex\n1;F\n")
    draft = draft_spec(tmp_path / "people.csv", columns=["age"], delimiter=";")
    assert [column.name for column in draft.columns] == ["age", "sex"]
    assert filled(spec_text(draft, tmp_path), draft)[0].delimiter == ";"


def test_a_source_that_does_not_open_is_exit_code_5(tmp_path):
    with pytest.raises(SourceError):
        draft_spec(tmp_path / "absent.parquet")
    assert dpsynth("schema", "draft", tmp_path / "absent.parquet").exit_code == 5
    assert dpsynth("schema", "draft", tmp_path / "absent.xlsx").exit_code == 5


def test_odd_names_are_written_so_that_they_come_back(tmp_path):
    names = ["a b", "it's", 'say "hi"', "x,y;z", "größe=日本", "t'); DROP TABLE coded; --", "a.b", "[c]", "#", "=", "true", "1"]
    parquet.write_table(pa.table({name: [True] for name in names}), tmp_path / "odd.parquet")
    draft = draft_spec(tmp_path / "odd.parquet")
    spec, _, steps = filled(spec_text(draft, tmp_path), draft)
    assert list(spec.schema.domain.columns) == names
    assert steps == []
    parquet.write_table(pa.table({name: [True] for name in ["ok", "", "a\nb", "c\x1b"]}), tmp_path / "bad.parquet")
    assert draft_spec(tmp_path / "bad.parquet").left_out() == ["a\nb", "c\x1b"]


TYPE_NAMES = {
    "boolean": "bool; Boolean; BOOLEAN; bit",
    "integer": "int8; Int64; uint32; UINTEGER; BIGINT; HUGEINT; int4; smallint; bigserial; decimal(10, 0); int64[pyarrow]",
    "number": (
        "float; double; Float64; halffloat; REAL; double precision; DECIMAL(18,3); Decimal(precision=9, scale=2); numeric; numeric(9, 20)"
    ),
    "date": "date; Date; date32[day]; date64[ms]",
    "datetime": (
        "timestamp[us, tz=UTC]; datetime64[ns]; datetime64[ns, Europe/Paris]; Datetime(time_unit='us', time_zone=None); TIMESTAMP; "
        "TIMESTAMP WITH TIME ZONE; timestamp('UTC', 6); TIMESTAMP_NS; timestamptz; timestamp(6)"
    ),
    "duration": "duration[ns]; timedelta64[ns]; Duration(time_unit='us'); INTERVAL; interval('s'); interval day to second",
    "identifier": "uuid; UUID; extension<arrow.uuid>",
    "categorical": (
        "string; large_string; string_view; str; Utf8; object; category; Categorical; Enum(categories=['a', 'b']); VARCHAR; VARCHAR(20); "
        "character varying(20); char(1); text; ENUM('a', 'b'); dictionary<values=string, indices=int32, ordered=0>"
    ),
    "": (
        "list<item: int64>; struct<a: int64>; map<string, int64>; binary; BLOB; time64[us]; TIME; null; interval[int64, right]; period[M]; "
        "INTEGER[]; complex128; json; array<int64>; Sparse[int64, 0]; List(String); int64 or so"
    ),
}


@pytest.mark.parametrize("kind", TYPE_NAMES)
def test_names_of_types_mean_what_their_makers_say(kind):
    names = TYPE_NAMES[kind].split("; ")
    assert {name: kind_of(name)[0] for name in names} == dict.fromkeys(names, kind)


def test_a_dictionary_is_of_the_kind_of_its_values():
    assert kind_of("dictionary<values=int64, indices=int32, ordered=0>") == ("integer", {})
    assert kind_of("DECIMAL(38, 20)") == ("number", {})


def test_the_labels_of_a_type_are_not_shown():
    for name in (f"ENUM('{CANARY}')", f"Enum(categories=['{CANARY}'])", f"STRUCT(a ENUM('{CANARY}'))", f"Categorical({CANARY})"):
        assert CANARY not in type_word(name)
    assert type_word("decimal128(10, 2)") == "decimal128(10, 2)"
