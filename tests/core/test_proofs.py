"""Every proof names code that exists and a check that exists; when the code changes, the page has to be read again."""

import ast

import pytest

from dpsynth.core import mechanisms
from tests.core.proof_pages import FOLDER, PAGES, ROOT, checks, digest, index, symbols

SYMBOLS = sorted({symbol for page in PAGES for symbol in symbols(page)})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_states_assumes_proves_and_points_to_code_and_checks(page):
    text = page.read_text(encoding="utf-8")
    assert all(f"\n## {part}\n" in text for part in ("Statement", "Assumptions, and who guarantees them", "Proof", "Code", "Checks"))
    assert 25 <= len(text.splitlines()) <= 70
    assert symbols(page)
    assert checks(page)
    assert f"({page.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_checks_of_a_page_exist(page):
    for file, name in checks(page):
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_code_of_a_proof_is_the_code_that_was_read(symbol):
    assert index().get(symbol) == digest(symbol), (
        f"read the pages that name {symbol} again; then its digest in proofs/README.md is {digest(symbol)}"
    )


def test_the_index_lists_no_code_that_no_page_is_about():
    assert sorted(index()) == SYMBOLS


def test_every_mechanism_has_a_page():
    drawing = {
        f"dpsynth.core.mechanisms.{name}" for name, value in vars(mechanisms).items() if "charge" in getattr(value, "__annotations__", {})
    }
    assert drawing == {f"dpsynth.core.mechanisms.{name}" for name in ("errors", "measure", "select")}
    assert drawing <= set(SYMBOLS)
