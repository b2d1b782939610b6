"""The strategies a spec can name."""

from dpsynth.errors import SpecError
from dpsynth.strategies.all_pairs import AllPairs
from dpsynth.strategies.independent import Independent
from dpsynth.strategies.mst import Mst
from dpsynth.strategies.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"all-pairs": AllPairs(), "independent": Independent(), "mst": Mst()}
DEFAULT_STRATEGY = "mst"


def strategy_named(name: str) -> Strategy:
    """The strategy of that name. Raises SpecError where there is none."""
    if name not in STRATEGIES:
        raise SpecError(f"synthesis.strategy must be one of {sorted(STRATEGIES)}, got {name!r}")
    return STRATEGIES[name]
