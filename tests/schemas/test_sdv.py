"""SDV metadata: what each sdtype becomes, in both versions, and what is listed because no key holds it."""

import json

import pytest

from dpsynth.errors import SpecError
from dpsynth.schemas.importing import import_schema

V1 = {
    "METADATA_SPEC_VERSION": "SINGLE_TABLE_V1",
    "primary_key": "guest",
    "sequence_key": "stay",
    "alternate_keys": ["card"],
    "columns": {
        "guest": {"sdtype": "id", "regex_format": "U_[0-9]{3}"},
        "stay": {"sdtype": "id"},
        "mail": {"sdtype": "email", "pii": True},
        "card": {"sdtype": "credit_card_number", "pii": True},
        "free": {"sdtype": "unknown", "pii": True},
        "nights": {"sdtype": "numerical", "computer_representation": "Int64"},
        "fee": {"sdtype": "numerical", "computer_representation": "Float"},
        "rate": {"sdtype": "numerical"},
        "rewards": {"sdtype": "boolean"},
        "room": {"sdtype": "categorical"},
        "tier": {"sdtype": "categorical", "order": ["basic", "gold"]},
        "checkin": {"sdtype": "datetime", "datetime_format": "%d %b %Y"},
        "booked": {"sdtype": "datetime", "datetime_format": "%Y-%m-%d %H:%M"},
    },
    "column_relationships": [{"type": "address", "column_names": ["a", "b"]}],
}
KINDS = {
    "guest": "identifier", "stay": "identifier", "mail": "text", "card": "text", "free": "text", "nights": "integer", "fee": "number",
    "rate": "number", "rewards": "boolean", "room": "categorical", "tier": "categorical", "checkin": "date", "booked": "datetime",
}  # fmt: skip
OLD = {
    "fields": {
        "key": {"type": "id", "subtype": "integer"},
        "age": {"type": "numerical", "subtype": "integer"},
        "income": {"type": "numerical", "subtype": "float"},
        "job": {"type": "categorical"},
        "name": {"type": "categorical", "pii": True, "pii_category": "name"},
        "member": {"type": "boolean"},
        "born": {"type": "datetime", "format": "%Y-%m-%d"},
    },
    "primary_key": "key",
    "constraints": [{"constraint": "x"}],
}


def drafted(tmp_path, metadata, **options):
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps(metadata))
    return import_schema(path, **options)


def kinds(draft):
    return {column.name: column.kind for column in draft.columns}


def column(draft, name):
    return next(column for column in draft.columns if column.name == name)


def test_each_sdtype_has_its_kind(tmp_path):
    assert kinds(drafted(tmp_path, V1)) == KINDS


def test_the_format_of_before_version_1_is_read(tmp_path):
    draft = drafted(tmp_path, OLD)
    assert kinds(draft) == {
        "key": "identifier", "age": "integer", "income": "number", "job": "categorical", "name": "text", "member": "boolean",
        "born": "date",
    }  # fmt: skip
    assert "pii_category: 'name'" in column(draft, "name").notes
    assert any(note.startswith("constraints: ") for note in draft.notes)


def test_bounds_and_categories_are_left_to_people_unless_stated(tmp_path):
    draft = drafted(tmp_path, V1)
    assert draft.to_fill_in()["nights"] == ["min", "max"]
    assert draft.to_fill_in()["room"] == ["values"]
    assert column(draft, "tier").facts == {"values": ["basic", "gold"], "ordered": True}


def test_what_has_no_key_is_listed(tmp_path):
    draft = drafted(tmp_path, V1)
    assert column(draft, "guest").notes == ("regex_format: 'U_[0-9]{3}'",)
    said = " ".join(draft.notes)
    assert all(words in said for words in ("primary_key: 'guest'", "alternate_keys: card", "column_relationships: a list of 1", "unit.id"))


def test_a_number_of_which_nobody_says_how_it_is_stored_may_be_whole(tmp_path):
    declared = {column.name: column.declared for column in drafted(tmp_path, V1).columns}
    assert declared["rate"] == "sdtype numerical; where all values are whole, write integer"
    assert (declared["fee"], declared["nights"]) == ("sdtype numerical", "sdtype numerical")


def test_one_table_of_several_is_named(tmp_path):
    one = {"columns": {"city": {"sdtype": "categorical"}}, "primary_key": "city"}
    several = {"METADATA_SPEC_VERSION": "V1", "tables": {"hotels": one, "guests": V1}, "relationships": [{"parent_table_name": "hotels"}]}
    assert kinds(drafted(tmp_path, several, table="hotels")) == {"city": "categorical"}
    draft = drafted(tmp_path, several, table="guests")
    assert (kinds(draft), draft.name) == (KINDS, "guests")
    assert any("'hotels'" in note for note in draft.notes)
    for table in ("", "rooms"):
        with pytest.raises(SpecError, match=r"\['guests', 'hotels'\].*--table"):
            drafted(tmp_path, several, table=table)
    alone = {"METADATA_SPEC_VERSION": "V1", "tables": {"hotels": one}}
    assert kinds(drafted(tmp_path, alone)) == {"city": "categorical"}
    with pytest.raises(SpecError, match="leave out --table"):
        drafted(tmp_path, V1, table="hotels")


def test_a_layout_of_times_is_kept_where_this_package_can_write_it(tmp_path):
    draft = drafted(tmp_path, V1)
    assert column(draft, "booked").facts == {"format": "%Y-%m-%d %H:%M"}
    assert column(draft, "booked").notes == ()
    assert column(draft, "checkin").facts == {}
    assert column(draft, "checkin").notes == ("datetime_format: '%d %b %Y'",)


FAULTY = [{"columns": []}, {"columns": {"a": 1}}, {"columns": {"a": {"sdtype": 3}}}, {"columns": {}}, {"tables": {}}, {"tables": {"t": 1}}]


@pytest.mark.parametrize("change", FAULTY)
def test_a_document_that_is_not_as_specified_is_refused(tmp_path, change):
    with pytest.raises(SpecError):
        drafted(tmp_path, {**V1, **change})
