"""What needs a server: PostgreSQL and Spark. `make test-engines` asks for it; other test runs pass it by."""

import os

import pytest

if not os.environ.get("DPSYNTH_TEST_SERVERS"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    from tests.servers.postgres_server import PostgresServer

    with PostgresServer.started() as server, pytest.MonkeyPatch.context() as environment:
        for name, value in server.environment().items():
            environment.setenv(name, value)
        yield server


@pytest.fixture(scope="session")
def spark():
    """The session that engines find, so that none is started by them."""
    from dpsynth.engines.spark import SparkSession
    from dpsynth.location import Address

    session = SparkSession.connect(Address("spark", "local"))
    session._spark.conf.set("spark.sql.codegen.wholeStage", "false")  # tables of a hundred rows are not worth compiling for
    yield session
    session.stop()
