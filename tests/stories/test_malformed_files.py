"""Sixty-odd broken sources, each through the command line.

A fault of the file as a whole ends in exit code 2 or 5 before anything is charged, or in 5 where it shows while rows are read. A fault of a
row changes nothing: the run ends as the run on the same file without that row. Whatever happens, no message and no file shows a cell: every
file holds a canary.
"""

import gzip
import io
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.stories.test_neighbours import everything, plain, public_facts
from tests.stories.world import World, dpsynth

CANARY = "Qx9canaryVw"
COLUMNS = {
    "age": {"kind": "integer", "min": 17, "max": 90, "bins": 8, "missing": True},
    "sex": {"kind": "categorical", "values": ["F", "M"]},
}
NAMES = b"age,sex,note\n"
ROWS = [f"{17 + i % 70},{'FM'[i % 2]},{CANARY}".encode() for i in range(120)]
BODY = b"\n".join([*ROWS, b""])
GOOD = NAMES + BODY
OTHER = ",".join(f"x{i}" for i in range(10_000)).encode()
SQL = b"t'); DROP TABLE coded; --"


@dataclass(frozen=True)
class File:
    """One source: files by name with their bytes; `source` as the spec names it, where it is not the only file."""

    files: dict
    source: str = ""

    @classmethod
    def csv(cls, data):
        return cls({"people.csv": data})

    @classmethod
    def gz(cls, data):
        return cls({"people.csv.gz": data})

    @classmethod
    def parquet(cls, data):
        return cls({"people.parquet": data})


def with_row(row):
    """The good table with one more line in its middle."""
    return File.csv(NAMES + b"\n".join([*ROWS[:60], row, *ROWS[60:], b""]))


def zipped(data):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(CANARY, data)
    return stream.getvalue()


def packed(table, **options):
    """A table as the bytes of a Parquet file."""
    stream = io.BytesIO()
    parquet.write_table(table, stream, **options)
    return stream.getvalue()


def database(table="people", column="sex"):
    """A table as the bytes of a DuckDB file."""
    with tempfile.TemporaryDirectory() as folder:
        with duckdb.connect(f"{folder}/a.duckdb") as connection:
            connection.execute(f"CREATE TABLE {table} AS SELECT 44 AS age, '{CANARY}' AS {column} FROM range(120)")
        return Path(folder, "a.duckdb").read_bytes()


def people(extra=(), **columns):
    """The good table with Arrow types; columns replace or add, extra: values for one more row."""
    rows = [(17 + i % 70, "FM"[i % 2], CANARY) for i in range(120)] + list(extra)
    ages, sexes, notes = zip(*rows, strict=True)
    return pa.table({"age": pa.array(ages, pa.int64()), "sex": sexes, "note": notes} | columns)


def raw_strings(*values):
    """A string column of bytes that are no UTF-8."""
    return pa.array(values, pa.binary()).view(pa.string())


def flipped(data, start, stop):
    return data[:start] + bytes(byte ^ 0xFF for byte in data[start:stop]) + data[stop:]


def sexes():
    return ["FM"[i % 2] for i in range(120)]


PLAIN = packed(people(), compression="none", use_dictionary=False)
NESTED = pa.array([{"x": "F", "y": [CANARY]}] * 119 + [None])
AGES = pa.array([17 + i % 70 for i in range(120)])
# Cases are functions, so that they cost nothing where they are only collected.

OF_THE_FILE = {
    # what is wrong: (files, exit code, whether it shows before the charge)
    "no file": (lambda: File({}, "people.csv"), 5),
    "empty": (lambda: File.csv(b""), 5),
    "directory": (lambda: File({"people.csv/part.csv": GOOD}, "people.csv"), 5),
    "unknown ending": (lambda: File({"people.txt": GOOD}), 5),
    "blank lines only": (lambda: File.csv(b"\n\n\n"), 2),
    "blanks only": (lambda: File.csv(b"   \t  "), 2),
    "UTF-16 little endian": (lambda: File.csv(GOOD.decode().encode("utf-16")), 5),
    "UTF-16 big endian": (lambda: File.csv(GOOD.decode().encode("utf-16-be")), 5),
    "UTF-32": (lambda: File.csv(GOOD.decode().encode("utf-32")), 5),
    "Latin-1 header": (lambda: File.csv("größe,".encode("latin-1") + GOOD), 5),
    "EBCDIC": (lambda: File.csv(GOOD.decode().encode("cp500")), 5),
    "CR-only line ends": (lambda: File.csv(GOOD.replace(b"\n", b"\r")), 5),
    "NUL in the header": (lambda: File.csv(GOOD.replace(b"sex", b"s\0ex", 1)), 5),
    "header over a MiB": (lambda: File.csv(CANARY.encode() * 120_000 + b"," + GOOD), 5),
    "no header": (lambda: File.csv(BODY), 2),
    "title above the header": (lambda: File.csv(f"report of {CANARY}\n".encode() + GOOD), 2),
    "other delimiter": (lambda: File.csv(GOOD.replace(b",", b";")), 2),
    "duplicate header": (lambda: File.csv(GOOD.replace(b"note", b"sex", 1)), 2),
    "column absent": (lambda: File.csv(GOOD.replace(b"sex", b"gender", 1)), 2),
    "column in other case": (lambda: File.csv(GOOD.replace(b"sex", b"SEX", 1)), 2),
    "column absent beside SQL": (lambda: File.csv(GOOD.replace(b"sex", SQL, 1)), 2),
    "column absent among 10,000": (lambda: File.csv(b"age," + OTHER + b"\n" + BODY), 2),
    "open quote in the header": (lambda: File.csv(b'age,"' + GOOD.removeprefix(b"age,")), 2),
    "two BOMs": (lambda: File.csv(b"\xef\xbb\xbf" * 2 + GOOD.replace(b"sex", b"sax", 1)), 2),
    "zip": (lambda: File.csv(zipped(GOOD)), 5),
    "Parquet called CSV": (lambda: File.csv(PLAIN), 5),
    "gzip called CSV": (lambda: File.csv(gzip.compress(GOOD)), 5),
    "CSV called gzip": (lambda: File.gz(GOOD), 5),
    "empty gzip": (lambda: File.gz(gzip.compress(b"")), 5),
    "gzip without a byte of content": (lambda: File.gz(gzip.compress(GOOD)[:12]), 5),
    "glob without a match": (lambda: File({"a.csv": GOOD}, "part-*.csv"), 5),
    "glob of mixed columns": (lambda: File({"part-1.csv": GOOD, "part-2.csv": GOOD.replace(b"sex", b"gender", 1)}, "part-*.csv"), 2),
    "glob with a file without a header": (lambda: File({"part-1.csv": GOOD, "part-2.csv": BODY}, "part-*.csv"), 2),
    "glob with an empty file": (lambda: File({"part-1.csv": GOOD, "part-2.csv": b""}, "part-*.csv"), 5),
    "CSV called DuckDB": (lambda: File({"people.duckdb": GOOD}), 5),
    "DuckDB cut in two": (lambda: File({"people.duckdb": database()[:9000]}), 5),
    "DuckDB with a damaged header": (lambda: File({"people.duckdb": flipped(database(), 0, 4096)}), 5),
    "DuckDB without the table": (lambda: File({"people.duckdb": database("others")}), 5),
    "DuckDB without a column": (lambda: File({"people.duckdb": database("people", "gender")}), 2),
    "CSV called Parquet": (lambda: File.parquet(GOOD), 5),
    "Parquet of the magic alone": (lambda: File.parquet(b"PAR1PAR1"), 5),
    "Parquet with wrong magic": (lambda: File.parquet(PLAIN[:-4] + b"PAR2"), 5),
    "Parquet with the magic of encrypted files": (lambda: File.parquet(PLAIN[:-4] + b"PARE"), 5),
    "Parquet cut in its footer": (lambda: File.parquet(PLAIN[:-40]), 5),
    "Parquet cut in its rows": (lambda: File.parquet(PLAIN[:500]), 5),
    "Parquet with a footer longer than the file": (lambda: File.parquet(PLAIN[:-8] + b"\xff\xff\xff\x7fPAR1"), 5),
    "Parquet with a damaged footer": (lambda: File.parquet(flipped(PLAIN, len(PLAIN) - 300, len(PLAIN) - 200)), 5),
    "Parquet without columns": (lambda: File.parquet(packed(pa.table({}))), 2),
    "Parquet without a column": (lambda: File.parquet(packed(people().drop_columns(["sex"]))), 2),
    "Parquet with a column twice": (lambda: File.parquet(packed(people().rename_columns(["age", "sex", "sex"]))), 2),
    "Parquet with the column inside another": (lambda: File.parquet(packed(pa.table({"age": AGES, "who": [{"sex": CANARY}] * 120}))), 2),
    "glob of Parquets of mixed columns": (
        lambda: File({"p-1.parquet": PLAIN, "p-2.parquet": packed(people().drop_columns(["age"]))}, "p-*.parquet"), 2,
    ),
}  # fmt: skip

WHILE_READING = {
    "truncated gzip": lambda: File.gz(gzip.compress(GOOD * 300, mtime=0)[:-200]),
    "gzip with a wrong checksum": lambda: File.gz(flipped(gzip.compress(GOOD, mtime=0), -8, -4) or b""),
    "gzip with something behind it": lambda: File.gz(gzip.compress(GOOD, mtime=0) + CANARY.encode() * 10),
    "Parquet with a damaged page": lambda: File.parquet(flipped(PLAIN, 8, 60)),
}
"""The header is fine and the rows are not: what was charged stays spent."""

OF_A_ROW = {
    "Latin-1": lambda: with_row("44,F,Zürich".encode("latin-1")),
    "half a character": lambda: with_row(b"44,F,\xe2\x82"),
    "UTF-16 in the middle": lambda: with_row("44,F,x".encode("utf-16-le").replace(b"\n", b"")),
    "ragged, short": lambda: with_row(b"44"),
    "ragged, long": lambda: with_row(b"44,F" + b",x" * 10_000),
    "open quote": lambda: with_row(b'"44,F,' + CANARY.encode()),
    "open quote at the end": lambda: with_row(f'44,F,"{CANARY}'.encode()),
    "stray quotes": lambda: with_row(f'4"4,F"{CANARY}","""'.encode()),
    "NULs": lambda: with_row(b"4\x004,\0F," + CANARY.encode()),
    "NULs only": lambda: with_row(b"\0" * 50),
    "huge field": lambda: with_row(b"44," + b"F" * 900_000 + b",x"),
    "end of file sign": lambda: with_row(b"44\x1a,F,x"),
    "bare CR": lambda: with_row(b"44\r,\rF,x"),
    "SQL": lambda: with_row(b"44," + SQL + b",x"),
    "comment": lambda: with_row(f"# {CANARY}".encode()),
    "10,000 digits": lambda: with_row(b"9" * 10_000 + b",F,x"),
    "header again": lambda: with_row(NAMES.strip()),
    "BOM": lambda: with_row(b"\xef\xbb\xbf44,F,x"),
    "right to left": lambda: with_row("44,\u202eF\u202c,x".encode()),
}
NO_ROW = {
    "over-long line": lambda: with_row(CANARY.encode() * 200_000),
    "blank line": lambda: with_row(b"  \t "),
    "gzip bomb of one line": lambda: File.gz(gzip.compress(GOOD + b"x" * (1 << 24), mtime=0)),
}
UNUSUAL = {
    "BOM": lambda: File.csv(b"\xef\xbb\xbf" + GOOD),
    "CR LF": lambda: File.csv(GOOD.replace(b"\n", b"\r\n")),
    "mixed line ends": lambda: File.csv(GOOD.replace(b"\n", b"\r\n", 50)),
    "no last line end": lambda: File.csv(GOOD.rstrip(b"\n")),
    "quoted header with blanks": lambda: File.csv(b' "age" , sex ,note\n' + BODY),
    "gzip in two members": lambda: File.gz(gzip.compress(GOOD[:500]) + gzip.compress(GOOD[500:])),
    "10,000 columns": lambda: File.csv(b"age,sex," + OTHER + b"\n" + BODY),
    "SQL in a column name": lambda: File.csv(GOOD.replace(b"note", SQL, 1)),
    "markup in a column name": lambda: File.csv(GOOD.replace(b"note", b"<script>", 1)),
    "ending in capitals": lambda: File({"PEOPLE.CSV": GOOD}),
    "glob of CSV and Parquet": lambda: File({"p-1.csv": NAMES + b"\n".join(ROWS[:60]), "p-2.parquet": packed(people()[60:])}, "p-*"),
    "Parquet": lambda: File.parquet(PLAIN),
    "Parquet with canaries in its metadata": lambda: File.parquet(
        packed(people().replace_schema_metadata({"pandas": CANARY, CANARY: "x"}))
    ),
    "Parquet with nested columns": lambda: File.parquet(packed(people(note=NESTED))),
    "Parquet of texts": lambda: File.parquet(packed(people(age=AGES.cast(pa.string())))),
    "Parquet of dictionaries": lambda: File.parquet(packed(people(sex=pa.array(sexes()).dictionary_encode()))),
    "Parquet of decimals": lambda: File.parquet(packed(people(age=AGES.cast(pa.decimal128(30, 3))))),
    "glob of Parquets of mixed types": lambda: File(
        {"p-1.parquet": packed(people()[:60]), "p-2.parquet": packed(people(age=AGES.cast(pa.string()))[60:])}, "p-*.parquet"
    ),
}
"""Odd, but the table is all there."""

OF_A_CELL = {
    "null": lambda: people([(None, None, None)]),
    "no UTF-8": lambda: people([(44, "F", "x")], sex=pa.chunked_array([pa.array(sexes()), raw_strings(b"\xff\xfe" + CANARY.encode())])),
    "huge text": lambda: people([(44, "F" * (1 << 21), CANARY)]),
    "empty text": lambda: people([(44, "", "")]),
    "NUL": lambda: people([(44, f"F\0{CANARY}", "x")]),
    "NaN": lambda: people([(44, "F", "x")], age=pa.array([*AGES.to_pylist(), float("nan")], pa.float64())),
    "infinite": lambda: people([(44, "F", "x")], age=pa.array([*AGES.to_pylist(), float("-inf")], pa.float64())),
    "largest integer": lambda: people([(2**63 - 1, "F", "x")]),
    "nested": lambda: people([(44, "F", "x")], age=pa.array([[a] for a in AGES.to_pylist()] + [[1, 2]], pa.list_(pa.int64()))),
    "struct": lambda: people([(44, "F", "x")], sex=pa.array([{"a": s} for s in sexes()] + [{"a": CANARY}])),
    "bytes": lambda: people([(44, "F", "x")], sex=pa.array([s.encode() for s in sexes()] + [b"\x80" + CANARY.encode()], pa.binary())),
    "day out of range": lambda: people([(44, "F", "x")], sex=pa.array([0] * 120 + [2**31 - 1], pa.int32()).cast(pa.date32())),
    "moment out of range": lambda: people([(44, "F", "x")], sex=pa.array([0] * 120 + [2**63 - 1], pa.timestamp("ms"))),
}
"""Tables whose last row has an odd cell."""


def put(folder, file):
    """The world with these files for a source."""
    world = World.made(folder, columns=COLUMNS, strategy="independent")
    world.source.unlink()
    for name, data in file.files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    source = file.source or next(iter(file.files))
    table = 'table = "people"\n' if source.endswith(".duckdb") else ""
    world.spec_file.write_text(world.spec_file.read_text().replace('source = "people.csv"\n', f'source = "{source}"\n{table}'))
    return world


def shown(world, result, file):
    """Everything that a run says and leaves behind, without its sources."""
    for name in file.files:
        (world.folder / name).unlink()
    return (result.stdout + result.stderr).encode() + everything(world)


def drafted(world, file):
    """`dpsynth schema draft` on the same source, which reads no row at all."""
    source = world.folder / (file.source or next(iter(file.files)))
    return dpsynth("schema", "draft", source, "--column", "sex", *(["--table", "people"] if source.suffix == ".duckdb" else []))


@pytest.mark.parametrize("fault", OF_THE_FILE)
def test_a_fault_of_the_file_is_refused_before_the_charge(tmp_path, fault):
    make, code = OF_THE_FILE[fault]
    file = make()
    world = put(tmp_path, file)
    draft, result = drafted(world, file), world.run()
    assert (result.exit_code, world.types()) == (code, [])
    assert draft.exit_code in (0, 2, 5)
    assert result.stderr.startswith("error: ")
    assert len(result.stderr) < 2500
    assert CANARY not in draft.stdout + draft.stderr
    assert CANARY.encode() not in shown(world, result, file)


@pytest.mark.parametrize("fault", WHILE_READING)
def test_a_fault_that_shows_while_reading_is_spent_and_said_in_the_same_words(tmp_path, fault):
    file = WHILE_READING[fault]()
    world = put(tmp_path, file)
    result = world.run()
    assert (result.exit_code, world.types()) == (5, ["PREPARE", "ABORTED"])
    assert "could not be read to its end" in result.stderr
    assert CANARY.encode() not in shown(world, result, file)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The run on the table without any fault."""
    world = put(tmp_path_factory.mktemp("good"), File.csv(GOOD))
    result = world.run()
    assert result.exit_code == 0
    return plain(world, result.stdout), plain(world, result.stderr), public_facts(world)


def check_like(good, world, file):
    result = world.run()
    assert result.exit_code == 0, result.stderr
    assert (plain(world, result.stdout), plain(world, result.stderr), public_facts(world)) == good
    assert world.types() == ["PREPARE", "MEASURED", "RELEASED"]
    assert CANARY.encode() not in shown(world, result, file)


@pytest.mark.parametrize("name", [*OF_A_ROW, *NO_ROW])
def test_a_fault_of_a_row_changes_no_message_and_no_code(good, tmp_path, name):
    file = {**OF_A_ROW, **NO_ROW}[name]()
    check_like(good, put(tmp_path, file), file)


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_file_is_read_as_the_plain_one(good, tmp_path, name):
    file = UNUSUAL[name]()
    check_like(good, put(tmp_path, file), file)


@pytest.mark.parametrize("name", OF_A_CELL)
def test_an_odd_cell_of_a_parquet_file_changes_no_message_and_no_code(good, tmp_path, name):
    file = File.parquet(packed(OF_A_CELL[name]()))
    check_like(good, put(tmp_path, file), file)


@pytest.mark.parametrize("kind", ["pipe", "dangling link"])
def test_what_is_no_regular_file_is_refused(tmp_path, kind):
    world = put(tmp_path, File({}, "people.csv"))
    os.mkfifo(world.source) if kind == "pipe" else world.source.symlink_to("nowhere.csv")
    result = world.run()
    assert (result.exit_code, world.types()) == (5, [])


def test_there_are_sixty_of_them():
    assert len([*OF_THE_FILE, *WHILE_READING, *OF_A_ROW, *NO_ROW, *OF_A_CELL]) >= 60
