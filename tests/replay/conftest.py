import pytest

from tests.stories.world import World

KINDS = [("all-pairs", "csv"), ("mst", "csv"), ("mst", "parquet"), ("independent", "csv"), ("independent", "parquet"), ("aim", "csv")]


@pytest.fixture(scope="session", params=KINDS, ids=" ".join)
def release(request, tmp_path_factory):
    """A finished release for each strategy and file format, with its source removed."""
    strategy, file_format = request.param
    world = World.made(tmp_path_factory.mktemp(strategy), strategy=strategy, format=file_format, seed=5)
    assert world.run().exit_code == 0
    world.source.unlink()
    return world
