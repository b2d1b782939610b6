"""Public tables from the spec to the records: free, in the certificate, replayed; what does not fit is refused uncharged."""

import json

import pytest

from dpsynth.spec import Spec
from tests.stories.world import World, dpsynth, tree

PUBLIC = """
[[public]]
columns = ["sex", "age"]
counts = "census.csv"
source = "public: a census"

[[public]]
columns = ["code"]
counts = "codes.csv"
source = "public: a code book"
"""
CENSUS = "age,sex,count\n" + "".join(f"{age},{sex},{100 + age}\n" for age in range(20, 90, 5) for sex in "FM")


def world_with(folder, public=PUBLIC, census=CENSUS, **settings):
    world = World.made(folder, strategy="all-pairs", **settings)
    world.spec_file.write_text(world.spec_file.read_text(encoding="utf-8") + public, encoding="utf-8")
    (folder / "census.csv").write_text(census, encoding="utf-8")
    (folder / "codes.csv").write_text("code,count\n0,10\n3,30\n", encoding="utf-8")
    return world


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    world = world_with(tmp_path_factory.mktemp("public"))
    assert world.run().exit_code == 0
    for name in ("census.csv", "codes.csv", "people.csv"):
        (world.folder / name).unlink()
    return world


def test_a_bundle_holds_its_public_tables_and_replays_without_their_files(release):
    facts = release.facts()
    assert [table["columns"] for table in facts["public"]] == [["age", "sex"], ["code"]]
    assert facts["public"][1]["counts"] == [10, 0, 0, 30]
    result = dpsynth("verify", release.out, "--ledger", release.account, "--replay")
    assert result.exit_code == 0, result.stdout
    assert "byte for byte" in result.stdout


def test_certificate_and_report_list_them_with_their_source(release):
    assert "the public table of age x sex, which noisy tables are shrunk to (public: a census)" in release.facts()["unprotected"]
    assert "public table of age x sex" in (release.out / "report.html").read_text(encoding="utf-8")


def test_they_cost_nothing_and_change_no_question(tmp_path):
    plans = [dpsynth("plan", world_with(tmp_path / name, public).spec_file).stdout for name, public in (("with", PUBLIC), ("without", ""))]
    assert plans[0] == plans[1]


def test_they_change_the_model_and_the_spec_reads_its_own_facts_back(release, tmp_path):
    spec = world_with(tmp_path, opened=False).spec()
    again = Spec.from_facts(json.loads(json.dumps(spec.facts())))
    assert again.public == spec.public
    assert again.facts() == spec.facts()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"census": "age,sex,count\n30,X,5\n"}, "census.csv, line 2: column 'sex' does not list 'X'"),
        ({"public": PUBLIC.replace('"public: a census"', '"the rows"')}, "say where the table is published"),
        ({"public": PUBLIC + PUBLIC[: PUBLIC.index("[[public]]", 5)]}, "twice"),
        ({"public": PUBLIC.replace("census.csv", "none.csv")}, "cannot be read"),
        ({"public": PUBLIC.replace("counts =", "table =")}, "has an unknown key 'table'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_charged(tmp_path, change, words):
    world = world_with(tmp_path, **change)
    before = tree(world.folder)
    result = world.run()
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert tree(world.folder) == before


def test_other_strategies_refuse_them(tmp_path):
    world = world_with(tmp_path)
    world.spec_file.write_text(world.spec_file.read_text(encoding="utf-8").replace('"all-pairs"', '"mst"'), encoding="utf-8")
    result = world.run()
    assert result.exit_code == 2
    assert "'maxent' does not take them" in " ".join(result.stderr.split())
