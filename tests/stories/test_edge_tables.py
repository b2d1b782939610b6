"""The smallest and oddest tables, end to end."""

import csv
import io
from dataclasses import replace

import pandas as pd
import pytest

from dpsynth import api, pipeline
from dpsynth.transcript import Answer, Transcript
from tests.stories.world import COLUMNS, World, dpsynth, people

ODD = {
    "a b": {"kind": "boolean"},
    "it's": {"kind": "code", "size": 3},
    'say "hi"': {"kind": "categorical", "values": ["yes, please", 'no "thanks"', "it's", "a=b", "NA", "007"]},
    "x,y;z": {"kind": "integer", "min": -3, "max": 3, "bins": 7},
    "größe=日本": {"kind": "number", "min": -1.5, "max": 1.5, "bins": 3, "decimals": 1},
    "<script>alert(1)</script>": {"kind": "code", "size": 2},
    "t'); DROP TABLE coded; --": {"kind": "boolean", "missing": True},
    "../../etc/passwd": {"kind": "code", "size": 2},
    "c0": {"kind": "code", "size": 2},
    "unit": {"kind": "code", "size": 2},
    "=cmd|' /C calc'!A0": {"kind": "code", "size": 2},
}


def finished(world):
    """The release of a run that worked and verifies."""
    result = world.run()
    assert result.exit_code == 0, result.stderr
    assert world.verify().exit_code == 0
    assert dpsynth("report", world.out).exit_code == 0
    return api.Release.open(world.out)


@pytest.mark.parametrize("strategy", ["aim", "mst", "independent"])
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_tables_of_hardly_any_row(tmp_path, strategy, rows):
    world = World.made(tmp_path, lines=list(people(rows)), strategy=strategy)
    release = finished(world)
    assert list(release.data.columns) == list(COLUMNS)
    assert len(release.data) < 500
    assert len(release.sample(10)) == 10


@pytest.mark.parametrize("ending", ["\n", "", "\r\n", "\n\n\n"])
def test_a_header_alone_is_an_empty_table(tmp_path, ending):
    world = World.made(tmp_path)
    world.source.write_bytes((",".join(COLUMNS) + ending).encode())
    finished(world)


@pytest.mark.parametrize("names", [["sex"], ["job"], ["member"], ["age", "sex"], ["code", "member"]], ids=" ".join)
@pytest.mark.parametrize("strategy", ["aim", "mst", "independent"])
def test_tables_of_one_and_two_columns(tmp_path, names, strategy):
    world = World.made(tmp_path, columns={name: COLUMNS[name] for name in names}, strategy=strategy)
    release = finished(world)
    assert list(release.data.columns) == names
    assert len(release.data) == world.facts()["synthesis"]["rows"]  # a missing value alone on its line is a line too
    assert list(release.sample(10).columns) == names


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_no_records_where_the_spec_asks_for_none(tmp_path, file_format):
    world = World.made(tmp_path, rows=0, format=file_format)
    release = finished(world)
    assert len(release.data) == 0
    assert list(release.data.columns) == list(COLUMNS)
    assert len(release.sample(7)) == 7


def negative(transcript):
    """The same answers with every count below zero."""
    exchanges = []
    for exchange in transcript.exchanges:
        tables = tuple(replace(m, values=-abs(m.values) - 5) for m in exchange.answer.measurements)
        exchanges.append(replace(exchange, answer=Answer(tables, exchange.answer.selected)))
    return Transcript(tuple(exchanges))


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_noisy_total_below_zero_gives_no_records(tmp_path, monkeypatch, file_format):
    world = World.made(tmp_path, strategy="independent", format=file_format)
    real = pipeline.measure
    monkeypatch.setattr(pipeline, "measure", lambda *arguments: negative(real(*arguments)))
    release = finished(world)
    assert len(release.data) == 0
    assert world.facts()["synthesis"]["rows"] == 0
    assert list(release.data.columns) == list(COLUMNS)
    assert len(release.sample(5)) == 5


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A release of a table whose names attack CSV, HTML, SQL and the file system."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([["true", 1, "yes, please", 2, 0.4, 1, "false", 1, 0, 1, 1], ["false", 2, "it's", -3, -1.5, 0, "", 0, 1, 0, 0]] * 80)
    header = io.StringIO()
    csv.writer(header, lineterminator="").writerow(ODD)
    lines, folder = text.getvalue().splitlines(), tmp_path_factory.mktemp("odd")
    world = World.made(folder, lines=lines, header=header.getvalue(), columns=ODD, epsilon=1.5)
    finished(world)
    return world


def test_odd_names_come_back_as_they_were(odd):
    release = api.Release.open(odd.out)
    assert list(release.data.columns) == list(ODD)
    assert list(pd.read_csv(odd.out / "synthetic.csv").columns) == list(ODD)
    assert abs((release.data["x,y;z"] == 2).sum() - 80) < 80


def test_odd_names_are_text_in_the_report(odd):
    page = (odd.out / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    ("where", "column", "value"),
    [
        ("größe=日本=0.4", "größe=日本", 0.4),
        ('say "hi"=a=b', 'say "hi"', "a=b"),
        ('say "hi"=007', 'say "hi"', "007"),
        ('say "hi"=NA', 'say "hi"', "NA"),
        ("it's=2", "it's", 2),
        ("t'); DROP TABLE coded; --=", "t'); DROP TABLE coded; --", None),
        ("=cmd|' /C calc'!A0=1", "=cmd|' /C calc'!A0", 1),
    ],
)
def test_odd_names_and_values_can_be_asked_for(odd, tmp_path, where, column, value):
    result = dpsynth("sample", odd.out, "--rows", 10, "--out", tmp_path / "x.csv", "--where", where)
    assert result.exit_code == 0, result.stderr
    records = pd.read_csv(tmp_path / "x.csv", dtype={'say "hi"': str}, keep_default_na=False, na_values=[""])
    assert records[column].isna().all() if value is None else records[column].tolist() == [value] * 10


@pytest.mark.parametrize("labels", [["1", "007", "1.50"], ["True", "False"], ["NA", "nan", "null", "-"], ["1e5", "inf"]], ids=" ".join)
def test_labels_that_look_like_numbers_or_nothing_stay_labels(tmp_path, labels):
    label = {"kind": "categorical", "values": labels, "missing": True, "other": False}
    columns = {"label": label, "code": {"kind": "code", "size": 2}}
    world = World.made(tmp_path, lines=[f"{label},1" for label in [*labels, ""] * 150], header="label,code", columns=columns, epsilon=1.5)
    release = finished(world)
    assert set(release.data["label"].dropna()) == set(labels)
    assert release.data["label"].isna().any()
    assert release.data["code"].dtype == "int64"
    assert set(release.sample(500)["label"].dropna()) == set(labels)


def test_every_kind_keeps_its_type_on_the_way(tmp_path):
    world = World.made(tmp_path, format="parquet")
    release = finished(world)
    kinds = {name: str(dtype) for name, dtype in release.data.dtypes.items()}
    assert (kinds["age"], kinds["code"], kinds["score"], kinds["member"]) == ("int64", "int64", "float64", "boolean")
    drawn = release.sample(50)
    assert {name: str(dtype) for name, dtype in drawn.dtypes.items() if name not in ("sex", "job")} == {
        name: kind for name, kind in kinds.items() if name not in ("sex", "job")
    }
    assert release.data["age"].between(17, 90).all()
    assert release.data["score"].between(0, 10).all()


def test_values_outside_the_schema_go_where_it_says(tmp_path):
    lines = ["-5,X,baker,9,99,maybe"] * 400
    world = World.made(tmp_path, lines=lines, epsilon=1.5, strategy="independent", rows=1000)
    data = finished(world).data
    assert (data["age"] < 27).mean() > 0.7
    assert (data["score"] >= 8).mean() > 0.7
    assert (data["job"] == "other").mean() > 0.7
    assert (data["code"] == 0).mean() > 0.7
    assert data["member"].isna().mean() > 0.7


def test_gzip_and_globs_are_read(tmp_path):
    import gzip

    world = World.made(tmp_path)
    header, *rows = world.source.read_text().splitlines()
    for number, part in enumerate((rows[:100], rows[100:])):
        (tmp_path / f"part-{number}.csv.gz").write_bytes(gzip.compress("\n".join([header, *part, ""]).encode()))
    world.source.unlink()
    world.spec_file.write_text(world.spec_file.read_text().replace("people.csv", "part-*.csv.gz"))
    assert abs(len(finished(world).data) - 300) < 200


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_the_estimator_of_private_pgm_makes_a_release(tmp_path):
    columns = {name: COLUMNS[name] for name in ("sex", "job", "member")}
    world = World.made(tmp_path, columns=columns, estimator="private-pgm")
    release = finished(world)
    assert release.facts["synthesis"]["estimator"] == release.facts["fit"]["estimator"] == "private-pgm"
    assert set(release.sample(20, where={"sex": "F"})["sex"]) == {"F"}
