"""The Python words of the contract (docs: architecture, "Spec file, CLI and bundle")."""

import inspect
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import dpsynth as dp
from dpsynth.errors import BudgetRefused, ProtocolError, SourceError, SpecError
from tests.stories.world import COLUMNS, DELTA, LEDGER_EPSILON, World, toml


@pytest.fixture
def frame(world):
    return pd.read_csv(world.source)


def test_the_words_of_the_contract_do_what_they_say(tmp_path):
    world = World.made(tmp_path, opened=False)
    ledger = dp.Ledger.init(world.account, epsilon=1.6, delta=1e-6)
    spec = dp.Spec.from_file(world.spec_file)
    assert "The ledger admits it" in str(dp.plan(spec))
    assert ledger.read().rho == 0
    release = dp.run(spec, out=world.out)
    assert list(release.data.columns) == list(COLUMNS)
    assert release.guarantee.epsilon == 1
    assert release.guarantee.delta == Fraction(1, 10**6)
    women = release.sample(100, seed=1, where={"sex": "F"})
    assert len(women) == 100
    assert set(women["sex"]) == {"F"}
    assert dp.verify(world.out).ok
    assert dp.verify(str(world.out), world.account).ok
    assert release.report.is_file()
    assert isinstance(release, dp.Release)
    total = release.model.marginal(("sex",)).sum()
    assert round(float(total)) == len(release.data) == release.facts["synthesis"]["rows"]


@pytest.mark.parametrize("kind", ["data frame", "arrow", "path"])
def test_a_table_in_memory_takes_the_place_of_the_source(world, frame, kind):
    moved = world.folder / "elsewhere.csv"
    world.source.rename(moved)
    tables = {"data frame": frame, "arrow": pa.Table.from_pandas(frame), "path": moved}
    release = dp.run(world.spec(), out=world.out, data=tables[kind])
    assert dp.verify(world.out, world.account).ok
    assert abs(len(release.data) - 300) < 150  # sigma of the total is about 10 rows: this fails by chance with less than 1e-20


def test_the_same_rows_give_the_same_counts_from_every_source(world, frame):
    from dpsynth import pipeline
    from dpsynth.engines.reader import open_engine

    spec, tables = world.spec(), []
    for data in (None, frame, pa.Table.from_pandas(frame)):
        engine = open_engine(pipeline.checked_source(spec, data), spec.schema, spec.unit)
        tables.append(engine.counts([("age", "member"), ("job", "score"), ("sex", "code")]))
    assert all(np.array_equal(a, b) for other in tables[1:] for a, b in zip(tables[0], other, strict=True))


def test_a_table_in_memory_is_not_changed(world, frame):
    before = frame.copy(deep=True)
    dp.run(world.spec(), out=world.out, data=frame)
    pd.testing.assert_frame_equal(frame, before)


def test_every_error_is_one_of_the_package_and_charges_nothing(world, frame):
    spec = world.spec()
    with pytest.raises(SpecError, match="no column"):
        dp.run(spec, out=world.out, data=frame.drop(columns="age"))
    with pytest.raises(SpecError, match="data must be"):
        dp.run(spec, out=world.out, data={"age": [1]})
    with pytest.raises(SourceError, match="does not exist"):
        dp.run(spec, out=world.out, data=world.folder / "no.csv")
    with pytest.raises(BudgetRefused, match="dpsynth ledger init"):
        dp.run(spec.charged_to(world.folder / "no"), out=world.out)
    with pytest.raises(SpecError, match="nothing to resume"):
        dp.resume(world.out)
    with pytest.raises(SpecError, match="no bundle"):
        dp.Release.open(world.out)
    with pytest.raises(SpecError, match="folder of its own"):
        dp.run(spec, out="a\0b")
    assert world.types() == []
    assert not world.out.exists()


def test_a_run_takes_only_its_spec_by_position():
    for function, positional in ((dp.run, ["spec"]), (dp.plan, ["spec"]), (dp.resume, ["out"]), (dp.Release.sample, ["self", "rows"])):
        kinds = {name: p.kind for name, p in inspect.signature(function).parameters.items()}
        assert [name for name, kind in kinds.items() if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD] == positional


def test_a_spec_survives_being_written_down(world):
    world.write_spec(unit={"id": "person", "max_rows": 3}, rows=17, seed=9, strategy="independent", format="parquet")
    spec = world.spec()
    again = dp.Spec.from_facts(spec.facts())
    assert again.facts() == spec.facts()
    assert dp.plan(again).facts() == dp.plan(spec).facts()


def test_paths_in_a_spec_start_at_the_spec_file(world, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    dp.run(dp.Spec.from_file("../spec.toml"), out="out")
    assert (elsewhere / "out" / "release.json").is_file()
    assert world.types()[-1] == "RELEASED"


def test_names_that_are_not_there_raise_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dp.nothing
    assert all(getattr(dp, name) is not None for name in dp.__all__)


# --- Synthesizer -----------------------------------------------------------------------------------------------------------------


def synthesizer(world, **more):
    given = {"unit": dp.PrivacyUnit(max_rows=1), "ledger": world.account, "epsilon": 1.0, "delta": 1e-6, **more}
    return dp.Synthesizer(world.spec().schema, **given)


def test_a_synthesizer_fits_and_samples(world, frame):
    synth = synthesizer(world, ledger=dp.Ledger.open(world.account))
    assert synth.fit(frame) is synth
    records = synth.sample(40, seed=2, where={"sex": "M"})
    assert list(records.columns) == list(COLUMNS)
    assert len(records) == 40
    assert set(records["sex"]) == {"M"}
    assert len(synth.sample()) == round(synth.model_.total)
    pd.testing.assert_frame_equal(synth.sample(9, seed=4), synth.sample(9, seed=4))
    assert synth.guarantee_.epsilon == 1
    assert len(synth.transcript_.events) > 6
    assert [entry["type"] for entry in world.entries() if entry["id"] == synth.entry_] == ["PREPARE", "MEASURED"]


def test_a_synthesizer_measures_what_has_a_target_as_precisely_as_it_must(world, frame):
    wished = dp.Target(("age",), within=Fraction(1, 5))
    kept = {}
    for name, targets in (("plain", ()), ("wished", (wished,))):
        synth = synthesizer(world, targets=targets, weights=[dp.TableWeight(("sex",), Fraction(1, 50))], rows_about=300)
        kept[name] = next(m.sigma for m in synth.fit(frame).transcript_.measurements if m.clique == ("age",))
    assert kept["wished"] < kept["plain"]
    with pytest.raises(SpecError, match="rows_about"):
        synthesizer(world, targets=[wished])


def test_every_fit_is_charged_and_the_third_is_refused(world, frame):
    synth = synthesizer(world).fit(frame)
    first = synth.entry_
    assert synth.fit(pa.Table.from_pandas(frame)).entry_ != first
    before = world.ledger_bytes()
    with pytest.raises(BudgetRefused):
        synth.fit(frame)
    assert world.ledger_bytes() == before
    assert len(synth.sample(3)) == 3


def test_a_synthesizer_takes_what_is_published(world, frame):
    """Counts to lean on, and the number of rows of a sample."""
    cells = world.spec().schema.domain.size["sex"]
    published = dp.PublicTable(("sex",), tuple(range(1, cells + 1)), "public: yearbook")
    synth = synthesizer(world, public=[published], rows=25, rows_source="public: yearbook").fit(frame)
    assert synth.spec.public == (published,)
    assert [fact.source for fact in synth.spec.stated() if "rows" in fact.what] == ["public: yearbook"]
    assert len(synth.sample()) == 25
    with pytest.raises(SpecError, match="public"):
        synthesizer(world, rows=25, rows_source="a colleague")


def test_a_synthesizer_takes_keywords_only_and_must_be_fitted(world):
    with pytest.raises(TypeError):
        dp.Synthesizer(world.spec().schema, dp.PrivacyUnit())
    with pytest.raises(ProtocolError, match="call fit"):
        synthesizer(world).sample(3)
    with pytest.raises(SpecError):
        synthesizer(world, epsilon="many")
    assert world.types() == []


def test_a_person_with_many_rows_counts_for_at_most_max_rows(tmp_path):
    """One of 40 people has 1,000 rows: with max_rows = 2 the table has at most 80, so the noisy total stays near that."""
    lines = [f"p{n},20" for n in range(39)] + ["p39,80"] * 1000 + [",80"] * 1000
    columns = {"age": {"kind": "integer", "min": 17, "max": 90, "bins": 2}}
    world = World.made(tmp_path, lines=lines, header="person,age", columns=columns)
    text = world.spec_file.read_text().replace("[unit]\n", '[unit]\nid = "person"\nmax_rows = 2\n')
    world.spec_file.write_text(text)
    release = dp.run(world.spec(), out=world.out)
    assert len(release.data) < 41 + 200
    assert "person" not in release.data.columns
    assert dp.verify(world.out, world.account).ok
    assert release.facts["unit"]["max_rows"] == 2
    assert not [name for name in world.out.iterdir() if b"p39" in name.read_bytes()]


def test_a_ledger_keeps_its_unit(tmp_path):
    world = World.made(tmp_path, opened=False)
    dp.Ledger.init(world.account, epsilon=LEDGER_EPSILON, delta=DELTA, unit="person", max_rows=2)
    with pytest.raises(BudgetRefused, match="protects the unit 'person'"):
        dp.run(world.spec(), out=world.out)
    assert world.types() == []
    assert not world.partial.exists()


def test_a_spec_text_needs_no_file(world):
    text = world.spec_file.read_text()
    assert dp.Spec.from_text(text, world.folder) == world.spec()
    assert toml({"a": {"b": "c"}}) == '[a]\nb = "c"\n'
