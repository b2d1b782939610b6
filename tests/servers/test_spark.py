"""Spark against the contract of every engine: local mode, on Parquet files that are gone once they were read."""

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from dpsynth.engines.portable import cuts_of
from dpsynth.engines.reader import open_engine
from dpsynth.engines.source import open_source
from dpsynth.engines.spark import SparkDialect
from dpsynth.engines.texts import array_texts
from dpsynth.errors import SourceError, SpecError
from dpsynth.kinds import Categorical, Integer, Number
from dpsynth.privacy import PrivacyUnit
from dpsynth.schema import Schema
from tests.contracts.engine_contract import KEY, ONE_ROW_ONE_PERSON, WIDE, EngineContract, cliques_up_to, people, same
from tests.engines.test_contract import arrow_table, columns_of
from tests.engines.test_portable import cells_sql, disagreements
from tests.engines.test_sql import HARD, RULES
from tests.servers.test_postgres import TYPED

pytestmark = [pytest.mark.usefixtures("spark"), pytest.mark.filterwarnings("ignore::ResourceWarning")]
HERE = "spark://local"


def source_of(table, folder):
    parquet.write_table(table, folder / "people.parquet", row_group_size=50)
    return open_source(HERE, table=f'parquet."{folder / "people.parquet"}"')


class TestSpark(EngineContract):
    def build(self, rows, schema, unit, key, folder, threads=None):
        source = source_of(arrow_table(rows, columns_of(rows, schema, unit)), folder)
        engine = open_engine(source, schema, unit, key=key)
        (folder / "people.parquet").unlink()  # what was opened is never read again
        return engine


def test_the_cluster_computes_what_the_rules_say(tmp_path):
    source_of(arrow_table(people(10), list(people(1)[0])), tmp_path).check(WIDE, PrivacyUnit(id="who"))


SPARK_TYPES = [kind for kind in TYPED if kind not in ("time", "char(9)")]


@pytest.mark.parametrize("kind", SPARK_TYPES)
def test_typed_columns_have_the_texts_of_parquet(kind, tmp_path):
    arrow, values = TYPED[kind]
    table = pa.table({"x": pa.array(values, arrow)})
    texts = sorted({text.strip() for text in array_texts(table["x"]).to_pylist() if text and text.strip()})
    schema = Schema((Categorical(name="x", values=tuple(texts), missing=True),))
    there = open_engine(source_of(table, tmp_path), schema, ONE_ROW_ONE_PERSON).counts([("x",)])
    assert same(there, open_engine(open_source(table), schema, ONE_ROW_ONE_PERSON).counts([("x",)]))


def test_types_without_a_text_are_named_and_refused(tmp_path):
    source = source_of(pa.table({"x": pa.array([[1], [2]]), "y": pa.array([b"1", None])}), tmp_path)
    for name in "xy":
        with pytest.raises(SpecError, match=f"'{name}'.*a view that casts"):
            source.check(Schema((Integer(name=name, least=0, most=9, bins=10),)), ONE_ROW_ONE_PERSON)


def test_spark_leaves_no_folder_where_the_user_stands():
    assert not Path("spark-warehouse").exists()


def test_a_table_that_is_not_there_is_refused_without_sparks_words(tmp_path):
    with pytest.raises(SourceError, match="no table") as caught:
        open_source(HERE, table="nobody.here")
    assert caught.value.__context__ is None


def test_labels_of_odd_letters_stay_labels(tmp_path):
    """Spark's texts know escapes, and its queries variables."""
    odd = ("${spark.app.name}", "\\", "\\n", "\\u0041", "'", "''", "`", "%s", "{x}", "a\tb", "\U0001f600", "é")
    schema = Schema((Categorical(name="${x} `y`", values=tuple(text for text in odd if text.isprintable())),))
    table = pa.table({"${x} `y`": [text for text in odd if text.isprintable()]})
    source = source_of(table, tmp_path)
    source.check(schema, ONE_ROW_ONE_PERSON)
    (count,) = open_engine(source, schema, ONE_ROW_ONE_PERSON).counts([("${x} `y`",)])
    assert count.tolist() == [1] * (len(odd) - 1) + [0]


def test_closing_leaves_nothing_on_the_cluster(spark, tmp_path):
    before = len(spark._persistent())
    engine = open_engine(source_of(arrow_table(people(20), list(people(1)[0])), tmp_path), WIDE, PrivacyUnit(id="who"), key=KEY)
    engine.counts(cliques_up_to(WIDE, 1))
    assert len(spark._persistent()) > before
    engine.close()
    assert len(spark._persistent()) == before


SEARCHED = {name: rule for name, rule in RULES.items() if cuts_of(rule) <= SparkDialect.most_cuts}


def test_columns_of_more_bins_than_a_query_holds_are_refused_before_the_charge(tmp_path):
    source = source_of(pa.table({"x": [1.0, 2.0]}), tmp_path)
    for bins in (SparkDialect.most_cuts + 1, SparkDialect.most_cuts + 2):
        schema = Schema((Number(name="x", least=Decimal(0), most=Decimal(1), bins=bins),))
        if bins == SparkDialect.most_cuts + 1:
            source._refuse_long(schema)
            continue
        with pytest.raises(SpecError, match=r"'x'.*has 4098 bins: at most 4097"):
            source.check(schema, ONE_ROW_ONE_PERSON)


@pytest.mark.parametrize("rule", SEARCHED.values(), ids=SEARCHED)
def test_every_hard_text_gets_the_cell_of_the_reference(rule, spark, tmp_path):
    parquet.write_table(pa.table({"text": pa.array(HARD, pa.string()), "place": range(len(HARD))}), tmp_path / "t.parquet")
    query = cells_sql(rule, f"SELECT text, place FROM parquet.`{tmp_path / 't.parquet'}`", SparkDialect())
    assert disagreements(rule, HARD, *spark.counts(query)) == []
