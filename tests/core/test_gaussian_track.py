"""Gaussian differential privacy of discrete noise: the theorem's statement and steps by certified bounds, charges by enumeration, delta."""

import math
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.special import ndtri_exp
from scipy.stats import norm

from dpsynth.core.accountant import admits, allows, claimed, epsilon_of, gaussian_delta, guarantee_for
from dpsynth.errors import SpecError
from dpsynth.normal import CONVERGENT, mills
from dpsynth.privacy import GDP, ZCDP, Rho, gaussian_rho
from dpsynth.verify import verify
from tests.core.normal import ABOVE, DOWN, UP, decimals, density, exponential, upper_tail

SCALES = {"1": 20, "3/2": 20, "2": 20, "5": 20, "20": 9, "94": 8}
"""Scale -> how many scales out cells are looked at one by one; those beyond are the theorem's."""
TINY = Fraction(1, 10**11)


def squared_mu(scale):
    """What one step is charged for."""
    return 2 * gaussian_rho(1, Fraction(scale)).value


def survivals(scale, cells):
    """(below, above) of P(Z >= j) for j = 1, ..., cells."""
    end = cells + math.ceil(25 * scale)
    kernel = [exponential(Fraction(-i * i) / (2 * scale**2)) for i in range(end + 1)]
    above = UP.multiply(kernel[-1][1], Decimal(1000 * math.ceil(scale)))  # all beyond the end: a geometric series
    sums = [(Decimal(0), above)]
    for below, over in reversed(kernel[1:]):
        sums.append((DOWN.add(sums[-1][0], below), UP.add(sums[-1][1], over)))
    sums.reverse()  # sums[j - 1] is over i >= j
    whole = DOWN.add(1, 2 * sums[0][0]), UP.multiply(UP.add(1, 2 * sums[0][1]), ABOVE)
    return [(DOWN.divide(low, whole[1]), UP.divide(high, whole[0])) for low, high in sums[:cells]]


def quantile(survival):
    """Rationals (below, above) of the t with 1 - Phi(t) = survival: guessed in floats, then certified."""
    guess = Fraction(float(-ndtri_exp(float(survival[0].ln()))))
    low, high = guess * (1 - TINY), guess * (1 + TINY)
    assert upper_tail(low)[0] >= survival[1]
    assert upper_tail(high)[1] <= survival[0]
    return low, high


def gaps(scale, cells):
    """(below, above) of the gaps t_1 - t_0, t_2 - t_1, ...; t_(1-j) = -t_j, so that the others are the same."""
    places = [quantile(survival) for survival in survivals(scale, cells)]
    return [(2 * places[0][0], 2 * places[0][1]), *((b[0] - a[1], b[1] - a[0]) for a, b in pairwise(places))]


@pytest.mark.parametrize(("scale", "reach"), SCALES.items())
def test_no_gap_of_the_discrete_gaussian_is_wider_than_mu(scale, reach):
    scale = Fraction(scale)
    found = gaps(scale, math.ceil(reach * scale))
    assert all(high**2 <= squared_mu(scale) for _, high in found)
    assert all(low <= found[0][1] for low, _ in found)  # none is surely wider than the middle one, around 0
    assert found[0][0] > 1 / scale  # so that as much as Gaussian noise of that scale would be a false claim


def test_one_percent_less_would_be_a_false_claim():
    (low, _), *_ = gaps(Fraction(1), 2)
    assert low**2 > squared_mu(1) * Fraction(99, 100) ** 2


def test_below_a_scale_of_one_the_charge_would_be_too_small():
    (low, _), *_ = gaps(Fraction(1, 2), 2)
    assert low**2 > squared_mu(Fraction(1, 2))


def test_the_rational_mu_satisfies_the_theorems_inequality():
    for x in (Fraction(n, 200) for n in range(1, 201)):  # x = 1 / scale^2
        y = x * (1 + x / 9)
        above_one = x / 36 - x**2 / 54 - x**3 / 972
        assert (1 + x / 9) * (1 - x / 12 - x**2 / 108) == 1 + above_one
        assert above_one > 0
        left = DOWN.divide(decimals(y)[0], UP.subtract(1, exponential(-y)[0]))
        assert left >= exponential(x / 2)[1]
    assert Fraction(1, 36) - Fraction(1, 54) - Fraction(1, 972) > 0  # above_one / x falls with x, and is above 0 up to 1


def mass(centre, width):
    """(below, above) of the standard normal mass of an interval."""
    ends = [centre - width / 2, centre + width / 2]
    (a, b), (c, d) = (upper_tail(abs(end)) for end in ends)
    if ends[0] < 0:  # 1 - Q(|x|) - Q(y)
        return DOWN.subtract(DOWN.subtract(1, b), d), UP.subtract(UP.subtract(1, a), c)
    return DOWN.subtract(a, d), UP.subtract(b, c)


@pytest.mark.parametrize("width", ["1/20", "1/3", "1", "21/20", "3/2"])
def test_neighbouring_normal_masses_fall_at_least_as_the_lemma_says(width):
    g = Fraction(width)
    most = UP.divide(UP.subtract(1, exponential(-g * g)[0]), decimals(g * g)[0])
    for c in (Fraction(n, 8) for n in range(40)):
        low, middle, high = (mass(abs(c + shift), g) for shift in (-g, 0, g))
        ratio = UP.divide(UP.multiply(low[1], high[1]), DOWN.multiply(middle[0], middle[0]))
        assert ratio <= UP.multiply(most, most)
        assert ratio > exponential(-g * g)[0]  # what Gaussian noise itself would give: the lemma gives little away


def trade_off(moves, scale):
    """(type I errors, type II errors) of the best tests between independent noise and the same moved, by enumeration."""
    axis = np.arange(-12 * math.ceil(scale), 12 * math.ceil(scale) + 1)
    p, log_ratio = np.ones(1), np.zeros(1)
    for move in moves:
        kernel = np.exp(-(axis**2) / (2 * scale**2))
        p = np.outer(p, kernel / kernel.sum()).ravel()
        log_ratio = np.add.outer(log_ratio, (2 * axis * move - move**2) / (2 * scale**2)).ravel()
    order = np.argsort(-log_ratio)
    q = p * np.exp(log_ratio)
    return np.cumsum(p[order]), 1 - np.cumsum(q[order])


MOVES = [move for move in product(range(4), repeat=2) if 0 < sum(move) <= 3]


@pytest.mark.parametrize("scale", [1.0, 1.5, 4.0])
def test_a_unit_that_moves_several_cells_by_several_steps_is_within_the_charge(scale):
    for moves in MOVES:
        mu = math.sqrt(2 * float(gaussian_rho(sum(moves), Fraction(scale)).value))
        first, second = trade_off(moves, scale)
        allowed = norm.cdf(norm.isf(np.clip(first, 1e-300, 1 - 1e-15)) - mu)
        assert np.all(second >= allowed - 1e-11)
        if max(moves) == sum(moves):  # in one cell the charge is reached up to its factor: 10 % less is too little at some error
            assert np.any(second < norm.cdf(norm.isf(np.clip(first, 1e-9, 1 - 1e-9)) - 0.9 * mu) - 1e-6)


@pytest.mark.parametrize("z", [2, 3, 10])
def test_convergents_close_in_on_mills_ratio_from_the_sides_that_the_bound_takes(z):
    lower, upper = ([mills(Decimal(z), n) for n in range(start, start + 8, 2)] for start in (2, 1))
    low, high = (bound / ratio for bound, ratio in zip(upper_tail(Fraction(z)), density(Fraction(z)), strict=True))
    assert sorted(lower) == lower
    assert sorted(upper)[::-1] == upper
    assert lower[-1] < low <= high < upper[-1]
    assert 0 <= mills(Decimal(z), CONVERGENT + 1) / mills(Decimal(z), CONVERGENT) - 1 < Decimal("1e-32")
    assert CONVERGENT % 2 == 0


MUS = ["1/1000", "1/20", "3/10", "1", "3", "12"]
EPSILONS = ["1/1000", "1/10", "1", "7/2", "20", "500"]


def true_delta(mu, epsilon):
    """(below, above) of Phi(-a) - exp(epsilon) Phi(-b)."""
    a, b = epsilon / mu - mu / 2, epsilon / mu + mu / 2
    near, far, factor = upper_tail(a), upper_tail(b), exponential(epsilon)
    return DOWN.subtract(near[0], UP.multiply(factor[1], far[1])), UP.subtract(near[1], DOWN.multiply(factor[0], far[0]))


@pytest.mark.parametrize("mu", MUS)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_delta_is_never_below_the_true_one_and_not_by_much_above(mu, epsilon):
    mu, epsilon = Fraction(mu), Fraction(epsilon)
    found = gaussian_delta(mu**2 / 2, epsilon)
    if epsilon / mu - mu / 2 < 2:
        assert found is None
        return
    low, high = true_delta(mu, epsilon)
    if high < Decimal("1e-3000"):
        assert found < Decimal("1e-2990")
        return
    assert low <= found <= high * (1 + Decimal("1e-15"))
    if high > Decimal("1e-290"):
        a, b = (float(epsilon / mu + sign * mu / 2) for sign in (-1, 1))
        assert float(found) == pytest.approx(norm.sf(a) - math.exp(float(epsilon) + norm.logsf(b)), rel=1e-6)


@pytest.mark.parametrize("mu", MUS)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_the_verifier_draws_the_same_line(mu, epsilon):
    rho, epsilon = Fraction(mu) ** 2 / 2, Fraction(epsilon)
    found = gaussian_delta(rho, epsilon)
    if found is None:
        assert not verify.gaussian_within(rho, epsilon, Fraction(1, 2))
    elif found > Decimal("1e-3000"):
        assert verify.gaussian_within(rho, epsilon, Fraction(found) * (1 + Fraction(1, 10**70)))
        assert not verify.gaussian_within(rho, epsilon, Fraction(found) * (1 - Fraction(1, 10**50)))


CLAIMS = [(e, d) for e in ("0.1", "1", "4", "32") for d in ("1e-5", "1e-9", "1e-30")]


@pytest.mark.parametrize(("epsilon", "delta"), CLAIMS)
def test_the_track_buys_more_than_zcdp_and_says_what_zcdp_alone_would_prove(epsilon, delta):
    alone, claim = (guarantee_for(Fraction(epsilon), Fraction(delta), track) for track in (ZCDP, GDP))
    assert (claim.track, alone.track) == (GDP, ZCDP)
    assert alone.zcdp_epsilon == alone.epsilon == claim.epsilon < claim.zcdp_epsilon
    assert 1.02 < claim.rho.value / alone.rho.value < 1.25
    assert admits(claim.rho.value, claim.epsilon, claim.delta) is None
    assert verify.delta_bound(claim.alpha, claim.rho.value, claim.zcdp_epsilon) <= claim.delta
    assert verify.gaussian_within(claim.rho.value, claim.epsilon, claim.delta)
    more = claim.rho.value * (1 + Fraction(1, 10**9)) + Fraction(2, 1 << 60)
    assert not allows(more, claim.epsilon, claim.delta, GDP)
    with pytest.raises(SpecError, match="is not"):
        claimed(Rho.up(more), claim.epsilon, claim.delta, GDP)
    assert epsilon_of(claim.rho.value, claim.delta, GDP) <= claim.epsilon + Fraction(1, 10**6)
    assert allows(claim.rho.value, epsilon_of(claim.rho.value, claim.delta, GDP), claim.delta, GDP)


@pytest.mark.parametrize("epsilon", ["0.1", "0.5", "1", "2", "4", "8"])
def test_at_a_delta_of_a_billionth_the_track_buys_a_tenth_more(epsilon):
    alone, claim = (guarantee_for(Fraction(epsilon), Fraction(1, 10**9), track).rho.value for track in (ZCDP, GDP))
    assert 1.08 < claim / alone < 1.12


@pytest.mark.parametrize(("epsilon", "delta"), CLAIMS[:6])
def test_the_track_claims_no_more_than_other_accountants_allow(epsilon, delta):
    losses = pytest.importorskip("dp_accounting.pld.privacy_loss_mechanism", reason="dp-accounting is an oracle, not a dependency")
    claim = guarantee_for(Fraction(epsilon), Fraction(delta), GDP)
    theirs = losses.GaussianPrivacyLoss(standard_deviation=1 / math.sqrt(2 * float(claim.rho.value)))
    assert theirs.get_delta_for_epsilon(float(claim.epsilon)) == pytest.approx(float(claim.delta), rel=1e-6, abs=1e-25)


def test_where_delta_is_large_the_track_promises_no_more_than_zcdp():
    claim = guarantee_for(Fraction(1), Fraction(1, 5), GDP)
    assert claim == guarantee_for(Fraction(1), Fraction(1, 5), ZCDP)
    assert claim.track == ZCDP


def test_a_claim_that_only_the_gaussian_track_bears_is_refused_on_the_other():
    claim = guarantee_for(Fraction(1), Fraction(1, 10**9), GDP)
    with pytest.raises(SpecError, match="is not"):
        claimed(claim.rho, claim.epsilon, claim.delta, ZCDP)
    assert not allows(claim.rho.value, claim.epsilon, claim.delta, ZCDP)


@pytest.mark.parametrize("rho", [Fraction(1, 10**390), Fraction(1, 1 << 60), Fraction(10**6), Fraction(10**300)])
@pytest.mark.parametrize("epsilon", [Fraction(1, 10**390), Fraction(1), Fraction(10**6)])
def test_extreme_claims_are_decided_at_once_and_alike(rho, epsilon):
    delta = Fraction(1, 10**300)
    found = gaussian_delta(rho, epsilon)
    assert verify.gaussian_within(rho, epsilon, delta) == (found is not None and found <= delta)
    assert (found is None) == (epsilon < 10**5 * rho)
