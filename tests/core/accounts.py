"""Ledgers opened for a test, and releases that are charged to them."""

from fractions import Fraction

from dpsynth.core.accountant import guarantee_for
from dpsynth.core.ledger import LEDGER_FILE, Ledger
from dpsynth.privacy import ZCDP, PrivacyUnit, Rho

SMALL = Rho(Fraction(1, 1 << 10))


def opened(folder, epsilon="1", delta="1e-9", **policy):
    return Ledger.init(folder, epsilon=epsilon, delta=delta, **policy)


def charge(ledger, rho=SMALL, unit=PrivacyUnit(), delta=Fraction(0), purpose="a test", track=ZCDP):
    return ledger.prepare(release="trial", purpose=purpose, unit=unit, rho=rho, track=track, delta=delta, plan="0" * 64)


def total(epsilon="1", delta="1e-9"):
    """All the zCDP that an account of that size allows."""
    return guarantee_for(Fraction(epsilon), Fraction(delta)).rho


def content(ledger):
    """Everything in the folder, byte for byte."""
    return {path.name: path.read_bytes() for path in ledger.folder.iterdir()}


def lines(ledger):
    return (ledger.folder / LEDGER_FILE).read_bytes()


def completed(folder):
    """A ledger with one whole release and one that gave up."""
    ledger = opened(folder, unit="person", max_rows=3)
    first = charge(ledger, unit=PrivacyUnit("person", 2))
    ledger.measured(first.id, "1" * 64, 4)
    ledger.released(first.id, "2" * 64)
    ledger.aborted(charge(ledger, unit=PrivacyUnit("person", 1)).id, "the disk was full")
    ledger.note("the owner looked at it")
    return ledger
