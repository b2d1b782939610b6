"""An entry for the registry of deployments has what the registry asks for and nothing else, and says what is missing."""

import json
import re
from dataclasses import replace

import pytest

from dpsynth import api
from dpsynth.api import register
from dpsynth.errors import SpecError
from dpsynth.privacy import PrivacyUnit
from dpsynth.publication import Publication
from dpsynth.release.bundle import Bundle
from dpsynth.reports.registry import NEEDED, NEEDED_FOR_TIER_3, registry_entry
from dpsynth.reports.self_assessment import OPEN, PEOPLE, RUN, self_assessment
from dpsynth.schema import Schema, column_from
from tests.reports.made_up import made_up_bundle

SCHEMA = Schema(
    (
        column_from("sex", {"kind": "categorical", "values": ["f", "m"], "source": "public: the form"}),
        column_from('odd: "name" # of a - column', {"kind": "integer", "min": 0, "max": 9}),
    )
)
SAID = Publication(
    title="Visits 2030",
    slug="visits-2030",
    curators=("The hospital", "The ministry"),
    curator_type="Government",
    description="Two lines:\n- a table",
    region="Somewhere",
    sector="Healthcare",
    published="2030-02-01",
    data_source="Static",
    actors="The hospital's statisticians.",
    preprocessing="None. # not a comment: 'quoted'",
    security="One machine, two people.",
    justification="  The law asks for it.",
    sources="- the report",
    authors=("A. Author",),
)

ALLOWED = {
    "": {"url_slug", "status", "tier", "deployment"},
    "deployment": {"basic", "dp_variant", "privacy_loss", "deployment_model", "accounting", "implementation", "administrative"},
    "basic": {"name", "data_curators", "description", "intended_use", "data_product_type", "data_product_region", "publication_date"}
    | {"data_product_sector"},
    "data_curators": {"data_curator_name", "data_curator_type"},
    "dp_variant": {"variant_name", "data_domain", "unprotected_quantities"},
    "privacy_loss": {"privacy_unit", "privacy_unit_details", "privacy_parameters", "privacy_parameters_details"},
    "privacy_parameters": {"epsilon", "delta", "rho"},
    "deployment_model": {"model_name", "model_name_details", "actors", "release_type", "release_type_details", "data_source_type"}
    | {"access_type", "access_type_details"},
    "accounting": {"post_processing", "composition"},
    "implementation": {"preprocessing_and_hyperparameter_tuning", "mechanisms", "justification"},
    "administrative": {"sources", "registry_authors"},
}
"""The keys of an entry, by the name of the object that holds them; there are no others."""


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return made_up_bundle(tmp_path_factory.mktemp("bundle"), SCHEMA, selections=False).facts


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    return made_up_bundle(tmp_path_factory.mktemp("rehearsal"), SCHEMA, rehearsal=True).facts


def keys(value, name=""):
    """(name of the object, its keys) for every object."""
    if isinstance(value, dict):
        yield name, set(value)
        for key, item in value.items():
            yield from keys(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item, name)


def parsed(text):
    """The part of YAML that an entry uses: mappings, lists, numbers, double quotes and `|`."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]

    def depth(line):
        return len(line) - len(line.lstrip(" "))

    def scalar(word):
        assert re.fullmatch(r'".*"|-?[0-9]+|-?[0-9]+\.[0-9]+(e[-+][0-9]+)?', word), word  # YAML 1.1 takes 1e-9 for a text
        return json.loads(word)

    def block(level):
        if lines[0][level:].startswith("-"):
            items = []
            while lines and depth(lines[0]) == level and lines[0][level] == "-":
                rest = lines.pop(0)[level + 1 :].strip()
                items.append(scalar(rest) if rest else block(depth(lines[0])))
            return items
        found = {}
        while lines and depth(lines[0]) == level:
            key, _, rest = lines.pop(0)[level:].partition(":")
            assert key not in found
            if rest.strip() == "|":
                texts = []
                while lines and (depth(lines[0]) > level or not lines[0]):
                    texts.append(lines.pop(0)[level + 2 :])
                found[key] = "\n".join(texts)
            else:
                found[key] = scalar(rest.strip()) if rest.strip() else block(depth(lines[0]))
        return found

    return block(0)


@pytest.mark.parametrize("said", [None, SAID])
def test_an_entry_has_no_key_that_the_registry_does_not_know(facts, said):
    for name, found in keys(registry_entry(facts, said).values):
        assert found <= ALLOWED[name], name


def test_with_all_that_people_know_it_is_a_whole_entry_of_tier_3(facts):
    entry = registry_entry(facts, SAID)
    assert (entry.missing, entry.missing_for_tier_3) == ((), ())
    assert entry.values["tier"] == 3
    for name, found in keys(entry.values):
        assert found == ALLOWED[name], name
    basic = entry.values["deployment"]["basic"]
    assert basic["data_product_type"] == "Synthetic data"
    assert basic["publication_date"] == "2030-02-01"
    assert basic["data_curators"][1] == {"data_curator_name": "The ministry", "data_curator_type": "Government"}


def test_what_is_written_reads_back_as_what_was_meant(facts):
    entry = registry_entry(facts, SAID)
    back = parsed(entry.yaml())
    parameters = back["deployment"]["privacy_loss"].pop("privacy_parameters")
    claim = entry.values["deployment"]["privacy_loss"].pop("privacy_parameters")
    assert (parameters["epsilon"], parameters["delta"]) == (1.0, 1e-9)
    assert float(claim["rho"]) <= parameters["rho"] <= float(claim["rho"]) * (1 + 1e-5)

    def trimmed(value):
        if isinstance(value, dict):
            return {key: trimmed(item) for key, item in value.items()}
        return [trimmed(item) for item in value] if isinstance(value, list) else value.strip() if isinstance(value, str) else value

    assert trimmed(back) == trimmed(entry.values)


def test_several_lines_are_kept_after_a_bar_and_others_in_double_quotes(facts):
    text = registry_entry(facts, SAID).yaml()
    assert re.search(r'^ +publication_date: "2030-02-01"$', text, re.MULTILINE)
    assert "\n    description: |\n      Two lines:\n      - a table\n" in text
    assert not re.search(r"^ *[a-z_]+: [>'|]\S", text, re.MULTILINE)


def test_what_only_people_know_is_listed_as_missing(facts):
    entry = registry_entry(facts)
    assert (entry.missing, entry.missing_for_tier_3) == (NEEDED, NEEDED_FOR_TIER_3)
    assert entry.values["tier"] == 2
    assert entry.yaml().startswith("# missing: registry.curators\n")
    for key in (*NEEDED, *NEEDED_FOR_TIER_3):
        almost = replace(SAID, **{key: type(getattr(SAID, key))()})
        found = registry_entry(facts, almost)
        assert (*found.missing, *found.missing_for_tier_3) == (key,)


def test_a_certificates_own_facts_are_used_and_may_be_replaced(tmp_path):
    facts = made_up_bundle(tmp_path, SCHEMA, selections=False, registry=SAID).facts
    assert registry_entry(facts).values["url_slug"] == "visits-2030"
    assert registry_entry(facts, Publication(slug="other")).values["url_slug"] == "other"
    assert registry_entry(facts, Publication(slug="other")).missing == ()


def test_a_person_is_the_unit_where_the_certificate_says_so(tmp_path):
    facts = made_up_bundle(tmp_path, SCHEMA, selections=False, unit=PrivacyUnit("patient", 4)).facts
    loss = registry_entry(facts, SAID).values["deployment"]["privacy_loss"]
    assert loss["privacy_unit"] == "User-level"
    assert "column 'patient', of which at most 4 rows count" in loss["privacy_unit_details"]


def test_selections_are_named_with_their_number(tmp_path):
    facts = made_up_bundle(tmp_path, SCHEMA).facts
    mechanisms = registry_entry(facts, SAID).values["deployment"]["implementation"]["mechanisms"]
    assert "- 1 selection by noisy maximum" in mechanisms
    assert "- 3 tables of counts" in mechanisms


def test_a_rehearsal_is_not_registered(rehearsed):
    with pytest.raises(SpecError, match="nothing to register"):
        registry_entry(rehearsed, SAID)


@pytest.mark.parametrize("name", ["Adult.yaml", "a-b.yaml", "adult.yml", "adult", ".yaml"])
def test_a_file_name_that_the_registry_refuses_is_refused_here(tmp_path, name):
    with pytest.raises(SpecError, match="the registry takes files named"):
        register(tmp_path, tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"slug": "Not A Slug"},
        {"published": "2030-1-1"},
        {"published": "20300101"},
        {"data_source": "Sometimes"},
        {"title": "a\x1b[2J"},
        {"description": "x" * 5000},
        {"curators": ("a\x00",)},
    ],
    ids=str,
)
def test_facts_that_no_entry_can_hold_are_refused(wrong):
    with pytest.raises(SpecError, match=r"registry\."):
        Publication(**wrong)


@pytest.mark.parametrize("damaged", [{"colour": "x"}, {"title": 3}, [], "x"])
def test_damaged_facts_of_a_certificate_are_refused(facts, damaged):
    with pytest.raises(SpecError):
        registry_entry({**facts, "registry": damaged})


@pytest.mark.parametrize("change", [{"ledger": None}, {"unit": {"id": 3}}, {"schema": [{}]}, {"guarantee": {"track": "zcdp"}}], ids=str)
def test_a_certificate_that_does_not_fit_together_is_refused_in_words(facts, tmp_path, monkeypatch, change):
    monkeypatch.setattr(api, "read_bundle", lambda folder: Bundle(folder, {**facts, **change}))
    with pytest.raises(SpecError, match="does not fit together"):
        register(tmp_path, tmp_path / "entry.yaml", draft=True)
    assert not (tmp_path / "entry.yaml").exists()


def test_the_self_assessment_answers_each_question_or_says_that_it_does_not(facts, rehearsed):
    topics = "unit neighbours parameters conversions contribution composition bins accuracy bias threat channels handling"
    for certificate in (facts, rehearsed):
        answers = self_assessment(certificate)
        named = " ".join(answer.topic.lower() for answer in answers)
        assert all(topic in named for topic in topics.split())
        assert all(answer.answer.strip() and answer.by in (RUN, PEOPLE, OPEN) for answer in answers)
    alone = {answer.topic: answer.by for answer in self_assessment(facts)}
    said = {answer.topic: answer for answer in self_assessment({**facts, "registry": SAID.facts()})}
    assert alone["Data handling"] == OPEN
    assert (said["Data handling"].by, said["Data handling"].answer) == (PEOPLE, "One machine, two people.")
    assert {topic for topic, by in alone.items() if by == OPEN} - {topic for topic, a in said.items() if a.by == OPEN} == {
        "Actors",
        "Choice of parameters",
        "Data handling",
        "Preparation",
    }


def test_the_self_assessment_names_columns_that_rest_on_the_owners_word(facts):
    (answer,) = (a.answer for a in self_assessment(facts) if a.topic == "Bins and categories")
    assert "1 column from a named public source" in answer
    assert "odd" in answer
