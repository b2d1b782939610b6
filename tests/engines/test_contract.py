"""Every engine and every kind of source against the one contract."""

import csv
import gzip
import io

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from dpsynth.column import Modelled
from dpsynth.engines.codes import CodesEngine, Texts
from dpsynth.engines.reader import open_engine
from dpsynth.engines.source import open_source
from dpsynth.kinds import KINDS
from tests.contracts.engine_contract import COLUMNS, EngineContract, kept


def columns_of(rows, schema, unit):
    return list(rows[0]) if rows else [*schema.domain.columns, *([unit.id] if unit.id else [])]


def csv_text(rows, columns, end="\n"):
    """A one-column table quotes everything: there, a blank line is no row."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL if len(columns) == 1 else csv.QUOTE_MINIMAL)
    writer.writerow(columns)
    writer.writerows([row[column] for column in columns] for row in rows)
    return file.getvalue()


def arrow_table(rows, columns):
    return pa.table({column: pa.array([row[column] for row in rows], pa.string()) for column in columns})


def halves(rows, columns):
    """The rows in three uneven files whose columns stand in different orders."""
    return [(rows[::2], columns), (rows[1::2], columns[::-1]), ([], columns)]


class FileContract(EngineContract):
    def write(self, rows, columns, folder):
        raise NotImplementedError

    def build(self, rows, schema, unit, key, folder, threads=None):
        source = open_source(self.write(rows, columns_of(rows, schema, unit), folder))
        engine = open_engine(source, schema, unit, key=key, threads=threads)
        for file in folder.iterdir():
            file.unlink()  # what was opened is never opened again
        return engine


class TestCsv(FileContract):
    def write(self, rows, columns, folder):
        (folder / "t.csv").write_bytes(csv_text(rows, columns).encode())
        return folder / "t.csv"


class TestCsvFromWindows(FileContract):
    def write(self, rows, columns, folder):
        (folder / "t.CSV").write_bytes(b"\xef\xbb\xbf" + csv_text(rows, columns, "\r\n").encode())
        return str(folder / "t.CSV")


class TestCsvGz(FileContract):
    def write(self, rows, columns, folder):
        (folder / "t.csv.gz").write_bytes(gzip.compress(csv_text(rows, columns).encode()))
        return folder / "t.csv.gz"


class TestCsvGlob(FileContract):
    def write(self, rows, columns, folder):
        for i, (part, order) in enumerate(halves(rows, columns)):
            (folder / f"{i}.csv").write_bytes(csv_text(part, order).encode())
        return str(folder / "*.csv")


class TestParquet(FileContract):
    def write(self, rows, columns, folder):
        parquet.write_table(arrow_table(rows, columns), folder / "t.parquet")
        return folder / "t.parquet"


class TestParquetGlob(FileContract):
    def write(self, rows, columns, folder):
        for i, (part, order) in enumerate(halves(rows, columns)):
            parquet.write_table(arrow_table(part, order), folder / f"{i}.parquet", row_group_size=7)
        return str(folder / "*.parquet")


class TestArrow(EngineContract):
    def build(self, rows, schema, unit, key, folder, threads=None):
        table = arrow_table(rows, columns_of(rows, schema, unit))
        pieces = [table.slice(0, 3), table.slice(3), table.slice(0, 0)]
        return open_engine(open_source(pa.concat_tables(pieces)), schema, unit, key=key, threads=threads)


class TestArrowDictionaries(EngineContract):
    def build(self, rows, schema, unit, key, folder, threads=None):
        table = arrow_table(rows, columns_of(rows, schema, unit))
        coded = pa.table({name: table[name].dictionary_encode() for name in table.column_names})
        return open_engine(open_source(coded), schema, unit, key=key, threads=threads)


class TestPandas(EngineContract):
    dtype = "str"

    def build(self, rows, schema, unit, key, folder, threads=None):
        frame = pd.DataFrame(rows, columns=columns_of(rows, schema, unit), dtype=self.dtype)
        return open_engine(open_source(frame), schema, unit, key=key, threads=threads)


class TestPandasObjects(TestPandas):
    dtype = "object"


class TestPandasCategories(TestPandas):
    dtype = "category"


def texts(held):
    listed = sorted(set(held))
    return Texts([text or None for text in listed], np.array([listed.index(text) for text in held], dtype=np.int64))


class TestCodes(EngineContract):
    def build(self, rows, schema, unit, key, folder, threads=None):
        columns = dict(zip([column.name for column in schema.columns], zip(*kept(rows, schema, unit, key), strict=True), strict=False))
        codes = {name: np.array(columns.get(name, ()), dtype=np.int64) for name in schema.domain.columns}
        return CodesEngine(schema.domain, codes, {name: texts(held) for name, held in columns.items() if name not in codes})


def test_the_contract_covers_every_kind_that_has_cells():
    assert {column.kind for column in COLUMNS.values()} == {kind for kind, column in KINDS.items() if issubclass(column, Modelled)}
    both = {kind for kind in KINDS if {column.missing for column in COLUMNS.values() if column.kind == kind} == {False, True}}
    assert {"code", "categorical", "boolean", "integer", "number"} <= both
