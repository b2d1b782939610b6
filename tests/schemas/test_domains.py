"""The domain files of mbi and of google/dpsynth."""

import json
from decimal import Decimal

import pytest

from dpsynth.errors import SpecError
from dpsynth.schema import column_from
from dpsynth.schemas.importing import import_schema
from dpsynth.spec import Spec
from tests.schemas.filling_in import filled

GOOGLE = """
# written by google/dpsynth
age: {clip_to_range: true, dtype: int, max_value: 50.0, min_value: 10.0}
income:
  clip_to_range: false
  min_value: 0.5
  max_value: 1.0e6
  sentinel: -1
  interval_handling: midpoint
gender:
  out_of_domain_index: 1
  possible_values: [M, F]
flag: {possible_values: [true, false], out_of_domain_index: 1}
maybe: {possible_values: [null, true, false]}
code: {possible_values: [0, 1, 2]}
place: {possible_values: [1, 2, 4], description: where}
answer: {possible_values: [null, 'a', 'b']}
notes: {max_tokens: 256}
city: {}
job: {default_value: elsewhere, type: OpenSetCategoricalAttribute}
"""
FACTS = {
    "age": ("integer", {"min": 10, "max": 50, "missing": False, "outside": "clip"}),
    "income": ("number", {"min": Decimal("0.5"), "max": 1_000_000, "missing": True, "outside": "missing"}),
    "gender": ("categorical", {"values": ["M", "F"], "other": True, "other_label": "F", "missing": False}),
    "flag": ("boolean", {"missing": False, "outside": "first"}),
    "maybe": ("boolean", {"missing": True, "outside": "missing"}),
    "code": ("code", {"size": 3, "missing": False, "outside": "first"}),
    "place": ("categorical", {"values": ["1", "2", "4"], "other": True, "other_label": "1", "missing": False}),
    "answer": ("categorical", {"values": ["a", "b"], "other": False, "outside": "missing", "missing": True}),
    "notes": ("text", {}),
    "city": ("open", {}),
    "job": ("open", {"other_label": "elsewhere"}),
}


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.fixture
def google(tmp_path):
    return import_schema(written(tmp_path, "domain.yaml", GOOGLE))


def test_each_attribute_has_its_kind_and_its_facts(google):
    assert {column.name: (column.kind, dict(column.facts)) for column in google.columns} == FACTS


def test_what_has_no_key_is_listed(google):
    notes = {column.name: column.notes for column in google.columns}
    assert notes["income"] == ("sentinel: -1", "interval_handling: 'midpoint'")
    assert notes["place"] == ("description: 'where'",)
    assert notes["notes"] == ("max_tokens: 256",)
    assert notes["age"] == notes["gender"] == ()


@pytest.mark.parametrize(("name", "value", "cell"), [("gender", "x", "F"), ("place", "7", "1"), ("flag", "x", "false"), ("code", "9", "0")])
def test_unlisted_values_go_where_that_program_sends_them(google, name, value, cell):
    column = next(column for column in google.columns if column.name == name)
    found = column_from(name, {"kind": column.kind, **column.facts})
    assert found.cell_labels()[found.rule.cell(value)] == cell


def test_the_later_form_is_read_too(tmp_path):
    inner = "".join(f"  {line}\n" for line in GOOGLE.splitlines())
    for head in ("type: Schema\nconstraints: [1]\nattributes:\n", "type: TabularConfig\nnumerical_bins: 64\ndomains:\n"):
        draft = import_schema(written(tmp_path, "later.yml", head + inner))
        assert {column.name: (column.kind, dict(column.facts)) for column in draft.columns} == FACTS
        assert len(draft.notes) == 1


@pytest.mark.parametrize(
    "attribute",
    [
        "{possible_values: []}", "{possible_values: 3}", "{possible_values: [a], out_of_domain_index: 1}", "{min_value: a, max_value: 3}",
        "{min_value: .nan, max_value: 3}", "{min_value: 1}", "{min_value: 1, max_value: 3, clip_to_range: 1}", "{possible_values: [[a]]}",
        "{possible_values: [2020-01-01]}", "{min_value: 1, max_value: 3, dtype: [int]}",
    ],
)  # fmt: skip
def test_an_attribute_out_of_shape_is_refused(tmp_path, attribute):
    with pytest.raises(SpecError, match="a"):
        import_schema(written(tmp_path, "domain.yaml", f"ok: {{possible_values: [a, b]}}\na: {attribute}\n"))


def test_an_mbi_domain_is_complete(tmp_path):
    sizes = {"age": 32, "income>50K": 2, "education-num": 16}
    draft = import_schema(written(tmp_path, "adult-domain.json", json.dumps(sizes)))
    assert draft.to_fill_in() == {}
    spec, _, steps = filled_text(draft)
    assert steps == []
    assert dict(zip(spec.schema.domain.columns, spec.schema.domain.sizes, strict=True)) == sizes
    assert all(column.kind == "code" for column in spec.schema.columns)


def filled_text(draft):
    from dpsynth.schemas.spec_text import spec_text

    return filled(spec_text(draft), draft)


def test_a_column_of_one_code_is_left_out_and_says_why(tmp_path):
    draft = import_schema(written(tmp_path, "d.json", '{"a": 1, "b": 2, "": 2, " c": 2, "huge": 100000, "none": 0}'))
    assert draft.left_out() == ["a", "", " c", "huge", "none"]
    assert "one cell" in draft.columns[0].left_out
    spec, text, _ = filled_text(draft)
    assert isinstance(spec, Spec)
    assert spec.schema.domain.columns == ("b",)
    assert "Left out: column 'a'" in text
