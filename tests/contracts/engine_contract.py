"""What every engine must do, checked against counting by hand: a subclass says how its engine is built from rows of text.

class TestMine(EngineContract):
    def build(self, rows, schema, unit, key, folder, threads=None): ...
"""

import itertools
import random
from collections import Counter, defaultdict
from decimal import Decimal

import numpy as np
import pytest

from dpsynth.cells import LabelRule, trimmed
from dpsynth.core.bounding import order_hash
from dpsynth.domain import Domain
from dpsynth.engines.lines import LINE_LIMIT
from dpsynth.errors import DpsynthError
from dpsynth.kinds import Boolean, Categorical, Code, Integer, Number
from dpsynth.kinds.open import Open
from dpsynth.labels import LABEL_LETTERS
from dpsynth.privacy import PrivacyUnit
from dpsynth.schema import Schema, column_from

ONE_ROW_ONE_PERSON = PrivacyUnit()
KEY = "a key that only tests have"

COLUMNS = {
    "code": Code(name="code", codes=3),
    "code, missing": Code(name="code, missing", codes=3, missing=True),
    "label": Categorical(name="label", values=("red", "it's", 'a "b", c', "é"), other=False),
    "label; other": Categorical(name="label; other", values=("red", "blue"), missing=True),
    "flag": Boolean(name="flag", missing=True),
    "flag?": Boolean(name="flag?"),
    "whole": Integer(name="whole", least=-5, most=17, bins=7),
    "whole or not": Integer(name="whole or not", least=17, most=90, bins=32, missing=True),
    "number": Number(name="number", least=Decimal("-0.3"), most=Decimal("0.7"), bins=10),
    "number or not": Number(name="number or not", least=Decimal(0), most=Decimal(100), bins=3, missing=True, outside="clip"),
    "points": Integer(name="points", least=0, most=90, edges=(0, 10, 90), spikes=(0, 39), missing=True),
    "day": column_from("day", {"kind": "date", "min": "2020-01-01", "max": "2020-12-31", "bins": 4, "format": "%d.%m.%Y"}),
    "moment": column_from("moment", {"kind": "datetime", "min": "2020-01-01", "max": "2020-12-31", "bins": 5, "missing": True}),
    "span": column_from("span", {"kind": "duration", "min": 0, "max": "30:00:00", "bins": 3, "missing": True}),
}
"""Each kind with and without a cell for missing values; names that need quoting."""

TEXTS = [
    *(None, "", "  ", "0", "1", "2", "3", "-1", "+2", " 2 ", "39", "39.0", "1e1", "17", "90", "91", "-5", "-6"),
    *("0.1", "0.30000000000000004", "-0.3", "0.7", "0.70001", "nan", "inf", "-inf", "1e400", "-1e400", "1_0", "0x1"),
    *("red", "Red", "it's", 'a "b", c', "é", "other", "(missing)", "TRUE", "f", "no", "Yes", "1.0", "maybe"),
    *("2020-02-29", "2020-02-30", "31.12.2020", "1.1.2020", "2020-06-30 23:30:00-01:00", "2020-12-31T00:00:00.5Z", "29:59", "PT9H"),
    *("9" * 30, "a\x00b", "\u00a05", "\U0001f600", "'; DROP TABLE coded; --"),
]


def people(rows, seed=0, most=None):
    """Rows of random texts, each with an id: few ids, so that some have many rows."""
    rng = random.Random(seed)
    names = [*COLUMNS]
    ids = [None, " ", "p\x001", "ann", " ann", "bob", *map(str, range(rows // 8))]
    table = [{"who": rng.choice(ids), **{name: rng.choice(TEXTS[:most]) for name in names}} for _ in range(rows)]
    return table + table[: rows // 4]


def legible(text):
    """What an engine sees of a text: nothing, where it is too long for any source."""
    return None if text is not None and len(text.encode()) > LINE_LIMIT else text


def held(column, text):
    """What an engine keeps of a text: its cell, or of an open column the text itself."""
    return (trimmed(text) or "")[: LABEL_LETTERS + 1] if isinstance(column, Open) else column.rule.cell(text)


def kept(rows, schema, unit, key):
    """The rows that count, as tuples of codes, by the rule of dpsynth.core.bounding, written down a second time."""
    coded = [(tuple(held(column, legible(row[column.name])) for column in schema.columns), row) for row in rows]
    if not unit.id:
        return [codes for codes, _ in coded]
    by_unit = defaultdict(Counter)
    for codes, row in coded:
        who = trimmed(legible(row[unit.id]))
        if who is not None:
            by_unit[who][codes] += 1
    chosen = []
    for who, multiset in by_unit.items():
        numbered = [(order_hash(key, who, codes, n + 1), codes) for codes, times in multiset.items() for n in range(times)]
        chosen += [codes for _, codes in sorted(numbered)[: unit.max_rows]]
    return chosen


def by_hand(rows, domain, clique):
    """The marginal of rows of codes, one row at a time."""
    marginal = np.zeros(domain.shape(clique), dtype=np.int64)
    for codes in rows:
        marginal[tuple(codes[domain.position[column]] for column in clique)] += 1
    return marginal.reshape(-1)


def cliques_up_to(schema, degree):
    return [clique for d in range(degree + 1) for clique in itertools.combinations(schema.domain.columns, d)]


def same(first, second):
    return all(a.dtype == b.dtype == np.int64 and np.array_equal(a, b) for a, b in zip(first, second, strict=True))


LONG_TEXTS = [[[2, 0, 0, 1], [0, 0, 0, 3]], [[1, 0, 0, 0], [0, 0, 0, 1]]]
"""Where a value is missing, and, in files of lines, where the whole line is."""

WIDE = Schema(tuple(COLUMNS.values()))


class EngineContract:
    """`build` returns an engine over rows (dicts of texts; None: no value) with contributions bounded under the key."""

    def build(self, rows, schema, unit, key, folder, threads=None):
        raise NotImplementedError

    def as_stored(self, rows):
        """The rows as this kind of source can hold them."""
        return rows

    def agrees(self, rows, schema, unit, folder, degree=2):
        rows = self.as_stored(rows)
        engine = self.build(rows, schema, unit, KEY, folder)
        cliques = cliques_up_to(schema, degree)
        counted = kept(rows, schema, unit, KEY)
        assert engine.domain == schema.domain
        assert same(engine.counts(cliques), [by_hand(counted, schema.domain, clique) for clique in cliques])

    @pytest.mark.parametrize("unit", [ONE_ROW_ONE_PERSON, PrivacyUnit(id="who"), PrivacyUnit(id="who", max_rows=3)])
    def test_counts_are_those_of_counting_by_hand(self, unit, tmp_path):
        self.agrees(people(120), WIDE, unit, tmp_path)

    @pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
    def test_one_column_of_every_text(self, column, tmp_path):
        self.agrees([{column.name: text} for text in TEXTS], Schema((column,)), ONE_ROW_ONE_PERSON, tmp_path)

    @pytest.mark.parametrize("rows", [0, 1])
    @pytest.mark.parametrize("unit", [ONE_ROW_ONE_PERSON, PrivacyUnit(id="who", max_rows=2)])
    def test_no_rows_and_one_row(self, rows, unit, tmp_path):
        table = [{"who": "ann", **dict.fromkeys(COLUMNS, "1")}] * rows
        self.agrees(table, WIDE, unit, tmp_path, degree=1)

    def test_a_row_without_any_value_is_a_row(self, tmp_path):
        self.agrees([dict.fromkeys(COLUMNS)] * 3, WIDE, ONE_ROW_ONE_PERSON, tmp_path, degree=1)

    def test_a_text_too_long_for_any_source_is_missing(self, tmp_path):
        """A row's length decides about that row alone; and no message is made of it."""
        schema = Schema((COLUMNS["label; other"], COLUMNS["number or not"]))
        long, red = "1" * (LINE_LIMIT + 1), {"who": "ann", "label; other": "red", "number or not": "1" * 1001}
        rows = [red, {**red, "number or not": long}, {**red, "label; other": long}, {**red, "who": long}]
        counted = self.build(rows, schema, PrivacyUnit(id="who", max_rows=4), KEY, tmp_path).counts([("label; other",), ("number or not",)])
        assert [count.tolist() for count in counted] in LONG_TEXTS

    def test_the_unit_may_be_a_column_of_the_schema(self, tmp_path):
        schema = Schema((COLUMNS["code"], COLUMNS["label"]))
        rows = [{"code": code, "label": label} for code in ("0", " 1", "1", None) for label in ("red", "red", "é")]
        self.agrees(rows, schema, PrivacyUnit(id="code", max_rows=2), tmp_path)

    def test_columns_the_schema_does_not_name_change_nothing(self, tmp_path):
        schema = Schema((COLUMNS["whole"], COLUMNS["flag"]))
        self.agrees(people(40), schema, PrivacyUnit(id="who", max_rows=2), tmp_path)

    @pytest.mark.parametrize("threads", [1, 2, 5])
    def test_row_order_and_threads_do_not_matter(self, threads, tmp_path):
        rows, unit = people(200, seed=1), PrivacyUnit(id="who", max_rows=2)
        shuffled = random.Random(threads).sample(rows, len(rows))
        cliques = cliques_up_to(WIDE, 2)
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        first = self.build(rows, WIDE, unit, KEY, tmp_path / "a").counts(cliques)
        assert same(first, self.build(shuffled, WIDE, unit, KEY, tmp_path / "b", threads=threads).counts(cliques))

    def test_one_person_with_ten_thousand_rows_counts_max_rows_times(self, tmp_path):
        schema = Schema((Integer(name="n", least=0, most=9999, bins=10000), COLUMNS["code"]))
        crowd = [{"who": str(i), "n": "5", "code": "1"} for i in range(20)]
        rows = crowd + [{"who": "flood", "n": str(i), "code": "2"} for i in range(10_000)]
        folders = [tmp_path / name for name in "abcd"]
        for folder in folders:
            folder.mkdir()
        unit = PrivacyUnit(id="who", max_rows=3)
        without = self.build(crowd, schema, unit, "key one", folders[3]).counts([(), ("code",), ("n",)])
        one = self.build(rows, schema, unit, "key one", folders[0]).counts([(), ("code",), ("n",)])
        again = self.build(rows[::-1], schema, unit, "key one", folders[1]).counts([(), ("code",), ("n",)])
        two = self.build(rows, schema, unit, "key two", folders[2]).counts([(), ("code",), ("n",)])
        assert one[0].tolist() == [23]
        assert one[1].tolist() == [0, 20, 3]
        assert all((more - less).min() >= 0 and (more - less).sum() == 3 for more, less in zip(one, without, strict=True))
        assert same(one, again)
        assert same(one[:2], two[:2])
        assert not np.array_equal(one[2], two[2])

    def test_a_person_more_moves_each_marginal_by_at_most_max_rows(self, tmp_path):
        rows, unit = people(80, seed=2), PrivacyUnit(id="who", max_rows=3)
        more = [*rows, *({**row, "who": "malice"} for row in people(30, seed=3))]
        cliques = cliques_up_to(WIDE, 2)
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        before = self.build(rows, WIDE, unit, KEY, tmp_path / "a").counts(cliques)
        after = self.build(more, WIDE, unit, KEY, tmp_path / "b").counts(cliques)
        assert all((b - a).min() >= 0 and (b - a).sum() == unit.max_rows for a, b in zip(before, after, strict=True))

    def test_a_closed_engine_refuses_every_question(self, tmp_path):
        engine = self.build([{"code": "1"}], Schema((COLUMNS["code"],)), ONE_ROW_ONE_PERSON, KEY, tmp_path)
        engine.close()
        for cliques in ([()], [("code",)], []):
            with pytest.raises(DpsynthError, match="closed"):
                engine.counts(cliques)

    @pytest.mark.parametrize("unit", [ONE_ROW_ONE_PERSON, PrivacyUnit(id="who", max_rows=2)])
    def test_open_columns_are_counted_by_text_until_they_have_cells(self, unit, tmp_path):
        schema = Schema((COLUMNS["code"], Open(name="job"), COLUMNS["whole"]))
        jobs = [None, " ", "nurse", " nurse ", "Nurse", "it's", "x" * 100, "x" * 100 + " y", "y" * 101, "y" * 200, "\\", "é"]
        rows = self.as_stored([{**row, "job": jobs[i % len(jobs)]} for i, row in enumerate(people(150, seed=5))])
        engine = self.build(rows, schema, unit, KEY, tmp_path)
        counted = kept(rows, schema, unit, KEY)
        found = Counter(job for _, job, _ in counted if job)
        assert engine.domain == Domain(("code", "whole"), (3, 7))
        assert dict(engine.labels("job")) == found
        for column in ("code", "nobody"):
            with pytest.raises(DpsynthError):
                engine.labels(column)

        rule = LabelRule((("nurse", 0), ("é", 1), ("it's", 2), ("x" * 100, 0)), False, 3, 4)
        coarse, domain = np.array([0, 0, 2, 1, 1, 1, 2]), Domain(("code", "job", "whole"), (3, 5, 3))
        recodings = {"job": rule, "whole": coarse}
        for wrong in (
            {},
            {"whole": coarse},
            {**recodings, "code": rule},
            {**recodings, "whole": coarse[:3]},
            {**recodings, "nobody": coarse},
        ):
            with pytest.raises(DpsynthError):
                engine.recode(domain, wrong)
        assert dict(engine.labels("job")) == found
        engine.recode(domain, recodings)
        cliques = [clique for d in range(4) for clique in itertools.combinations(domain.columns, d)]
        recoded = [(code, rule.cell(job), coarse[whole]) for code, job, whole in counted]
        assert engine.domain == domain
        assert same(engine.counts(cliques), [by_hand(recoded, domain, clique) for clique in cliques])
        with pytest.raises(DpsynthError):
            engine.labels("job")

    def test_unknown_and_repeated_columns_are_refused(self, tmp_path):
        engine = self.build([{"code": "1"}], Schema((COLUMNS["code"],)), ONE_ROW_ONE_PERSON, KEY, tmp_path)
        for clique in (("nobody",), ("code", "code")):
            with pytest.raises(DpsynthError):
                engine.counts([clique])
