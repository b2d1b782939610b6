"""rho to (epsilon, delta), as zCDP: rounded outward, against independent implementations, at ordinary and extreme values."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dpsynth.core import accountant
from dpsynth.core.accountant import admits, allows, best_alpha, delta_bound, epsilon_of, gaussian_delta, guarantee_for
from dpsynth.errors import SpecError
from dpsynth.privacy import GDP, ZCDP, Rho
from dpsynth.verify import verify

CLAIMS = [(e, d) for e in ("0.001", "0.1", "1", "4", "32", "1000") for d in ("1e-5", "1e-9", "1e-30", "0.5", "1e-300")]
ORDINARY = [claim for claim in CLAIMS if claim[1] != "0.5"]
"""A delta of a half is allowed but pointless: the search for its budget ends at rho = epsilon."""
GRID = Fraction(1, 1 << 60)
rhos = st.fractions(Fraction(1, 10**7), 50, max_denominator=10**9)
orders = st.one_of(st.fractions(Fraction(1001, 1000), bound, max_denominator=10**9) for bound in (2, 50, 10**6))
epsilons = st.fractions(Fraction(1, 1000), 200, max_denominator=10**6)


def enclosure(alpha, rho, epsilon, digits=160):
    """What delta(alpha), rounded up, lies between: at twice the accountant's precision, factor by factor, with directed rounding."""
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = digits, -(10**9), 10**9
        bounds = []
        for rounding in (ROUND_FLOOR, ROUND_CEILING):
            context.rounding = rounding
            a, gap = Decimal(alpha.numerator) / alpha.denominator, Decimal((alpha - 1).numerator) / (alpha - 1).denominator
            exponent = (alpha - 1) * (alpha * rho - epsilon)
            product = (Decimal(exponent.numerator) / exponent.denominator).exp() / gap
            bounds.append(product * ((gap / a).ln() * a).exp())
        slack = Decimal(10) ** (20 - digits)
        return max(bounds) * (1 + slack), min(bounds) * (1 - slack) * (1 + Decimal("1e-50"))


@settings(max_examples=50, deadline=None)
@given(orders, rhos, epsilons)
def test_delta_is_rounded_up_and_not_by_much(alpha, rho, epsilon):
    assume(abs((alpha - 1) * (alpha * rho - epsilon)) < 10**6)  # beyond, the numbers have millions of digits before the point
    least, most = enclosure(alpha, rho, epsilon)
    assert least <= delta_bound(alpha, rho, epsilon) <= most


@settings(max_examples=50, deadline=None)
@given(orders, rhos, epsilons)
def test_the_verifier_computes_the_same_bound_on_its_own(alpha, rho, epsilon):
    assume(abs((alpha - 1) * (alpha * rho - epsilon)) < 10**6)  # beyond, the numbers have millions of digits before the point
    least, most = enclosure(alpha, rho, epsilon)
    assert least <= verify.delta_bound(alpha, rho, epsilon) <= most


@pytest.mark.parametrize(("epsilon", "delta"), CLAIMS)
def test_a_guarantee_carries_a_witness_that_the_verifier_accepts(epsilon, delta):
    claim = guarantee_for(Fraction(epsilon), Fraction(delta))
    assert verify.delta_bound(claim.alpha, claim.rho.value, claim.epsilon) <= Decimal(delta)
    assert enclosure(claim.alpha, claim.rho.value, claim.epsilon)[0] <= Decimal(delta)
    assert claim.rho.value % GRID == 0


@pytest.mark.parametrize(("epsilon", "delta"), ORDINARY)
def test_a_guarantee_gives_the_largest_budget(epsilon, delta):
    claim = guarantee_for(Fraction(epsilon), Fraction(delta))
    more = claim.rho.value * (1 + Fraction(1, 10**6)) + 2 * GRID
    assert admits(more, claim.epsilon, claim.delta) is None


@pytest.mark.parametrize(("epsilon", "delta"), ORDINARY)
def test_the_budget_is_no_larger_than_opendp_allows(epsilon, delta):
    from opendp.combinators import make_zCDP_to_approxDP
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_gaussian
    from opendp.metrics import l2_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    claim = guarantee_for(Fraction(epsilon), Fraction(delta))
    scale = 1 / math.sqrt(2 * float(claim.rho.value))
    mechanism = make_zCDP_to_approxDP(make_gaussian(vector_domain(atom_domain(T="i64")), l2_distance(T="f64"), scale=scale))
    theirs = mechanism.map(1.0).epsilon(delta=float(Fraction(delta)))
    # Both use Proposition 12; OpenDP searches the order in floats. Ours may be the better bound, never by more than the search is off.
    assert theirs == pytest.approx(float(Fraction(epsilon)), rel=2e-3, abs=1e-6)
    assert theirs >= float(Fraction(epsilon)) * (1 - 1e-6)


@pytest.mark.parametrize(("epsilon", "delta"), [("0.1", "1e-5"), ("1", "1e-9"), ("4", "1e-6"), ("16", "1e-9")])
def test_the_budget_is_close_to_what_googles_renyi_accountant_allows(epsilon, delta):
    rdp = pytest.importorskip("dp_accounting.rdp", reason="dp-accounting is an oracle, not a dependency")
    dp_accounting = pytest.importorskip("dp_accounting")
    claim = guarantee_for(Fraction(epsilon), Fraction(delta))
    orders = [float(claim.alpha) * factor for factor in (0.9, 0.99, 1.0, 1.01, 1.1)]
    accounts = rdp.RdpAccountant(orders, dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    accounts.compose(dp_accounting.ZCDpEvent(float(claim.rho.value)))
    assert accounts.get_epsilon(float(Fraction(delta))) == pytest.approx(float(claim.epsilon), rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(rhos, rhos, st.sampled_from(["1e-5", "1e-9", "0.01"]))
def test_epsilon_grows_with_rho_and_is_rounded_up(first, second, delta):
    low, high = sorted((first, second))
    e_low, e_high = (epsilon_of(rho, Fraction(delta), ZCDP) for rho in (low, high))
    assert e_low <= e_high
    assert admits(low, e_low, Fraction(delta)) is not None
    assert e_low == Fraction(1, 10**6) or admits(low, e_low - Fraction(1, 10**6), Fraction(delta)) is None


def halved(rho, delta, track):
    """The least millionth that is allowed, by halving alone and from both proofs: slow, and what `epsilon_of` has to give bit for bit."""

    def allowed(millionths):
        epsilon = Fraction(millionths, 10**6)
        bound = gaussian_delta(rho, epsilon) if track == GDP and rho else None
        return (bound is not None and bound <= delta) or admits(rho, epsilon, delta) is not None

    low, high = 0, 10**6
    while not allowed(high):
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if allowed(middle) else (middle, high)
    return Fraction(high, 10**6)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(rhos, st.just(Fraction(0)), st.integers(1, 1 << 40).map(lambda n: n * GRID), st.fractions(50, 10**6, max_denominator=10**6)),
    st.one_of(
        st.integers(1, 300).map(lambda n: Fraction(1, 10**n)),
        st.fractions(Fraction(1, 1000), Fraction(999, 1000), max_denominator=10**6),
        st.just(Fraction(1, 10**400)),
    ),
    st.sampled_from([GDP, ZCDP]),
)
def test_epsilon_is_the_least_millionth_that_is_allowed(rho, delta, track):
    assert epsilon_of(rho, delta, track) == halved(rho, delta, track)


@pytest.mark.parametrize("track", [GDP, ZCDP])
@pytest.mark.parametrize("guess", [lambda rho, log_delta: 0.0, lambda rho, log_delta: 77.0, lambda rho, log_delta: -1e3])
def test_a_bad_guess_costs_time_and_changes_no_epsilon(monkeypatch, track, guess):
    rho, delta = Fraction(1, 60), Fraction(1, 10**9)
    expected = halved(rho, delta, track)
    monkeypatch.setattr(accountant, "_near_zcdp", guess)
    monkeypatch.setattr(accountant, "_near_gdp", guess)
    assert epsilon_of(rho, delta, track) == expected


def test_a_guess_leaves_two_bounds_to_evaluate(monkeypatch):
    asked = []
    monkeypatch.setattr(accountant, "allows", lambda *given: (asked.append(given), allows(*given))[1])
    for track in (GDP, ZCDP):
        for rho in ("1e-7", "0.0166", "3", "400"):
            epsilon_of(Fraction(rho), Fraction(1, 10**9), track)
    assert len(asked) <= 2 * 8 + 2  # the guess is off by more than a millionth next to never


@settings(max_examples=25, deadline=None)
@given(rhos, epsilons)
def test_the_chosen_order_is_the_best_one(rho, epsilon):
    alpha = best_alpha(rho, epsilon)
    chosen = delta_bound(alpha, rho, epsilon)
    assume(chosen < 1)
    for factor in (Fraction(9, 10), Fraction(999, 1000), Fraction(1001, 1000), Fraction(11, 10)):
        other = 1 + (alpha - 1) * factor
        if other <= accountant._LARGEST_ALPHA:
            assert delta_bound(other, rho, epsilon) >= chosen * (1 - Decimal("1e-6"))


def test_a_larger_claim_buys_a_larger_budget():
    rho = {(e, d): guarantee_for(Fraction(e), Fraction(d)).rho.value for e in ("0.5", "1", "2") for d in ("1e-9", "1e-6")}
    assert rho["0.5", "1e-9"] < rho["1", "1e-9"] < rho["2", "1e-9"] < rho["2", "1e-6"]


@pytest.mark.parametrize("rho", [Fraction(10**6), Fraction(10**30), Fraction(10**300)])
def test_a_cost_beyond_all_proportion_is_admitted_by_nothing(rho):
    assert admits(rho, Fraction(1000), Fraction(1, 2)) is None


def test_nothing_spent_is_admitted_and_no_delta_admits_nothing():
    assert admits(Fraction(0), Fraction(1), Fraction(1, 10**9)) is not None
    assert admits(GRID, Fraction(1000), Fraction(0)) is None
    assert admits(GRID, Fraction(1000), Fraction(-1)) is None


@pytest.mark.parametrize("alpha", [Fraction(1), Fraction(1, 2), Fraction(-3)])
def test_an_order_of_one_or_less_proves_nothing(alpha):
    with pytest.raises(ValueError, match="above 1"):
        delta_bound(alpha, Fraction(1), Fraction(1))


@pytest.mark.parametrize("delta", [Fraction(0), Fraction(-1, 10**9)])
def test_epsilon_at_no_delta_is_refused_not_searched_for_ever(delta):
    with pytest.raises(ValueError, match="delta"):
        epsilon_of(Fraction(1), delta, ZCDP)


@pytest.mark.parametrize(
    ("epsilon", "delta"),
    [("0", "0.1"), ("-1", "0.1"), ("1001", "0.1"), ("1e400", "0.1"), ("1", "0"), ("1", "1"), ("1", "-0.1"), ("1", "1e-301")],
)
def test_claims_out_of_range_are_refused(epsilon, delta):
    with pytest.raises(SpecError, match="must be from"):
        guarantee_for(Fraction(epsilon), Fraction(delta))


def test_the_smallest_claim_still_buys_a_budget():
    assert guarantee_for(Fraction(1, 1 << 20), Fraction(1, 10**300)).rho.value >= 100 * GRID


def test_the_smallest_budget_is_one_unit_of_account():
    assert Rho.up(Fraction(1, 10**40)).value == GRID
    assert Rho.down(Fraction(1, 10**10)).value <= Fraction(1, 10**10) <= Rho.up(Fraction(1, 10**10)).value
