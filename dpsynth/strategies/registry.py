"""The strategies a spec can name."""

from collections.abc import Callable

from dpsynth.errors import SpecError
from dpsynth.strategies.all_pairs import AllPairs
from dpsynth.strategies.independent import Independent
from dpsynth.strategies.mst import Mst
from dpsynth.strategies.strategy import Strategy
from dpsynth.wishes import NO_WISHES, Wishes

STRATEGIES: dict[str, Callable[[Wishes], Strategy]] = {"all-pairs": AllPairs, "independent": Independent, "mst": Mst}
DEFAULT_STRATEGY = "all-pairs"


def strategy_named(name: str, wishes: Wishes = NO_WISHES) -> Strategy:
    """The strategy of that name, for these wishes. Raises SpecError where there is none."""
    if name not in STRATEGIES:
        raise SpecError(f"synthesis.strategy must be one of {sorted(STRATEGIES)}, got {name!r}")
    return STRATEGIES[name](wishes)
