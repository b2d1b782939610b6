"""Addresses of databases: what they mean, and that no secret in one is ever shown."""

import pytest

from dpsynth.errors import SpecError
from dpsynth.location import Address, address, is_address, refuse_secrets, table_names

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("postgres://", Address("postgres")),
        ("postgresql:///clinic", Address("postgres", database="clinic")),
        ("POSTGRES://ann@db.example.org:5433/clinic", Address("postgres", "db.example.org", 5433, "ann", "clinic")),
        ("postgres://[::1]:5433/a%20b", Address("postgres", "::1", 5433, "", "a b")),
        ("spark://", Address("spark")),
        ("spark://local", Address("spark", "local")),
        ("spark://master:7077", Address("spark", "master", 7077)),
        ("env://CLINIC_URL", Address("env", variable="CLINIC_URL")),
        ("mysql://ann@db:3306/clinic", Address("ibis", "db", 3306, "ann", "clinic", url="mysql://ann@db:3306/clinic")),
        ("sqlite:///data/t.db", Address("ibis", database="data/t.db", url="sqlite:///data/t.db")),
    ],
)
def test_an_address_says_what_it_says_and_leaves_the_rest_open(source, meant):
    assert is_address(source)
    refuse_secrets(source)
    assert address(source) == meant


WITH_A_SECRET = [
    "postgres://ann:s3cret@db/clinic",
    "postgres://:s3cret@db/clinic",
    "postgres://ann:@db/s3cret",
    "postgres://db/clinic?password=s3cret",
    "postgres://db/clinic?sslmode=require&x=s3cret",
    "postgres://db/clinic#s3cret",
    "postgres://db:s3cret/clinic",
    "postgres://[s3cret/clinic",
    "postgres://db:99999/s3cret",
    "postgres://db/s3cret%00",
    "mysql://ann:s3cret@db/clinic",
    "jdbc:postgresql://db/clinic?user=ann&password=s3cret",
    "ann:s3cret://db",
    "http://s3cret@example.org/t.csv",
    "spark://s3cret@master:7077",
    "spark://master/s3cret",
    "env://postgres://ann:s3cret@db/clinic",
    "env://s3cret!",
    "env://",
    "snowflake://ann@account/clinic?token=s3cret",
    "host=db user=ann password=s3cret",
    "Server=db;Uid=ann;Pwd=s3cret",
    "ann:s3cret@db/clinic",
]


@pytest.mark.parametrize("source", WITH_A_SECRET)
def test_a_secret_is_refused_and_not_shown(source):
    with pytest.raises(SpecError) as caught:
        refuse_secrets(source)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("source", ["t.csv", "a b/*.parquet", "passwords.csv", "C:\\data\\t.csv", "mail@home.csv", "/data/tokens/t.duckdb"])
def test_paths_are_no_addresses(source):
    assert not is_address(source)
    refuse_secrets(source)


def test_another_scheme_is_named_with_what_is_allowed():
    with pytest.raises(SpecError, match=r"begins with 'mongodb': it must be a file, a glob, postgres://.*spark://.*env://NAME"):
        address("mongodb://db/clinic")


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("people", ("people",)),
        ("public.people", ("public", "people")),
        ("a.b.c", ("a", "b", "c")),
        ('"my.schema"."it""s"', ("my.schema", 'it"s')),
        ('parquet."/data/x y.parquet"', ("parquet", "/data/x y.parquet")),
    ],
)
def test_names_of_tables(table, names):
    assert table_names(table) == names


@pytest.mark.parametrize("table", ["", ".", "a.", ".a", "a..b", "a.b.c.d", '"a', 'a"b', '""', "a\nb", '"a"b'])
def test_what_is_no_name_of_a_table_is_refused(table):
    with pytest.raises(SpecError, match=r"data\.table"):
        table_names(table)
