"""The page as a whole: structure, escaping, nothing from outside, and what it says in unusual cases."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import dpsynth
from dpsynth import canonical
from dpsynth.kinds import Boolean, Categorical, Code, Integer
from dpsynth.privacy import PrivacyUnit
from dpsynth.release.certificate import Heading
from dpsynth.reports.html import render
from dpsynth.reports.wording import TIMES
from dpsynth.schema import Schema
from dpsynth.spec import Spec
from tests.reports.made_up import REPORT, made_up_bundle, noisy_tables, simulated

ADULT = Path(dpsynth.__file__).parent / "data" / "adult.toml"
SECTIONS = ["guarantee", "costs", "comparison", "fit", "unprotected", "verify", "assessment", "appendix"]
VOID = {"meta", "br", "img", "link", "input", "base"}
SMALL = Schema((Integer(name="age", least=0, most=89, bins=9), Categorical(name="color", values=("red", "blue")), Boolean(name="member")))


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails where tags do not nest."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.sections, self._open, self._words = set(), [], [], [], []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag == "section":
            self.sections.append(dict(attrs)["id"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self._words.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self._words).split())


@pytest.fixture(scope="module")
def adult(tmp_path_factory):
    return made_up_bundle(tmp_path_factory.mktemp("adult"), Spec.from_file(ADULT).schema)


@pytest.fixture(scope="module")
def adult_page(adult):
    return render(adult)


def words(folder, schema=SMALL, **options):
    return Page(render(made_up_bundle(folder, schema, **options))).words


def assert_nothing_from_outside(text):
    page = Page(text)
    assert not page.tags & {"script", "link", "img", "image", "use", "iframe", "object", "embed", "base", "form", "video", "audio"}
    names = {name for name, _ in page.attributes}
    assert not names & {"src", "srcset", "xlink:href", "action", "style", "poster", "data"}
    assert not {name for name in names if name.startswith("on")}
    links = {value for name, value in page.attributes if name == "href"}
    assert links == {f"#{section}" for section in SECTIONS}
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style


def test_the_sections_come_in_order(adult_page):
    assert Page(adult_page).sections == SECTIONS


def test_nothing_is_loaded_from_outside(adult_page):
    assert_nothing_from_outside(adult_page)
    assert "default-src 'none'" in adult_page
    assert "http://" not in adult_page
    assert "https://" not in adult_page


def test_fourteen_columns_fit_in_a_megabyte(adult_page):
    assert len(adult_page.encode()) < 1 << 20


def test_every_chart_has_a_label_and_finite_coordinates(adult_page):
    charts = re.findall(r"<svg[^>]*>", adult_page)
    assert all("aria-label" in chart or "aria-hidden" in chart for chart in charts)
    assert sum('role="img"' in chart for chart in charts) == 1 + 14 + 2 * 4
    assert not re.search(r'\b(nan|inf)\b[^<]*"', " ".join(re.findall(r' (?:d|x|y|width|height|transform|viewBox)="[^"]*"', adult_page)))


def test_the_page_depends_on_the_values_of_the_bundle_alone(adult, adult_page):
    assert render(adult) == adult_page
    assert render(replace(adult, facts=canonical.loads(canonical.dumps(adult.facts)))) == adult_page


def test_the_guarantee_is_said_in_words(adult_page):
    text = Page(adult_page).words
    assert "Whether or not any one row is in the table" in text
    assert "by a factor of at most 2.72 (e epsilon ), plus at most 1e-9 (delta)" in text
    assert "1.0% 2.8%" in text
    assert "rho = 0.0149731" in text


def test_a_person_of_several_rows_is_named_by_the_unit(tmp_path):
    text = words(tmp_path, unit=PrivacyUnit(id="patient", max_rows=3))
    assert "Whether or not all rows of one value of 'patient' are in the table" in text
    assert "At most 3 rows of each value can have been used." in text


def test_verification_names_commands_digests_entries_and_trust(adult_page):
    text = Page(adult_page).words
    assert "dpsynth verify DIR --ledger FOLDER" in text
    assert "python verify.py DIR --ledger FOLDER" in text
    assert "ab" * 32 in text
    assert "5e" * 32 in text
    assert "no second ledger" in text


def test_the_list_of_what_is_not_protected_is_whole(adult):
    text = Page(render(adult)).words
    for source in {column["source"] for column in adult.facts["schema"]}:
        assert source in text


def test_declared_facts_are_told_from_public_ones(tmp_path):
    schema = Schema((SMALL.columns[0], replace(SMALL.columns[1], source="public: a law")))
    text = words(tmp_path, schema)
    assert "on the data owner's word" in text
    assert re.search(r"Declared by the data owner , without a public source.*? age .*From a public source .*color : public: a law", text)


def test_hostile_names_stay_text(tmp_path):
    hostile = "</title></style><script src=https://evil.example/a.js>alert('1')</script>"
    values = ('"><img src=https://evil.example/b onerror=alert(2)>', "{{ 7 * 7 }}", "\u202eevil\x00\ud800", "' onmouseover='x")
    schema = Schema((
        Categorical(name=hostile, values=values, source="public: javascript:alert(3) <b>bold</b>", other_text="<i>other</i>"),
        Integer(name='"><svg onload=alert(4)>', least=0, most=9, bins=10),
        Boolean(name="{% raw %}"),
    ))  # fmt: skip
    unit, heading = PrivacyUnit(id="<u>id</u>", max_rows=2), Heading("<h1>name", "<marquee>purpose</marquee>", "2026-01-01")
    software = {"<b>python</b>": "<script>3</script>"}
    text = render(made_up_bundle(tmp_path, schema, unit=unit, heading=heading, software=software))
    plain = render(made_up_bundle(tmp_path, SMALL))
    assert_nothing_from_outside(text)
    assert Page(text).tags == Page(plain).tags
    page = Page(text)
    assert hostile in page.words
    assert "{{ 7 * 7 }}" in page.words
    assert "\\u202eevil\\x00\\ud800" in page.words
    text.encode()


def test_a_rehearsal_is_loud_and_promises_nothing(tmp_path):
    text = render(made_up_bundle(tmp_path, SMALL, rehearsal=True))
    page = Page(text)
    title = re.search(r"<title>(.*?)</title>", text)[1]
    assert title.startswith("REHEARSAL")
    assert "REHEARSAL Made-up rows. No guarantee. Not for release." in page.words
    assert "This page claims nothing." in page.words
    assert "There is nothing to verify." in page.words
    assert "verify DIR" not in page.words
    assert "private rows. A model" not in page.words
    assert page.sections == SECTIONS


def test_a_release_says_nothing_of_a_rehearsal(adult_page):
    assert "rehears" not in Page(adult_page).words.lower()


@pytest.mark.parametrize(
    ("changes", "said", "warns"),
    [
        ({}, "The fit converged.", False),
        ({"converged": False}, "The fit did not converge.", True),
        ({"certified": False, "gap": 0.0}, "nothing proves that a better fit does not exist", False),
        ({"certified": False, "converged": False}, "The fit did not converge.", True),
    ],
)
def test_how_the_fit_ended(tmp_path, changes, said, warns):
    text = words(tmp_path, fit=replace(REPORT, **changes))
    assert said in text
    assert ("Warning: " in text) == warns
    assert ("Largest gap allowed" in text) == changes.get("certified", True)


def test_one_column(tmp_path):
    text = words(tmp_path, Schema(SMALL.columns[:1]))
    assert "1 column." in text
    assert "No table of several columns was measured" in text


def test_no_pairs_measured(tmp_path):
    text = words(tmp_path, cliques=[("age",), ("color",), ("member",)], selections=False)
    assert "No table of several columns was measured" in text
    assert "pairs that depend most" not in text
    assert "Selections" not in text


def test_a_noisy_total_that_is_not_positive(tmp_path):
    text = words(tmp_path, total=-500)
    assert "The noisy number of rows is not positive." in text
    assert "No distances can be given." in text
    assert "0 synthetic rows" in text
    assert "more than noise explains" not in text


def test_columns_without_a_table_of_their_own_show_the_model_alone(tmp_path):
    assert "not measured by itself" in words(tmp_path, cliques=[("age", "color"), ()])


def test_hundreds_of_columns_stay_readable(tmp_path):
    schema = Schema(tuple(Code(name=f"column {i}", codes=4) for i in range(250)))
    text = render(made_up_bundle(tmp_path, schema))
    page = Page(text)
    assert "and 190 more columns, which are not drawn here" in page.words
    assert "and 219 more, each closer to noise." in page.words
    assert "and 270 more, each cheaper or equal" in page.words
    assert re.search(r"and 200 more, [\d.]+% of the cap together", page.words)
    assert len(text.encode()) < 1 << 20


def test_wide_columns_are_joined_and_say_so(tmp_path):
    schema = Schema(
        (Code(name="wide", codes=1000), Code(name="flag", codes=2), Categorical(name="town", values=tuple(map(str, range(300)))))
    )
    text = words(tmp_path, schema)
    assert "each bar joins up to 9 neighbouring cells" in text
    assert "each bar joins up to 7 neighbouring cells" in text
    assert "Neighbouring cells are joined." in text


def test_wide_tables_and_repeated_ones_are_listed_once(tmp_path):
    model = simulated(SMALL, 1000, np.random.default_rng(1))
    again = noisy_tables(model, [("age", "color"), ("age", "color", "member")], np.random.default_rng(2), 40.0)
    page = Page(render(made_up_bundle(tmp_path, SMALL, exchanges=(again,))))
    listed = page.words.split("Tables of several columns")[1].split("The pairs that depend most")[0]
    assert listed.count(f"age {TIMES} color {TIMES} member") == 1
    assert len(re.findall(rf"age {TIMES} color(?! {TIMES})", listed)) == 1


@pytest.mark.parametrize(("epsilon", "said"), [("1/100", "at most 1.02 (e"), (8, "at most 2,990 (e"), (1000, "at most 10^435 (e")])
def test_small_and_large_epsilons(tmp_path, epsilon, said):
    assert said in words(tmp_path, epsilon=epsilon)
