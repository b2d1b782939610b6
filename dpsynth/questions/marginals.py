"""Tables with noise in each cell."""

from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from operator import add

from dpsynth import canonical
from dpsynth.domain import Clique
from dpsynth.errors import SpecError
from dpsynth.privacy import NOTHING, PrivacyUnit, Rho, gaussian_rho
from dpsynth.questions.scale import LEAST_GAUSSIAN_SCALE, check_scale, exact_float


@dataclass(frozen=True)
class MarginalQuestion:
    """Noisy marginals of several cliques, the noise of each with its own standard deviation in rows."""

    cliques: tuple[Clique, ...]
    sigmas: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cliques", tuple(map(tuple, self.cliques)))
        object.__setattr__(self, "sigmas", tuple(map(exact_float, self.sigmas)))
        if len(self.cliques) != len(self.sigmas):
            raise SpecError(f"a sigma is needed for each clique, got {len(self.cliques)} cliques and {len(self.sigmas)} sigmas")
        for clique, sigma in zip(self.cliques, self.sigmas, strict=True):
            check_scale(sigma, f"sigma of {list(clique)}")

    def cost(self, unit: PrivacyUnit) -> Rho:
        """Sum over cliques of the cost of their noise: all k rows of a unit may share a cell."""
        return reduce(add, (gaussian_rho(unit.max_rows, Fraction(sigma)) for sigma in self.sigmas), NOTHING)

    def delta(self, unit: PrivacyUnit) -> Fraction:
        """It gives nothing away beyond its cost."""
        return Fraction(0)

    def gaussian(self) -> bool:
        """Whether it can be accounted as Gaussian differential privacy."""
        return all(sigma >= LEAST_GAUSSIAN_SCALE for sigma in self.sigmas)

    def digest(self) -> str:
        """Names this question: equal questions have equal digests."""
        sigmas = [canonical.rational_text(Fraction(sigma)) for sigma in self.sigmas]
        return canonical.digest(["marginals", list(map(list, self.cliques)), sigmas])
