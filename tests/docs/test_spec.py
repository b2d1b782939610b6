"""docs/spec.md says what the code does: its table is generated, its defaults are real, its keys are the accepted ones."""

import dataclasses
import re
import tomllib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from dpsynth.column import Modelled
from dpsynth.errors import SpecError
from dpsynth.inference.estimators import ESTIMATORS
from dpsynth.kinds import KINDS
from dpsynth.privacy import PrivacyUnit
from dpsynth.publication import Publication
from dpsynth.reports import registry
from dpsynth.schema import COLUMN_KEYS, SHARED_KEYS, column_from, keys_of
from dpsynth.spec import ESTIMATORS_OF, FORMATS, PENALTIES, Spec, spec_from
from dpsynth.spec_keys import ENTRIES, KEYS, SECTIONS, reference
from dpsynth.strategies import penalty
from dpsynth.strategies.registry import DEFAULT_STRATEGY, STRATEGIES

PAGE = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
MINIMAL = {
    "release": {"name": "a", "purpose": "b"},
    "data": {"source": "c.csv"},
    "budget": {"ledger": "d", "epsilon": 1, "delta": Decimal("1e-6")},
    "columns": {"x": {"kind": "boolean"}},
}
NEEDED = {
    "code": {"size": 3},
    "categorical": {"values": ["a", "b"]},
    "boolean": {},
    "integer": {"min": 0, "max": 99},
    "number": {"min": 0, "max": 1},
    "date": {"min": "2026-01-01", "max": "2026-12-31"},
    "datetime": {"min": "2026-01-01", "max": "2026-12-31T23:59:59"},
    "duration": {"min": 0, "max": 86400},
    "open": {},
    "identifier": {},
    "text": {},
}
OTHER_VALUES = {
    "release.name": "z", "release.purpose": "why", "data.source": "z.parquet", "data.table": "z", "unit.id": "person", "unit.max_rows": 1,
    "unit.neighbours": "add-remove", "budget.ledger": "z", "budget.epsilon": 2, "budget.delta": Decimal("1e-7"),
    "synthesis.strategy": "independent", "synthesis.degree": 3, "synthesis.estimator": "private-pgm", "synthesis.rows": 10,
    "synthesis.iterations": 50, "synthesis.pairs_with": ["x"], "synthesis.table_cells": 1000, "synthesis.penalty": "shrunk",
    "synthesis.rows_about": 500, "synthesis.seed": 5, "synthesis.format": "parquet",
    "registry.title": "Z", "registry.slug": "z-2030", "registry.curators": ["a", "b"], "registry.curator_type": "Government",
    "registry.description": "z", "registry.region": "Z", "registry.sector": "Technology", "registry.published": "2030-01-31",
    "registry.data_source": "Dynamic", "registry.actors": "z", "registry.preprocessing": "z", "registry.security": "z",
    "registry.justification": "z", "registry.sources": "z", "registry.authors": ["z"],
    "missing": True, "source": "public: law", "size": 4, "values": ["c", "d"], "other": False, "other_label": "rest",
    "min": -1, "max": 200, "bins": 7, "decimals": 2, "inside": "linear", "ordered": True, "unfold": {"c": 2}, "words": ["No", "Yes"],
    "unit": "hours", "replace": "uuid", "spikes": [1], "edges": [0, 1, 99],
    "at_most": 9, "merge_rare": True, "prior": {"a": 3}, "binning": "adaptive", "grid": 40,
    "data.delimiter": ";", "synthesis.rows_source": "public: law",
}  # fmt: skip
OTHER_VALUES_OF = {
    "number": {"edges": [0, Decimal("0.5"), 1]},
    "date": {
        "min": "2025-01-01", "max": "2027-01-01", "spikes": ["2026-02-03"], "edges": ["2026-01-01", "2026-02-03", "2026-12-31"],
        "format": "%d.%m.%Y",
    },
    "datetime": {
        "min": "2025-01-01T00:00:00", "max": "2027-01-01T00:00:00", "spikes": ["2026-02-03T00:00:00"],
        "edges": ["2026-01-01T00:00:00", "2026-02-03T00:00:00", "2026-12-31T23:59:59"], "format": "%d.%m.%Y %H:%M:%S",
    },
    "duration": {"format": "ISO 8601", "edges": [0, 1, 86400]},
}  # fmt: skip
BESIDE = {"grid": {"binning": "adaptive", "bins": 4}, "prior": {"merge_rare": True}}
"""Keys that another key asks for."""

ORDERED = ("integer", "number", "date", "datetime", "duration")
SECTION_KEYS = [key for key in KEYS if key.section in SECTIONS]
ENTRY_KEYS = [key for key in KEYS if key.section in ENTRIES]
ENTRY_VALUES = {
    "targets": {"columns": ["x"], "within": Decimal("0.01"), "confidence": Decimal("0.9")},
    "weights": {"columns": ["x"], "weight": 4},
    "workload": {"columns": ["x"], "weight": 4},
    "must_have": {"columns": ["x"]},
}
COLUMN_ONLY = [key for key in KEYS if key.section == "columns.NAME"]


def with_entry(section, entry):
    return {**MINIMAL, "synthesis": {"rows_about": 500}, section: [entry]}


def column(kind, **facts):
    return column_from("x", {"kind": kind, **NEEDED[kind], **facts})


def quoted(text):
    """What stands in code marks."""
    return {part.strip('"') for part in re.findall(r"`([^`]*)`", text)}


def held(spec, key):
    """What the spec holds under a key of a section."""
    return getattr({"unit": spec.unit, "registry": spec.registry}.get(key.section, spec), key.name)


def key_named(name):
    return next(key for key in KEYS if f"{key.section}.{key.name}" == name)


def test_the_table_is_the_generated_one():
    assert reference() in PAGE, (
        'paste into docs/spec.md what `python -c "from dpsynth.spec_keys import reference; print(reference())"` prints'
    )


def test_the_complete_example_is_a_spec():
    text, *_ = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    spec = Spec.from_text(text)
    assert {facts["kind"] for facts in tomllib.loads(text)["columns"].values()} == set(COLUMN_KEYS)
    assert spec.undeclared() == []
    assert (spec.unit.id, spec.unit.max_rows) == ("patient", 4)


@pytest.mark.parametrize("key", SECTION_KEYS, ids=lambda key: f"{key.section}.{key.name}")
def test_each_key_of_a_section_is_accepted_and_used(key):
    value = OTHER_VALUES[f"{key.section}.{key.name}"]
    strategy = {"strategy": "mst"} if key.name == "estimator" else {}  # not every strategy takes every estimator
    strategy |= {"strategy": "mst", "estimator": "private-pgm"} if key.name == "iterations" else {}
    strategy |= {"strategy": "aim"} if key.name == "penalty" else {}
    spec = spec_from({**MINIMAL, key.section: {**MINIMAL.get(key.section, {}), **strategy, key.name: value}}, Path())
    assert held(spec, key) == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize("key", SECTION_KEYS, ids=lambda key: f"{key.section}.{key.name}")
def test_each_stated_default_of_a_section_is_the_real_one(key):
    left = {name: value for name, value in MINIMAL.get(key.section, {}).items() if name != key.name}
    sections = {**MINIMAL, key.section: left}
    if not key.default:
        with pytest.raises(SpecError, match=f"needs {key.name}"):
            spec_from(sections, Path())
        return
    spec = spec_from(sections, Path())
    if key.section == "registry":
        assert not held(spec, key)  # what nobody said is asked for, or comes from the run, when an entry is made
        return
    in_words = {"noisy total": None, "not stated": None, "the strategy's first": ESTIMATORS_OF[spec.strategy][0]}
    in_words |= {"1000 steps": None, "none": (), "the strategy's own limit": None, '`"discount"` with aim': None}
    assert held(spec, key) == (in_words[key.default] if key.default in in_words else tomllib.loads(f"v = {key.default.strip('`')}")["v"])


def test_sections_accept_no_other_key():
    nouns = (Spec, PrivacyUnit, Publication)
    fields = {field.name for noun in nouns for field in dataclasses.fields(noun)} - {"schema", "unit", "registry", "public", *ENTRIES}
    assert {key.name for key in SECTION_KEYS} == fields
    for section in SECTIONS:
        with pytest.raises(SpecError, match="unknown key"):
            spec_from({**MINIMAL, section: {**MINIMAL.get(section, {}), "colour": 1}}, Path())


@pytest.mark.parametrize("key", ENTRY_KEYS, ids=lambda key: f"{key.section}.{key.name}")
def test_each_key_of_an_entry_is_accepted_used_and_needed_as_stated(key):
    entry = ENTRY_VALUES[key.section]
    (held,) = getattr(spec_from(with_entry(key.section, entry), Path()), key.section)
    assert getattr(held, key.name) == (tuple(entry[key.name]) if key.name == "columns" else entry[key.name])
    without = with_entry(key.section, {name: value for name, value in entry.items() if name != key.name})
    if not key.default:
        with pytest.raises(SpecError, match=rf"\[\[{key.section}\]\] needs {key.name}"):
            spec_from(without, Path())
    else:
        (held,) = getattr(spec_from(without, Path()), key.section)
        assert getattr(held, key.name) == Fraction(key.default.strip("`"))


@pytest.mark.parametrize(
    ("section", "change", "words"),
    [
        ("targets", {"colour": 1}, r"\[\[targets\]\] has an unknown key"),
        ("targets", {"columns": ["y"]}, r"\[\[targets\]\]: unknown columns \['y'\]"),
        ("targets", {"columns": ["x", "x"]}, "twice"),
        ("targets", {"columns": []}, "at least one"),
        ("targets", {"columns": "x"}, "must be a list of texts"),
        ("targets", {"columns": [1]}, "must be a list of texts"),
        ("targets", {"within": 0}, "above 0 and below 1"),
        ("targets", {"within": 1}, "above 0 and below 1"),
        ("targets", {"confidence": Decimal("0.4")}, "from 0.5 to 0.999999"),
        ("targets", {"confidence": 1}, "from 0.5 to 0.999999"),
        ("weights", {"weight": 0}, "from 0.01 to 100"),
        ("weights", {"weight": "4"}, "must be a number"),
        ("workload", {"columns": ["y"]}, r"\[\[workload\]\]: unknown columns \['y'\]"),
        ("workload", {"weight": 0}, "whole number from 1 to 1000"),
        ("workload", {"weight": Decimal("1.5")}, "must be a whole number"),
        ("must_have", {"columns": ["x", "x"]}, "twice"),
        ("must_have", {"weight": 2}, "unknown key"),
    ],
)
def test_a_wrong_entry_is_refused_in_words(section, change, words):
    with pytest.raises(SpecError, match=words):
        spec_from(with_entry(section, {**ENTRY_VALUES[section], **change}), Path())


def test_targets_need_a_public_number_of_rows_and_a_table_has_one_weight():
    with pytest.raises(SpecError, match=r"synthesis\.rows_about"):
        spec_from({**MINIMAL, "targets": [ENTRY_VALUES["targets"]]}, Path())
    with pytest.raises(SpecError, match="twice"):
        spec_from({**MINIMAL, "weights": [ENTRY_VALUES["weights"]] * 2}, Path())
    with pytest.raises(SpecError, match="double brackets"):
        spec_from({**MINIMAL, "weights": ENTRY_VALUES["weights"]}, Path())


COLUMNS = {name: {"kind": "boolean"} for name in ("age", "sex", "income", "county")}


def marginals_of(synthesis=(), **sections):
    return spec_from({**MINIMAL, "columns": COLUMNS, "synthesis": dict(synthesis), **sections}, Path()).marginals


def test_what_matters_is_all_of_up_to_two_columns_unless_the_spec_says_otherwise():
    assert marginals_of() is None
    assert len(marginals_of({"degree": 3}).weights) == 4 + 6 + 4
    assert set(marginals_of({"degree": 1}).weights) == {(c,) for c in COLUMNS}


def test_pairs_with_a_column_a_list_and_limits_make_the_workload():
    work = marginals_of({"pairs_with": ["income"], "table_cells": 9}, workload=[{"columns": ["sex", "age"], "weight": 3}])
    assert work.weights == {
        ("income",): 1, ("age", "income"): 1, ("sex", "income"): 1, ("income", "county"): 1, ("age", "sex"): 3
    }  # fmt: skip
    assert (work.must, work.cells) == ((), 9)
    only = marginals_of(workload=[{"columns": ["income", "sex", "age"]}], must_have=[{"columns": ["county", "sex"]}])
    assert (dict(only.weights), only.must) == ({("age", "sex", "income"): 1}, (("sex", "county"),))


def test_a_workload_that_repeats_itself_or_names_nobody_is_refused():
    with pytest.raises(SpecError, match=r"lists \['age', 'sex'\] twice"):
        marginals_of(workload=[{"columns": ["sex", "age"]}, {"columns": ["age", "sex"], "weight": 2}])
    with pytest.raises(SpecError, match=r"unknown columns \['wage'\]"):
        marginals_of({"pairs_with": ["wage"]})
    with pytest.raises(SpecError, match=r"synthesis\.iterations is for the estimator \"private-pgm\""):
        marginals_of({"iterations": 10})


def test_a_spec_with_a_workload_reads_its_own_facts_back():
    synthesis = {"strategy": "mst", "estimator": "private-pgm", "iterations": 7, "pairs_with": ["income"], "table_cells": 9, "degree": 3}
    lists = {"workload": [{"columns": ["sex", "age"], "weight": 3}], "must_have": [{"columns": ["county"]}]}
    spec = spec_from({**MINIMAL, "columns": COLUMNS, "synthesis": synthesis, **lists}, Path())
    again = Spec.from_facts(spec.facts())
    assert (again.facts(), again.marginals, again.iterations) == (spec.facts(), spec.marginals, 7)


def test_the_penalty_is_for_aim_alone_which_always_has_one():
    specs = {name: spec_from({**MINIMAL, "synthesis": {"strategy": name}}, Path()) for name in STRATEGIES}
    assert {name: spec.penalty for name, spec in specs.items()} == {**dict.fromkeys(STRATEGIES), "aim": penalty.DEFAULT_PENALTY}
    spec = spec_from({**MINIMAL, "synthesis": {"strategy": "aim", "penalty": "published"}}, Path())
    assert Spec.from_facts(spec.facts()).penalty == spec.penalty == "published"
    with pytest.raises(SpecError, match=r'synthesis\.penalty is for the strategy "aim": remove it, \'mst\' has none'):
        spec_from({**MINIMAL, "synthesis": {"strategy": "mst", "penalty": "none"}}, Path())
    with pytest.raises(SpecError, match=r"synthesis\.penalty must be one of \['discount', 'published', 'shrunk', 'none'\], got 'x'"):
        spec_from({**MINIMAL, "synthesis": {"strategy": "aim", "penalty": "x"}}, Path())


def test_the_example_of_targets_is_part_of_a_spec():
    _, text, *_ = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    columns = {name: {"kind": "boolean"} for name in ("age", "education", "occupation", "sex")}
    spec = spec_from({**MINIMAL, "columns": columns, **tomllib.loads(text, parse_float=Decimal)}, Path())
    assert [target.sentence() for target in spec.targets] == ["age x sex within 0.01 at 95 %"]
    assert [weight.weight for weight in spec.weights] == [4]


def test_the_example_of_a_workload_is_part_of_a_spec():
    (text,) = (t for t in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "[[workload]]" in t)
    columns = {name: {"kind": "boolean"} for name in ("age", "sex", "education", "income")}
    work = spec_from({**MINIMAL, "columns": columns, **tomllib.loads(text, parse_float=Decimal)}, Path()).marginals
    assert work.weights == {("income",): 1, **{(c, "income"): 1 for c in ("age", "sex", "education")}, ("age", "sex", "education"): 3}
    assert (work.must, work.cells) == ((("age", "sex"),), 100_000)


def test_a_spec_with_targets_reads_its_own_facts_back():
    spec = spec_from({**with_entry("targets", ENTRY_VALUES["targets"]), "weights": [ENTRY_VALUES["weights"]]}, Path())
    again = Spec.from_facts(spec.facts())
    assert (again.wishes, again.facts()) == (spec.wishes, spec.facts())


def test_columns_accept_exactly_the_keys_of_the_table():
    accepted = {"kind", *SHARED_KEYS, *(name for keys in COLUMN_KEYS.values() for name in keys)}
    assert {key.name for key in COLUMN_ONLY} == accepted


def kinds_that_take(name):
    return [kind for kind in COLUMN_KEYS if name in keys_of(kind)]


def other_value(kind, name):
    """A value of a key that is not its default; only `outside` has none that fits every kind."""
    return OTHER_VALUES_OF.get(kind, {}).get(name, OTHER_VALUES.get(name, "clip" if kind in ORDERED else "first"))


@pytest.mark.parametrize("key", [key for key in COLUMN_ONLY if key.name != "kind"], ids=lambda key: key.name)
def test_each_column_key_is_accepted_by_the_kinds_it_names(key):
    kinds = kinds_that_take(key.name)
    if key.name == "source":
        assert kinds == list(COLUMN_KEYS)
    elif key.name in ("missing", "outside"):
        assert {kind for kind in kinds if kind != "open"} == {kind for kind in COLUMN_KEYS if issubclass(KINDS[kind], Modelled)}
    else:
        assert {kind for kind in COLUMN_KEYS if re.search(rf"\b{kind}\b", key.allowed.split(";")[0].split(":")[0])} == set(kinds)
    for kind in kinds:
        value = other_value(kind, key.name)
        held = column(kind, **{**BESIDE.get(key.name, {}), key.name: value}).facts()[key.name]
        assert [*map(str, held)] == [*map(str, value)] if isinstance(value, list) else str(held) == str(value)


@pytest.mark.parametrize("key", COLUMN_ONLY, ids=lambda key: key.name)
def test_each_stated_default_of_a_column_is_the_real_one(key):
    kinds = [kind for kind in COLUMN_KEYS if key.name in {**keys_of(kind), "kind": None}]
    if not key.default:
        for kind in kinds:
            facts = {k: v for k, v in {"kind": kind, **NEEDED[kind]}.items() if k != key.name}
            with pytest.raises(SpecError, match=key.name):
                column_from("x", facts)
    elif key.name == "outside":
        firsts = {"code": "first", "categorical": "other", "boolean": "first", **dict.fromkeys(ORDERED, "clip")}
        assert {kind: column(kind).facts()["outside"] for kind in kinds} == firsts
        assert {column(kind, missing=True).facts()["outside"] for kind in kinds if kind != "categorical"} == {"missing"}
        assert column("categorical", missing=True).facts()["outside"] == "other"
    elif key.name == "source":
        assert {column(kind).facts()["source"] for kind in kinds if not column(kind).discovers} == {key.default}
    elif key.default.startswith("`"):
        stated = tomllib.loads(f"v = {key.default.strip('`')}")["v"]
        for kind in kinds:
            assert column(kind, **{key.name: stated}).facts() == column(kind).facts()
    else:
        assert not any(key.name in column(kind).facts() for kind in kinds if key.name != "format")
        assert {kind: column(kind).facts().get("format") for kind in kinds if kind == "duration"} in ({}, {"duration": "HH:MM:SS"})


def test_an_integer_column_of_few_values_has_a_cell_for_each():
    assert column("integer", max=5).facts()["bins"] == 6


def test_the_listed_choices_are_the_real_ones():
    assert quoted(key_named("synthesis.strategy").allowed) == set(STRATEGIES)
    assert quoted(key_named("synthesis.strategy").default) == {DEFAULT_STRATEGY}
    assert quoted(key_named("synthesis.estimator").allowed) == set(ESTIMATORS)
    assert quoted(key_named("synthesis.format").allowed) == set(FORMATS)
    assert quoted(key_named("synthesis.penalty").allowed.split(";")[0]) == set(PENALTIES)
    assert tuple(penalty.PENALTIES) == PENALTIES
    assert quoted(key_named("synthesis.penalty").default) == {PENALTIES[0]} == {penalty.DEFAULT_PENALTY}
    assert quoted(key_named("columns.NAME.kind").allowed) == set(COLUMN_KEYS)


M, O = "(missing)", "other"  # noqa: E741
FATES = [
    # kind, further facts, where these texts go: not listed, unreadable, missing
    ("code", {}, {"3": "0", "x": "0", "": "0"}),
    ("code", {"missing": True}, {"3": M, "x": M, "": M}),
    ("code", {"missing": True, "outside": "first"}, {"3": "0", "x": M, "": M}),
    ("categorical", {}, {"z": O, "A": O, "NA": O, "": O}),
    ("categorical", {"missing": True}, {"z": O, "A": O, "NA": O, "": M}),
    ("categorical", {"other": False}, {"z": "a", "": "a"}),
    ("categorical", {"other": False, "missing": True}, {"z": M, "": M}),
    ("categorical", {"outside": "first"}, {"z": "a", "": "a"}),
    ("categorical", {"outside": "first", "missing": True}, {"z": "a", "": M}),
    ("categorical", {"other_label": "b"}, {"z": "b", "": "b"}),
    ("boolean", {}, {"maybe": "false", "": "false"}),
    ("boolean", {"missing": True}, {"maybe": M, "": M}),
    ("boolean", {"missing": True, "outside": "first"}, {"maybe": "false", "": M}),
    ("integer", {"bins": 100}, {"200": "99", "-3": "0", "x": "0", "7.5": "0", "1,5": "0", "inf": "0", "": "0"}),
    ("integer", {"bins": 100, "missing": True}, {"200": M, "-3": M, "x": M, "7.5": M, "": M}),
    ("integer", {"bins": 100, "missing": True, "outside": "clip"}, {"200": "99", "-3": "0", "x": M, "7.5": M, "": M}),
    ("number", {"bins": 2}, {"7": "0.5..1", "-7": "0..0.5", "x": "0..0.5", "": "0..0.5"}),
    ("number", {"bins": 2, "missing": True}, {"7": M, "-7": M, "x": M, "": M}),
    ("number", {"bins": 2, "missing": True, "outside": "clip"}, {"7": "0.5..1", "x": M, "": M}),
]
FATES += [
    ("boolean", {"words": ["No", "Yes"]}, {"maybe": "No", "": "No"}),
    ("categorical", {"unfold": {"c": 1, "d": 2}, "missing": True}, {"z": O, "": M}),
    ("integer", {"edges": [0, 10, 99], "spikes": [0], "missing": True}, {"-1": M, "100": M, "x": M, "": M}),
    ("date", {"bins": 365}, {"2027-01-01": "2026-12-31", "1.2.2026": "2026-01-01", "2026-02-29": "2026-01-01", "": "2026-01-01"}),
    ("date", {"missing": True}, {"2027-01-01": M, "2026-02-29": M, "": M}),
    ("datetime", {"missing": True}, {"2027-01-01": M, "noon": M, "2026-01-01T24:00": M, "": M}),
    (
        "duration",
        {"unit": "hours", "max": 9, "bins": 10, "outside": "clip", "missing": True},
        {"10:00:00": "09:00:00", "1h": M, "P1M": M, "": M},
    ),
]
LISTED = [
    ("code", {}, {"2": "2", " 1 ": "1", "2.0": "2"}),
    ("categorical", {}, {"a": "a", " b ": "b", "other": O}),
    ("boolean", {}, dict.fromkeys(("true", "T", "Yes", "y", "1", "1.0"), "true")),
    ("boolean", {}, dict.fromkeys(("false", "F", "NO", "n", "0", "0.0"), "false")),
    ("integer", {"bins": 100}, {"0": "0", "99": "99", "7.0": "7", "7e0": "7", "+7": "7"}),
    ("number", {"bins": 2}, {"0": "0..0.5", "0.5": "0.5..1", "1": "0.5..1"}),
    ("number", {"bins": 2, "spikes": [0, 1]}, {"0": "0", "0.2": "0..0.5", "0.5": "0.5..1", "1": "1"}),
    ("integer", {"edges": [0, 10, 99], "spikes": [5]}, {"4": "0..4", "5": "5", "6": "6..9", "99": "10..99"}),
    ("categorical", {"unfold": {"c": 1, "d": 2}}, {"c": O, "d": O, "a": "a"}),
    ("boolean", {"words": ["1", "2"]}, {"1": "1", "2": "2", "no": "1", "true": "2"}),
    ("date", {"bins": 365}, {"2026-02-03": "2026-02-03", "2026-02-03T23:59:59.9": "2026-02-03", "2026-02-03T23:00-02:00": "2026-02-04"}),
    ("date", {"bins": 365, "format": "%d.%m.%Y"}, {"3.2.2026": "03.02.2026", "2026-02-03": "03.02.2026"}),
    (
        "datetime",
        {"max": "2026-01-01T23:59:59", "bins": 24, "format": "%d.%m.%Y %H:%M"},
        {"01.01.2026 03:04": "01.01.2026 03:00..01.01.2026 03:59", "2026-01-01T03:04:05Z": "01.01.2026 03:00..01.01.2026 03:59"},
    ),
    ("duration", {"unit": "hours", "max": 9, "bins": 10}, dict.fromkeys(("02:59:59", "PT2H", "2.5", "0 days 02:00:00"), "02:00:00")),
]


@pytest.mark.parametrize(("kind", "facts", "goes"), FATES + LISTED)
def test_each_value_goes_where_the_page_says(kind, facts, goes):
    found = column(kind, **facts)
    assert {text: found.cell_labels()[found.rule.cell(text)] for text in goes} == goes


def test_the_page_has_a_line_for_each_kind():
    section = PAGE.split("## What happens to each value")[1].split("## How values come back")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(COLUMN_KEYS)


def test_the_example_for_the_registry_leaves_nothing_to_ask_for():
    *_, text = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    said = spec_from({**MINIMAL, **tomllib.loads(text)}, Path()).registry
    assert all(said.facts().get(key) for key in (*registry.NEEDED, *registry.NEEDED_FOR_TIER_3))
