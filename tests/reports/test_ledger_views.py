"""An account as people read it: the sums are right, the files open anywhere, and no text in it does harm."""

import csv
import io
import re
from fractions import Fraction

import pytest

from dpsynth import canonical
from dpsynth.accounts import export_ledger, ledger_view
from dpsynth.core.accountant import admits, epsilon_of
from dpsynth.core.ledger import LEDGER_FILE, cumulative_epsilon
from dpsynth.errors import BudgetRefused, SpecError
from dpsynth.privacy import GDP, ZCDP, Rho
from tests.core.accounts import SMALL, charge, completed, lines, opened

HOSTILE = '=HYPERLINK("x") <script>alert(1)</script> \x1b[2J \u202e'


@pytest.fixture(scope="module")
def spent(tmp_path_factory):
    """A ledger with three releases, two of them alike, a changed policy and a note."""
    ledger = opened(tmp_path_factory.mktemp("account") / "a", epsilon="1", delta="1e-6", approvers=("Ada",))
    first = charge(ledger, purpose="the first", track=GDP)
    ledger.measured(first.id, "1" * 64, 4)
    ledger.released(first.id, "2" * 64)
    charge(ledger, track=GDP)
    ledger.change_policy(epsilon="2", approvers=("Ada", "Bob"), covers="both extracts")
    ledger.aborted(charge(ledger, Rho(SMALL.value * 3), purpose=HOSTILE).id, "no reason")
    ledger.note(HOSTILE)
    return ledger


def test_the_cumulative_epsilon_is_converted_once_from_the_sum(spent):
    view, account, delta = ledger_view(spent.folder), spent.read(), Fraction(1, 10**6)
    one, two, three = view.rows
    assert one.cumulative_epsilon == one.alone_epsilon == epsilon_of(SMALL.value, delta, GDP)
    assert two.cumulative_epsilon == epsilon_of(2 * SMALL.value, delta, GDP)
    assert three.cumulative_epsilon == view.spent == cumulative_epsilon(account) == epsilon_of(5 * SMALL.value, delta, ZCDP)
    assert view.naive == 2 * one.alone_epsilon + three.alone_epsilon > view.spent
    assert [row.status for row in view.rows] == ["RELEASED", "PREPARE", "ABORTED"]


def test_what_is_left_can_be_spent_and_no_more(spent):
    view, account = ledger_view(spent.folder), spent.read()
    assert view.left_rho + account.rho == view.policy.rho
    assert admits(account.rho + view.left_rho, Fraction(2), Fraction(1, 10**6)) is not None
    assert admits(account.rho + view.left_rho + Fraction(1, 1 << 50), Fraction(2), Fraction(1, 10**6)) is None


def test_more_is_left_while_all_answers_are_gaussian(tmp_path):
    ledger = opened(tmp_path / "account")
    whole = ledger_view(ledger.folder)
    assert whole.left_epsilon == 1
    assert whole.left_rho == whole.policy.gaussian_rho > whole.policy.rho
    charge(ledger, track=ZCDP)
    assert ledger_view(ledger.folder).left_rho == whole.policy.rho - SMALL.value


def test_the_table_says_what_for_by_whom_and_who_says_so(spent):
    text = str(ledger_view(spent.folder))
    for words in ("both extracts", "approved by Ada, Bob; entry 6", "before: epsilon 1 at delta 1e-6", "the first", "gave up; stays spent"):
        assert words in text
    assert re.search(r"^spent: +epsilon [0-9.]+ of 2 at delta 1e-6", text, re.MULTILINE)
    assert re.search(r"^added up: epsilon [0-9.]+ at delta 3e-6", text, re.MULTILINE)
    assert "converted to epsilon once" in " ".join(text.split())
    assert "\x1b" not in text and "\u202e" not in text


def test_a_machine_reads_exact_numbers(spent):
    facts = ledger_view(spent.folder).facts()
    assert canonical.rational(facts["spent_rho"]) == 5 * SMALL.value
    assert canonical.rational(facts["sum_of_epsilons"]) > canonical.rational(facts["spent_epsilon"])
    assert [policy["approvers"] for policy in facts["policies"]] == [["Ada"], ["Ada", "Bob"]]
    canonical.dumps(facts)


def test_an_account_without_releases_says_so(tmp_path):
    view = ledger_view(opened(tmp_path / "account").folder)
    assert "Nothing was released." in str(view)
    assert "added up" not in str(view)
    assert view.facts()["releases"] == []


def test_an_export_holds_every_entry_and_release(spent, tmp_path):
    exported = export_ledger(spent.folder, tmp_path / "out")
    assert exported.verdict.ok
    assert [path.name for path in exported.files] == ["entries.csv", "releases.csv", "ledger.html"]
    entries, releases = (list(csv.DictReader(io.StringIO(path.read_text()))) for path in exported.files[:2])
    assert [row["hash"] for row in entries] == [entry.hash for entry in spent.read().entries]
    assert [row["purpose"] for row in releases[:2]] == ["the first", "a test"]
    assert sum(Fraction(row["rho"]) for row in releases) == spent.read().rho


def test_no_cell_of_a_table_is_a_formula_and_no_text_of_the_page_is_code(spent, tmp_path):
    export_ledger(spent.folder, tmp_path / "out")
    for name in ("entries.csv", "releases.csv"):
        cells = [cell for row in csv.reader(io.StringIO((tmp_path / "out" / name).read_text())) for cell in row]
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
        assert any("HYPERLINK" in cell for cell in cells)
    page = (tmp_path / "out" / "ledger.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page and "\u202e" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=[\"']?(http|//)|@import|url\(", page)


def test_the_page_names_what_was_spent_left_and_checked(spent, tmp_path):
    export_ledger(spent.folder, tmp_path / "out")
    page = (tmp_path / "out" / "ledger.html").read_text()
    view = ledger_view(spent.folder)
    for words in (view.head, "both extracts", "Ada, Bob", "gave up; stays spent", "form one chain"):
        assert words in page
    assert "NOT VERIFIED" not in page
    assert page.count('class="k-one"') == 3


def test_an_export_is_never_written_over_anything(spent, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(SpecError, match="must not exist yet"):
        export_ledger(spent.folder, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_ledger_that_does_not_hold_together_is_not_exported_as_if_it_did(tmp_path):
    ledger = completed(tmp_path / "account")
    before = lines(ledger)
    (ledger.folder / LEDGER_FILE).write_bytes(before.replace(b"a test", b"A test"))
    with pytest.raises(BudgetRefused):
        export_ledger(ledger.folder, tmp_path / "out")
    (ledger.folder / LEDGER_FILE).write_bytes(before)
    (ledger.folder / "heads").mkdir()
    (ledger.folder / "heads" / "000001.json").write_text("{}")
    assert not export_ledger(ledger.folder, tmp_path / "out").verdict.ok
    assert "NOT VERIFIED" in (tmp_path / "out" / "ledger.html").read_text()
