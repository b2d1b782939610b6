"""Public tables: read from a file into cells, refused in words, and back from their facts."""

import numpy as np
import pytest

from dpsynth.errors import SpecError
from dpsynth.knowledge import PublicTable, public_table
from dpsynth.schema import Schema

SCHEMA = Schema.from_columns(
    {
        "sex": {"kind": "categorical", "values": ["F", "M"], "other": False},
        "age": {"kind": "integer", "min": 0, "max": 99, "bins": 4, "missing": True},
        "job": {"kind": "categorical", "values": ["cook"]},
        "found": {"kind": "integer", "min": 0, "max": 99, "binning": "adaptive"},
        "adult": {"kind": "boolean", "missing": True},
    },
    [{"kind": "determines", "from": "age", "column": "adult", "mapping": [[{"min": 18}, True]], "otherwise": False}],
)
SOURCE = "public: a census"


def read(tmp_path, text, *columns, source=SOURCE):
    path = tmp_path / "counts.csv"
    path.write_text(text, encoding="utf-8")
    return public_table(SCHEMA, columns, path, source)


def test_lines_go_to_the_cells_of_their_values_and_are_added(tmp_path):
    found = read(tmp_path, "age,count,sex\n3,5,M\n20,2,M\n,1,F\n99, 4 ,F\n\n", "age", "sex")
    assert found.columns == ("sex", "age")
    np.testing.assert_allclose(found.shares(SCHEMA) * 12, [[0, 0, 0, 4, 1], [7, 0, 0, 0, 0]])
    assert PublicTable.read(found.facts()) == found


def test_a_value_for_others_counts_where_there_is_a_cell_for_it(tmp_path):
    assert read(tmp_path, "job,count\ncook,3\nsmith,2\n", "job").counts == (3, 2)


FAULTS = [
    ("sex,count\nX,3\n", ("sex",), r"counts\.csv, line 2: column 'sex' does not list 'X'"),
    ("sex,count\n,3\n", ("sex",), "does not list ''"),
    ("sex,count\nF,-3\n", ("sex",), "count must be a whole number"),
    ("sex,count\nF,1e3\n", ("sex",), "count must be a whole number"),
    ("sex,count\nF," + "9" * 16 + "\n", ("sex",), "at most 15 digits"),
    ("sex,count\nF,0\n", ("sex",), "not all 0"),
    ("sex,count\nF\n", ("sex",), "more or fewer values"),
    ("sex,n\nF,3\n", ("sex",), r"must have the columns \['sex', 'count'\]"),
    ("", ("sex",), "must have the columns"),
    ("sex,age,job,count\nF,3,cook,1\n", ("sex", "age", "job"), "one column or two"),
    ("found,count\n3,1\n", ("found",), r"is to find the cells of \['found'\]"),
    ("adult,count\ntrue,1\n", ("adult",), "adult"),
    ("x,count\n3,1\n", ("x",), "unknown columns"),
]


@pytest.mark.parametrize(("text", "columns", "words"), FAULTS)
def test_a_wrong_table_is_refused_in_words(tmp_path, text, columns, words):
    with pytest.raises(SpecError, match=words):
        read(tmp_path, text, *columns)


def test_a_table_needs_a_file_in_utf8_and_a_source(tmp_path):
    with pytest.raises(SpecError, match="cannot be read"):
        public_table(SCHEMA, ["sex"], tmp_path / "none.csv", SOURCE)
    (tmp_path / "latin.csv").write_bytes("sex,count\nFé,1\n".encode("latin-1"))
    with pytest.raises(SpecError, match="no CSV file in UTF-8"):
        public_table(SCHEMA, ["sex"], tmp_path / "latin.csv", SOURCE)
    with pytest.raises(SpecError, match="say where the table is published"):
        read(tmp_path, "sex,count\nF,1\n", "sex", source="our own rows")


@pytest.mark.parametrize("counts", [(1,), (1, -1), (0, 0), (10**15, 1)])
def test_facts_that_no_file_could_have_given_are_refused(counts):
    with pytest.raises(SpecError, match="counts"):
        PublicTable(("sex",), counts, SOURCE).check(SCHEMA)
