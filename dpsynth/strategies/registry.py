"""The strategies a spec can name."""

from collections.abc import Callable

from dpsynth.errors import SpecError
from dpsynth.inference.zeros import Zeros
from dpsynth.strategies.aim import Aim
from dpsynth.strategies.all_pairs import AllPairs
from dpsynth.strategies.independent import Independent
from dpsynth.strategies.mst import Mst
from dpsynth.strategies.penalty import DEFAULT_PENALTY
from dpsynth.strategies.strategy import Strategy
from dpsynth.wishes import NO_WISHES, Wishes
from dpsynth.workload import Workload

STRATEGIES: dict[str, Callable[[Wishes, Workload | None, Zeros, str], Strategy]] = {
    "aim": Aim,
    "all-pairs": lambda wishes, workload, *_: AllPairs(wishes, workload),  # only a tree grows with the columns that zeros join
    "independent": lambda wishes, workload, *_: Independent(wishes, workload),
    "mst": lambda wishes, workload, zeros, _: Mst(wishes, workload, zeros),
}
DEFAULT_STRATEGY = "all-pairs"


def strategy_named(
    name: str, wishes: Wishes = NO_WISHES, workload: Workload | None = None, zeros: Zeros = (), penalty: str | None = None
) -> Strategy:
    """The strategy of that name, for these wishes, this workload (None: all marginals of up to two columns) and structural zeros.

    penalty: of candidates of `aim` for the noise they would get; None: its default. Raises SpecError where there is none.
    """
    if name not in STRATEGIES:
        raise SpecError(f"synthesis.strategy must be one of {sorted(STRATEGIES)}, got {name!r}")
    return STRATEGIES[name](wishes, workload, zeros, penalty or DEFAULT_PENALTY)
