"""The attacks that come through values, on each kind of column: an odd value once, a person with 10,000 rows, exact counts in outputs.

A kind without a case fails, so whoever adds one says here what its odd values are.
"""

import base64
import hashlib
import html
import os
import re
import zlib
from dataclasses import dataclass, field

import numpy as np
import pytest

from dpsynth.engines.reader import open_engine
from dpsynth.engines.source import open_source
from dpsynth.privacy import PrivacyUnit
from dpsynth.schema import COLUMN_KEYS, Schema
from tests.stories.test_neighbours import everything, plain, public_facts
from tests.stories.test_what_is_written import numbers
from tests.stories.world import World, readable, tree

CANARY = "Jt5canaryHb"
MAX_ROWS = 3
LAST_CHANGED = 981_158_400  # 3 February 2001
KEY = "00" * 32


@dataclass(frozen=True)
class Case:
    """facts: of the column, as in a spec. usual: values of ordinary rows. odd: values of which the table holds one, once.

    Open labels are either in all rows, seven standard deviations above their threshold, or in one: chance finds the same ones always.
    Where cells are chosen by noisy answers, only what was declared is the same each time (`chosen`).
    """

    facts: dict
    usual: tuple
    odd: tuple = field(default=(CANARY,))

    @property
    def kind(self):
        return self.facts["kind"]

    @property
    def chosen(self):
        return bool({"binning", "merge_rare"} & set(self.facts))


ODD_NUMBERS = (CANARY, "1e308", "NaN", "-inf", "9" * 400, "1,5", "0x10", "")
ODD_TIMES = (CANARY, "9999-12-31T23:59:59", "0001-01-01", "2020-02-30", "1e308", "NaT", "10000-01-01", "")
DAYS = tuple(f"2020-{month:02d}-{day:02d}" for month in (1, 5, 9) for day in (3, 17, 28))
YEAR = {"min": "2020-01-01", "max": "2020-12-31", "bins": 4}
CASES = {
    "code": Case({"kind": "code", "size": 3}, ("0", "1", "2"), (CANARY, "7", "-1", "1e308", "2.5", "NaN", "")),
    "categorical": Case({"kind": "categorical", "values": ["a", "b"]}, ("a", "b", "c"), (CANARY, "A", "", "\u00e9", "a" * 100_000, "=a")),
    "categorical, closed": Case({"kind": "categorical", "values": ["a", "b"], "other": False}, ("a", "b"), (CANARY, "", "other")),
    "categorical, ordered": Case({"kind": "categorical", "values": ["a", "b"], "ordered": True, "missing": True}, ("a", "b", "")),
    "boolean": Case({"kind": "boolean", "missing": True}, ("yes", "no", ""), (CANARY, "2", "maybe", "TRUE ")),
    "integer": Case({"kind": "integer", "min": 0, "max": 99, "bins": 5}, ("5", "44", "98"), ODD_NUMBERS),
    "integer, with spikes": Case(
        {"kind": "integer", "min": 0, "max": 99, "edges": [0, 10, 50, 99], "spikes": [0], "inside": "linear", "missing": True},
        ("0", "44", "98"),
        ODD_NUMBERS,
    ),
    "number": Case({"kind": "number", "min": 0, "max": 1, "bins": 4, "decimals": 2}, ("0.1", "0.5", "0.93"), ODD_NUMBERS),
    "number, with tails": Case(
        {"kind": "number", "min": 0, "max": 1000, "edges": [0, 1, 10, 1000], "spikes": [0], "missing": True},
        ("0", "5.5", "700"),
        ODD_NUMBERS,
    ),
    "integer, adaptive": Case(
        {"kind": "integer", "min": 0, "max": 99, "binning": "adaptive", "grid": 20, "bins": 8}, ("5", "44", "98"), ODD_NUMBERS
    ),
    "number, by quantiles": Case(
        {"kind": "number", "min": 0, "max": 100, "binning": "quantiles", "bins": 4, "missing": True}, ("5", "44", "98.5"), ODD_NUMBERS
    ),
    "categorical, merged": Case({"kind": "categorical", "values": ["a", "b", "c", "d"], "merge_rare": True}, ("a", "b"), (CANARY, "c", "")),
    "date": Case({"kind": "date", **YEAR}, DAYS, ODD_TIMES),
    "date, with a format": Case({"kind": "date", **YEAR, "format": "%d.%m.%Y", "missing": True}, ("03.01.2020", "28.9.2020"), ODD_TIMES),
    "datetime": Case({"kind": "datetime", **YEAR}, tuple(f"{day}T12:30:00" for day in DAYS), ODD_TIMES),
    "duration": Case(
        {"kind": "duration", "min": 0, "max": 86_400, "bins": 4},
        ("01:00:00", "PT90M", "20:00:00"),
        (CANARY, "999:00:00", "P9Y", "-1"),
    ),
    "identifier": Case({"kind": "identifier", "replace": "uuid"}, ("p1", "p2", "p3"), (CANARY, "", "p" * 100_000)),
    "text": Case({"kind": "text"}, ("a note", "another", ""), (CANARY, "", '"', "=a")),
    "open": Case({"kind": "open", "missing": True}, ("north",), (CANARY, "a" * 100_000, "\u00e9", "=a")),
}
ALL = {f"x{place}": case for place, case in enumerate(CASES.values()) if not case.chosen}
ORDINARY_ROWS = 240
UNDECLARED = {"identifier", "text", "open"}
"""Kinds of which a spec states nothing about the values."""

SOURCED = {"kind": "code", "size": 2, "source": "public: a test"}


def test_every_kind_has_a_case():
    assert {case.kind for case in CASES.values()} == set(COLUMN_KEYS)


def usual(case, row):
    return case.usual[row % len(case.usual)]


def quoted(value):
    return '"' + value.replace('"', '""') + '"' if set(value) & set(',"') else value


def table_of(case):
    """The lines of a small table with a column of the case beside one of codes."""
    return [f"{quoted(usual(case, row))},{row % 2}" for row in range(ORDINARY_ROWS)]


def world_of(folder, case, lines):
    columns = {"x": case.facts, "y": {"kind": "code", "size": 2}}
    return World.made(folder, lines=lines, header="x,y", columns=columns, strategy="independent", rows=50)


@pytest.mark.parametrize("name", CASES)
def test_an_odd_value_that_occurs_once_changes_no_output_but_the_noise(tmp_path, name):
    """Attacks 8 and 12; 11, 13 and 14 too: one row more changes no number, size or hash that is no answer, no file and no array's shape."""
    case = CASES[name]
    lines = table_of(case)
    without, neighbour = (
        world_of(tmp_path / part, case, rows) for part, rows in (("a", lines), ("b", [*lines, f"{quoted(case.odd[0])},1"]))
    )
    expected, result = without.run(), neighbour.run()
    assert result.exit_code == expected.exit_code == 0, result.stderr
    assert (plain(neighbour, result.stdout), plain(neighbour, result.stderr)) == (
        plain(without, expected.stdout),
        plain(without, expected.stderr),
    )
    if case.chosen:
        assert declared(neighbour) == declared(without)
    else:
        assert public_facts(neighbour) == public_facts(without)
        assert structure(neighbour, result) == structure(without, expected)
    assert set(tree(neighbour.folder)) == set(tree(without.folder))
    assert header(neighbour) == header(without)
    assert CANARY.encode() not in (result.stdout + result.stderr).encode() + everything(neighbour)


MIXED = ("categorical", "integer, with spikes", "date", "open", "number, by quantiles")


@pytest.mark.parametrize("strategy", ["all-pairs", "aim", "mst"])
def test_a_record_that_is_odd_everywhere_changes_no_output_but_the_noise(tmp_path, strategy):
    """Attacks 8 and 12 under the strategies that choose by answers; the tests of each kind use the one that does not."""
    cases = {f"x{place}": CASES[name] for place, name in enumerate(MIXED)}
    lines = [",".join(quoted(usual(case, row + place)) for place, case in enumerate(cases.values())) for row in range(600)]
    columns, seen = {name: case.facts for name, case in cases.items()}, []
    for part, more in (("a", []), ("b", [",".join([CANARY] * len(cases))])):
        world = World.made(tmp_path / part, lines=[*lines, *more], header=",".join(cases), columns=columns, strategy=strategy)
        result = world.run()
        assert result.exit_code == 0, result.stderr
        assert CANARY.encode() not in (result.stdout + result.stderr).encode() + everything(world)
        said = re.sub(r" cells, .*", "", plain(world, result.stderr))  # depends on the answers
        seen.append((plain(world, result.stdout), said, declared(world), set(tree(world.folder)), header(world)))
    assert seen[0] == seen[1]


def declared(world):
    """What a certificate says that no answer changes."""
    facts = world.facts()
    return {key: facts[key] for key in ("format", "unit", "guarantee", "software", "release", "unprotected")}, facts["discovery"][
        "declared"
    ]


def header(world):
    return (world.out / "synthetic.csv").read_bytes().split(b"\n")[0]


def exact(folder, schema, unit, header, lines):
    """Exact tables of one and of two columns, which only tests see, and the exact labels of what is open."""
    folder.mkdir(exist_ok=True)
    path = folder / "rows.csv"
    path.write_text("\n".join([header, *lines, ""]))
    engine = open_engine(open_source(path), schema, unit, KEY)
    names = engine.domain.columns
    cliques = [(), *((name,) for name in names), *((a, b) for i, a in enumerate(names) for b in names[i + 1 :])]
    tables = dict(zip(cliques, engine.counts(cliques), strict=True))
    labels = {column.name: dict(engine.labels(column.name)) for column in schema.columns if column.kind == "open"}
    return engine.domain, tables, labels


def moved(before, after):
    """By how much each table and each label's count differ: the sum over cells."""
    tables = {clique: int(np.abs(after[1][clique] - before[1][clique]).sum()) for clique in before[1]}
    for name, counts in before[2].items():
        labels = set(counts) | set(after[2][name])
        tables[name, "labels"] = sum(abs(after[2][name].get(label, 0) - counts.get(label, 0)) for label in labels)
    return tables


@pytest.mark.parametrize("name", CASES)
def test_an_odd_value_is_one_row_in_one_cell_and_the_cells_stay(tmp_path, name):
    """Attack 8: nothing of the domain depends on it, and it moves no other row."""
    case = CASES[name]
    schema = Schema.from_columns({"x": case.facts, "y": {"kind": "code", "size": 2}})
    before = exact(tmp_path / "before", schema, PrivacyUnit(), "x,y", table_of(case))
    for odd in case.odd:
        after = exact(tmp_path / "after", schema, PrivacyUnit(), "x,y", [*table_of(case), f"{quoted(odd)},1"])
        assert after[0] == before[0]
        tables = moved(before, after)
        assert all(tables[clique] == 1 for clique in before[1])
        assert all(by <= 1 for by in tables.values())


@pytest.mark.parametrize("name", CASES)
def test_one_person_with_ten_thousand_rows_moves_no_count_by_more_than_max_rows(tmp_path, name):
    """Attack 9."""
    case = CASES[name]
    schema = Schema.from_columns({"x": case.facts, "y": {"kind": "code", "size": 2}})
    unit = PrivacyUnit(id="who", max_rows=MAX_ROWS)
    lines = [f"{line},p{row // 2}" for row, line in enumerate(table_of(case))]
    values = [*case.usual, *(odd for odd in case.odd if len(odd) < 1000)]
    heavy = [f"{quoted(values[row % len(values)])},{row // len(values) % 2},{CANARY}" for row in range(10_000)]
    before, after = (exact(tmp_path / part, schema, unit, "x,y,who", rows) for part, rows in (("a", lines), ("b", [*heavy, *lines])))
    assert after[0] == before[0]
    assert moved(before, after)[()] == MAX_ROWS
    assert max(moved(before, after).values()) <= MAX_ROWS


def test_a_household_is_one_unit_and_its_id_is_in_no_output(tmp_path):
    """Seven members, of whom four count."""
    case = CASES["categorical"]
    schema = Schema.from_columns({"x": case.facts, "y": {"kind": "code", "size": 2}})
    others = [f"{line},2020/07 {row // 3:05d} B" for row, line in enumerate(table_of(case))]
    large = [f"{line},{CANARY} 00001 B" for line in table_of(case)[:7]]
    unit, header = PrivacyUnit(id="household", max_rows=4), "x,y,household"
    before, after = (exact(tmp_path / part, schema, unit, header, rows) for part, rows in (("a", others), ("b", [*large, *others])))
    assert moved(before, after)[()] == 4
    assert max(moved(before, after).values()) <= 4
    world = World.made(tmp_path / "world", lines=[*large, *others], header=header)
    world.write_spec(columns={"x": case.facts, "y": {"kind": "code", "size": 2}}, unit={"id": "household", "max_rows": 4})
    result = world.run()
    assert result.exit_code == 0, result.stderr
    assert CANARY.encode() not in (result.stdout + result.stderr).encode() + everything(world)


def row_of_all(row):
    """A line with a value for each case; its identifiers and texts are canaries of their own."""
    named = {"identifier", "text"}
    values = (f"{CANARY}{row}x" if case.kind in named else usual(case, row + place) for place, case in enumerate(ALL.values()))
    return ",".join(map(quoted, values))


def world_of_all(folder, people, **options):
    """All kinds in one table."""
    columns = {name: case.facts for name, case in ALL.items()}
    lines = [row_of_all(row) for row in range(people)]
    return World.made(folder, lines=lines, header=",".join(ALL), columns=columns, strategy="independent", **options)


def test_one_person_with_ten_thousand_rows_changes_no_message_no_file_and_no_cell(tmp_path):
    """Attack 9 through the command line, with all kinds in one table."""
    others = [f"{row_of_all(row)},p{row // 2}" for row in range(1500)]
    odd = ",".join(quoted(case.odd[0]) for case in ALL.values())
    seen = []
    for part, lines in (("a", others), ("b", [*others, *[f"{odd},{CANARY}"] * 10_000])):
        columns = {name: case.facts for name, case in ALL.items()}
        world = World.made(tmp_path / part, lines=lines, header=",".join([*ALL, "who"]))
        world.write_spec(columns=columns, unit={"id": "who", "max_rows": MAX_ROWS}, strategy="independent")
        result = world.run()
        assert result.exit_code == 0, result.stderr
        assert CANARY.encode() not in (result.stdout + result.stderr).encode() + everything(world)
        seen.append((plain(world, result.stdout), plain(world, result.stderr), public_facts(world), set(tree(world.folder)), header(world)))
    assert seen[0] == seen[1]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three releases of one table of 12,347 rows under strong noise: what is exact would stand in all, chance puts it in none."""
    worlds = []
    for number in range(3):
        world = world_of_all(tmp_path_factory.mktemp(f"all-{number}"), 12_347, epsilon=0.02)
        os.utime(world.source, (LAST_CHANGED, LAST_CHANGED))
        assert world.run().exit_code == 0
        worlds.append(world)
    return worlds


def arrays(world):
    """Every array of the archives. Loading refuses pickles."""
    found = {}
    for name in ("measurements.npz", "model.npz"):
        with np.load(world.out / name, allow_pickle=False) as archive:
            found |= {(name, key): archive[key] for key in archive.files}
    return found


def test_the_exact_number_of_rows_the_size_and_hashes_of_the_source_are_in_no_output(three):
    """Attack 11."""
    data = three[0].source.read_bytes()
    assert all(world.source.read_bytes() == data for world in three)
    assert not all({12_347, 12_348} & numbers(world) for world in three)
    size = re.compile(rf"(?<![0-9]){len(data)}(?![0-9])|{len(data):,}".encode())
    assert not any(size.search(readable(path)) for world in three for path in world.out.iterdir())
    for stamp in (b"2001-02-0", str(LAST_CHANGED).encode(), LAST_CHANGED.to_bytes(4, "big"), LAST_CHANGED.to_bytes(4, "little")):
        assert not all(stamp in b"".join(readable(path) for path in world.out.iterdir()) for world in three)
    digests = [hashlib.new(name, data).digest() for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256")]
    digests.append(zlib.crc32(data).to_bytes(4, "big"))
    written = [b"".join(readable(path) for path in sorted(world.out.iterdir())) + world.ledger_bytes() for world in three]
    for digest in digests:
        forms = (digest, digest.hex().encode(), digest.hex().upper().encode(), base64.b64encode(digest).rstrip(b"="))
        assert not [form for form in forms if all(form in text for text in written)]


def test_no_artefact_holds_rows_exact_counts_or_pickles(three):
    """Attack 14."""
    spec = three[0].spec()
    _, tables, _ = exact(three[0].folder / "exact", spec.schema, spec.unit, ",".join(ALL), three[0].source.read_text().splitlines()[1:])
    private = {counts.tobytes() for clique, counts in tables.items() if len(clique) == 1}
    for world in three:
        for key, array in arrays(world).items():
            assert array.dtype.kind in "iufUSb", key
            assert array.size < 12_347, key
            assert array.astype(np.int64, casting="unsafe").tobytes() not in private if array.dtype.kind in "iuf" else True, key
        assert CANARY.encode() not in everything_but(world, "exact")
        assert not re.search(rb"\x80[\x02-\x05].{0,40}(cnumpy|cbuiltins|__reduce__)", everything_but(world, "exact"), re.DOTALL)


def everything_but(world, name):
    """What a run left behind, without a folder of the test's own."""
    for path in (world.folder / name).glob("*"):
        path.unlink()
    return everything(world)


def structure(world, result):
    """What can be seen of a run but for numbers: its lines, its files, the shapes of its arrays, how long its records are."""
    shapes = {key: (array.shape, array.dtype.str) for key, array in arrays(world).items()}
    records = (world.out / "synthetic.csv").read_bytes().count(b"\n")
    return plain(world, result.stdout), plain(world, result.stderr), sorted(tree(world.out)), shapes, records


def test_lines_files_and_shapes_do_not_depend_on_how_many_rows_there_are(tmp_path):
    """Attack 13."""
    seen = []
    for people in (2_000, 9_000):
        world = world_of_all(tmp_path / str(people), people, rows=50, epsilon=1.5)
        result = world.run()
        assert result.exit_code == 0, result.stderr
        seen.append(structure(world, result))
    assert seen[0] == seen[1]
    assert seen[0][1].count("\n") > 2  # there is progress to compare


def test_each_fact_is_listed_with_who_says_so(three):
    """Attack 25."""
    said = three[0].facts()["unprotected"]
    listed = {name: [line for line in said if f"column {name!r}" in line] for name in ALL}
    for name, case in ALL.items():
        assert len(listed[name]) == (case.kind != "open")  # what is discovered is charged, and so protected
        assert case.kind in UNDECLARED or "declared by the data owner" in listed[name][0]
    page = html.unescape((three[0].out / "report.html").read_text()).partition("<footer>")[0]
    *_, table = page.partition("What is not protected</h2>")
    rows = dict(re.findall(r'<tr><th scope="row">(\w+)</th>(.*?)</tr>', table))
    for name, case in ALL.items():
        if case.kind in {"identifier", "text"}:
            assert listed[name][0] in table
        else:
            assert ("discovered" if case.kind == "open" else "declared by the data owner") in rows[name]


@pytest.mark.parametrize("name", CASES)
def test_strict_refuses_a_column_whose_facts_name_no_source(tmp_path, name):
    """Attack 25, before anything is charged. Nothing is declared of a column that is left out, or that is left to discovery."""
    case = CASES[name]
    world = World.made(tmp_path, lines=table_of(case), header="x,y", columns={"x": case.facts, "y": SOURCED}, strategy="independent")
    result = world.run("--strict")
    if case.kind in UNDECLARED:
        assert result.exit_code == 0, result.stderr
        return
    assert (result.exit_code, world.types()) == (2, [])
    assert "'x'" in result.stderr
    assert "'y'" not in result.stderr
    world.write_spec(columns={"x": {**case.facts, "source": "public: a code book"}, "y": SOURCED}, strategy="independent")
    assert world.spec().refuse_undeclared() is None
