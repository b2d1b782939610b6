"""The plan as text: it fits its width, loses no word, and says what memory a run takes."""

from fractions import Fraction

import pytest

from dpsynth.core.accountant import guarantee_for
from dpsynth.domain import Domain
from dpsynth.privacy import PrivacyUnit
from dpsynth.reports.plan_table import LEAST_WIDTH, PlanTable, Standing, _wrapped
from dpsynth.strategies.registry import strategy_named
from dpsynth.wishes import Target, Wishes

DOMAIN = Domain(("age", "sex", "job"), (30, 2, 9))
TARGET = Target(("age", "sex"), Fraction("0.05"))


def table(strategy="all-pairs", wishes=None, domain=DOMAIN, **options):
    guarantee = guarantee_for(Fraction(1), Fraction(1, 10**9))
    wishes = wishes or Wishes()
    plan = strategy_named(strategy, wishes).plan(domain, PrivacyUnit(), guarantee.rho)
    return PlanTable("made-up", PrivacyUnit(), guarantee, plan, Standing(), wishes.rows_about, **options)


@pytest.mark.parametrize("wishes", [Wishes(), Wishes((TARGET,) * 3, (), 30_000)], ids=["nothing", "targets"])
def test_no_line_is_wider_than_the_table_and_no_word_is_lost(wishes):
    shown = table(wishes=wishes)
    text = str(shown)
    width = max(LEAST_WIDTH, *(len(line) for line in text.splitlines() if line.startswith("----")))
    assert all(len(line) <= width for line in text.split("\n\n", 1)[1].splitlines())
    assert any(len(note) > width for note in shown.plan.notes)
    assert " ".join(shown.plan.notes[0].split()) in " ".join(text.split())
    assert "No data was read and nothing was charged." in text.splitlines()


def test_an_indented_line_goes_on_further_in():
    assert _wrapped(["  one two three", "", "four five"], 9) == ["  one two", "    three", "", "four five"]


def test_for_machines_notes_stay_whole():
    shown = table()
    assert shown.facts()["notes"] == list(shown.plan.notes)
    assert all("\n" not in note for note in shown.facts()["notes"])


def test_memory_grows_with_cells_squared_and_with_records():
    wide = Domain(tuple(f"c{i}" for i in range(20)), (100,) * 20)
    assert "memory of the run about 0.35 GB and 6 bytes for each value" in str(table())
    assert "memory of the run about 0.75 GB and 6 bytes for each value" in str(table(domain=wide))
    assert "memory of the run about 1.9 GB with 10000000 rows" in str(table(domain=wide, wishes=Wishes(rows_about=10**7)))
    assert "memory of the run" not in str(table("independent"))
