import pytest

from tests.stories.world import World, tree


@pytest.fixture
def world(tmp_path):
    """A table, a spec and an open ledger; nothing was spent."""
    return World.made(tmp_path)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A world with one release in `out`, for tests that only read it; their reading must leave it as it was."""
    world = World.made(tmp_path_factory.mktemp("released"))
    assert world.run().exit_code == 0
    before = tree(world.folder)
    yield world
    after = tree(world.folder)
    assert {name: after.get(name) for name in before if "report" not in name} == {n: b for n, b in before.items() if "report" not in n}
