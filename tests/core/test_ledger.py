"""The ledger refuses what the policy does not allow, changes nothing when it refuses, and counts exactly."""

import stat
import tomllib
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth import canonical
from dpsynth.core.accountant import admits
from dpsynth.core.ledger import LEDGER_FILE, POLICY_FILE, Ledger, cumulative_epsilon, refuse_unless_admitted
from dpsynth.core.ledger_chain import Account
from dpsynth.core.ledger_policy import Policy, exact_number
from dpsynth.errors import BudgetRefused, LedgerInvalid, SpecError
from dpsynth.privacy import NOTHING, PrivacyUnit, Rho
from dpsynth.verify import verify
from tests.core.accounts import SMALL, charge, completed, content, lines, opened, total


def test_a_release_is_charged_its_whole_cap_in_one_line(tmp_path):
    ledger = opened(tmp_path / "account")
    entry = charge(ledger)
    account = ledger.read()
    assert (account.rho, account.status[entry.id], account.unit_id) == (SMALL.value, "PREPARE", "")
    assert account.entries[-1] == entry
    assert lines(ledger).count(b"\n") == 3


def test_a_budget_is_used_to_the_last_bit_and_not_beyond(tmp_path):
    ledger = opened(tmp_path / "account")
    whole = total()
    charge(ledger, whole - Rho(SMALL.value * 2))
    charge(ledger)
    charge(ledger)
    before = content(ledger)
    with pytest.raises(BudgetRefused, match=r"3 earlier releases spent .* would exceed epsilon = 1 at delta = 1e-9"):
        charge(ledger, Rho(Fraction(1, 1 << 40)))
    assert content(ledger) == before
    assert cumulative_epsilon(ledger.read()) == 1


def test_a_refusal_does_not_poison_a_smaller_request(tmp_path):
    ledger = opened(tmp_path / "account")
    before = content(ledger)
    with pytest.raises(BudgetRefused):
        charge(ledger, Rho(total().value * 2))
    assert content(ledger) == before
    charge(ledger, total())


def test_no_refund_for_a_release_that_gave_up(tmp_path):
    ledger = opened(tmp_path / "account")
    ledger.aborted(charge(ledger, total()).id, "no reason")
    with pytest.raises(BudgetRefused):
        charge(ledger)


def test_a_folder_without_a_ledger_is_refused_with_the_command_that_opens_one(tmp_path):
    with pytest.raises(BudgetRefused, match=r"dpsynth ledger init .*--epsilon E --delta D"):
        Ledger.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_account_is_opened_once(tmp_path):
    ledger = opened(tmp_path / "account")
    before = content(ledger)
    with pytest.raises(SpecError, match="already holds a ledger"):
        opened(tmp_path / "account", epsilon="100")
    assert content(ledger) == before


def test_the_policy_file_is_for_reading_and_changes_nothing(tmp_path):
    ledger = opened(tmp_path / "account", epsilon="2", unit="person", max_rows=3, approvers=("A. Owner",))
    policy = tomllib.loads((ledger.folder / POLICY_FILE).read_text())
    assert (policy["epsilon"], policy["delta"], policy["unit"], policy["max_rows"]) == ("2", "1e-9", "person", 3)
    (ledger.folder / POLICY_FILE).write_text('epsilon = "1000"\n')
    with pytest.raises(BudgetRefused):
        charge(ledger, total("3"), PrivacyUnit("person", 1))


def test_the_first_release_fixes_the_unit_of_an_account_without_one(tmp_path):
    ledger = opened(tmp_path / "account")
    charge(ledger, unit=PrivacyUnit("person", 2))
    before = content(ledger)
    for unit in (PrivacyUnit("household", 2), PrivacyUnit()):
        with pytest.raises(BudgetRefused, match=r"protects the unit 'person'"):
            charge(ledger, unit=unit)
    assert content(ledger) == before
    charge(ledger, unit=PrivacyUnit("person", 5))


@pytest.mark.parametrize(
    ("unit", "words"), [(PrivacyUnit("other", 1), "protects the unit 'person'"), (PrivacyUnit("person", 4), "at most 3")]
)
def test_the_policys_unit_and_rows_bind(tmp_path, unit, words):
    ledger = opened(tmp_path / "account", unit="person", max_rows=3)
    before = content(ledger)
    with pytest.raises(BudgetRefused, match=words):
        charge(ledger, unit=unit)
    assert content(ledger) == before


def test_deltas_given_away_are_taken_from_the_policys_delta(tmp_path):
    ledger = opened(tmp_path / "account", delta="1e-6")
    charge(ledger, SMALL, delta=Fraction(1, 2 * 10**6))
    left = ledger.read()
    assert left.delta == Fraction(1, 2 * 10**6)
    with pytest.raises(BudgetRefused):
        charge(ledger, SMALL, delta=Fraction(1, 2 * 10**6))
    charge(ledger, Rho.down(total("1", "5e-7").value - SMALL.value))


@pytest.mark.parametrize("delta", [Fraction(-1, 10**9), Fraction(-1)])
def test_a_negative_delta_buys_nothing(tmp_path, delta):
    ledger = opened(tmp_path / "account")
    before = content(ledger)
    with pytest.raises(BudgetRefused, match="at least 0"):
        charge(ledger, delta=delta)
    assert content(ledger) == before


def test_a_release_that_charges_nothing_is_no_release(tmp_path):
    ledger = opened(tmp_path / "account")
    before = content(ledger)
    with pytest.raises(LedgerInvalid, match="nothing was written"):
        charge(ledger, NOTHING)
    assert content(ledger) == before


@pytest.mark.parametrize("purpose", ["p" * (1 << 20), "\u2028" * 200_000])
def test_an_entry_that_could_not_be_read_back_is_never_written(tmp_path, purpose):
    ledger = opened(tmp_path / "account")
    before = content(ledger)
    with pytest.raises(LedgerInvalid, match="nothing was written"):
        charge(ledger, purpose=purpose)
    with pytest.raises(LedgerInvalid, match="nothing was written"):
        ledger.note(purpose)
    assert content(ledger) == before


@pytest.mark.parametrize("purpose", ["", 'quotes " and \\', "line\nbreak", "\ud800 half a pair", "\x00", "née"])
def test_any_text_is_one_line_of_the_ledger(tmp_path, purpose):
    ledger = opened(tmp_path / "account")
    charge(ledger, purpose=purpose)
    assert ledger.read().entries[-1].body["purpose"] == purpose
    assert len(verify.chain(lines(ledger))) == 3


@pytest.mark.parametrize("kind", ["measured", "released", "aborted"])
def test_a_step_that_does_not_follow_is_refused_and_changes_nothing(tmp_path, kind):
    steps = {"measured": ("1" * 64, 1), "released": ("1" * 64,), "aborted": ("why",)}
    ledger = completed(tmp_path / "account")
    before = content(ledger)
    finished = ledger.read().entries[2].id
    for entry_id in ("", "unknown", finished):
        with pytest.raises(LedgerInvalid, match="nothing was written"):
            getattr(ledger, kind)(entry_id, *steps[kind])
        assert content(ledger) == before


def test_the_verifier_reads_the_ledgers_that_the_package_writes(tmp_path):
    ledger = completed(tmp_path / "account")
    assert [e["hash"] for e in verify.chain(lines(ledger))] == [e.hash for e in ledger.read().entries]


def test_a_read_only_folder_is_read_and_never_charged(tmp_path, monkeypatch):
    import os

    ledger = opened(tmp_path / "account")
    real = os.open

    def read_only(path, flags, *mode):  # a superuser may write anywhere: what the system would answer others is simulated
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", read_only)
    assert ledger.read().rho == 0
    with pytest.raises(BudgetRefused, match=r"cannot be opened \(Permission denied\): nothing can be charged"):
        charge(ledger)
    with pytest.raises(SpecError, match="no ledger can be opened"):
        opened(tmp_path / "other")


def test_a_ledger_replaced_while_it_is_opened_is_refused(tmp_path, monkeypatch):
    import fcntl

    ledger = opened(tmp_path / "account")
    file = ledger.folder / LEDGER_FILE

    def swapped(*_):
        copy = file.with_name("copy")
        copy.write_bytes(file.read_bytes())
        copy.rename(file)

    monkeypatch.setattr(fcntl, "flock", swapped)
    with pytest.raises(LedgerInvalid, match="was replaced while it was opened"):
        charge(ledger)


def test_a_link_to_an_account_is_that_account(tmp_path):
    ledger = opened(tmp_path / "account")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / LEDGER_FILE).symlink_to(ledger.folder / LEDGER_FILE)
    charge(Ledger.open(tmp_path / "link"), total())
    with pytest.raises(BudgetRefused):
        charge(ledger)


def test_a_link_that_leads_nowhere_is_not_followed_when_an_account_is_opened(tmp_path):
    (tmp_path / "account").mkdir()
    (tmp_path / "account" / LEDGER_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpecError, match="already holds a ledger"):
        opened(tmp_path / "account")
    assert not (tmp_path / "elsewhere").exists()


def test_the_ledger_is_not_writable_by_others(tmp_path):
    mode = (opened(tmp_path / "account").folder / LEDGER_FILE).stat().st_mode
    assert not mode & (stat.S_IWOTH | stat.S_IWGRP)


def test_ten_tenths_are_one_exactly():
    tenth = exact_number(0.1, "epsilon")
    assert sum([tenth] * 10, Fraction(0)) == 1
    assert exact_number("0.1", "epsilon") == tenth == Fraction(1, 10)
    assert exact_number(1e16, "epsilon") + 1 != exact_number(1e16, "epsilon")


def test_ten_releases_of_a_tenth_fit_and_an_eleventh_does_not(tmp_path):
    ledger = opened(tmp_path / "account")
    tenth = total().share(Fraction(1, 10))
    for _ in range(10):
        charge(ledger, tenth)
    with pytest.raises(BudgetRefused):
        charge(ledger, tenth)


@pytest.mark.parametrize(
    "number",
    [
        "nan",
        "inf",
        "-inf",
        "Infinity",
        "0x1",
        "",
        "1/2/3",
        "one",
        "1e999999999",
        "1e-999999999",
        "1" * 401,
        "1" * 10**6,
        float("nan"),
        True,
        None,
    ],
)
def test_numbers_that_are_none_are_refused_at_once(number):
    with pytest.raises(SpecError, match="epsilon must be a"):
        exact_number(number, "epsilon")


@pytest.mark.parametrize(
    ("epsilon", "delta"),
    [("-1", "1e-9"), ("0", "1e-9"), ("1e400", "1e-9"), ("1001", "1e-9"), ("1", "0"), ("1", "1"), ("1", "-1e-9"), ("1", "1e-400")],
)
def test_policies_out_of_range_open_nothing(tmp_path, epsilon, delta):
    with pytest.raises(SpecError, match="of the account must be from"):
        opened(tmp_path / "account", epsilon=epsilon, delta=delta)
    assert not (tmp_path / "account").exists()


@pytest.mark.parametrize(
    "policy",
    [{"epsilon": Fraction(10**401 + 1, 10**401)}, {"max_rows": 0}, {"max_rows": 2.5}, {"unit": "a\nb"}, {"approvers": ("a\x1b[2J",)}],
)
def test_policies_the_ledger_could_not_hold_open_nothing(tmp_path, policy):
    with pytest.raises(SpecError):
        opened(tmp_path / "account", **policy)
    assert not (tmp_path / "account").exists()


def test_an_account_without_a_policy_allows_nothing():
    with pytest.raises(LedgerInvalid, match="no policy"):
        refuse_unless_admitted(Account(), PrivacyUnit(), SMALL, "zcdp", Fraction(0))


def test_an_account_whose_delta_is_gone_has_no_epsilon():
    account = Account(policy=Policy(Fraction(1), Fraction(1, 10)), rho=Fraction(1, 8), delta=Fraction(1, 10))
    with pytest.raises(LedgerInvalid, match="no epsilon"):
        cumulative_epsilon(account)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.fractions(0, Fraction(1, 20)).filter(bool), min_size=1, max_size=12))
def test_whatever_is_asked_for_the_sum_stays_within_the_policy(tmp_path_factory, costs):
    ledger = opened(tmp_path_factory.mktemp("account") / "a", epsilon="0.5")
    for cost in costs:
        before = ledger.read().rho
        fits = admits(before + Rho.up(cost).value, Fraction(1, 2), Fraction(1, 10**9)) is not None
        try:
            charge(ledger, Rho.up(cost))
        except BudgetRefused:
            assert not fits
            assert ledger.read().rho == before
        else:
            assert fits
    account = ledger.read()
    assert account.rho == 0 or cumulative_epsilon(account) <= Fraction(1, 2)
    assert verify.verify_ledger(ledger.folder).ok


def test_no_line_of_the_ledger_holds_a_float(tmp_path):
    for line in lines(completed(tmp_path / "account")).splitlines():
        assert canonical.dumps(canonical.loads(line)) == line
