"""Every proof names code that exists and a check that exists; when the code changes, the page has to be read again."""

import ast
from functools import cache

import pytest

from dpsynth.core import mechanisms
from tests.core.proof_pages import CHECKS, DIGESTS, FOLDER, INDEX, PAGES, ROOT, checks, digest, listed, symbols

PACKAGE = ROOT / "dpsynth"
PARTS = ("Statement", "Assumptions, and who guarantees them", "Proof", "Code", "Checks")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_states_assumes_proves_and_points_to_code_and_checks(page):
    text = page.read_text(encoding="utf-8")
    places = [text.find(f"\n## {part}\n") for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
    assert 25 <= len(text.splitlines()) <= 75


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_and_the_index_name_the_same_code_and_checks(page):
    entry = INDEX[page.stem]
    assert set(entry) == {"claim", "code", "checks"}
    assert [code["symbol"] for code in entry["code"]] == symbols(page) != []
    assert entry["checks"] == checks(page) != []


def test_the_index_and_the_list_of_claims_are_of_these_pages():
    assert {page: entry["claim"] for page, entry in INDEX.items()} == listed()
    assert set(INDEX) == {page.stem for page in PAGES}


@pytest.mark.parametrize(("page", "symbol", "known"), DIGESTS, ids=lambda value: value.rpartition(".")[2] if "." in value else "")
def test_the_code_of_a_proof_is_the_code_that_was_read(page, symbol, known):
    now = digest(symbol)
    assert known == now, f"read proofs/{page}.md again with the new {symbol}; then its digest in proofs/index.toml is {now}"


@cache
def functions_in(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.partition("::")[2])
def test_a_check_exists(check):
    file, name = check.split("::")
    assert name.startswith("test_")
    assert name in functions_in(file)


def test_every_mechanism_has_a_page():
    drawing = {
        f"dpsynth.core.mechanisms.{name}" for name, value in vars(mechanisms).items() if "charge" in getattr(value, "__annotations__", {})
    }
    assert drawing == {f"dpsynth.core.mechanisms.{name}" for name in ("cut", "errors", "labels", "measure", "select")}
    assert drawing <= {symbol for _, symbol, _ in DIGESTS}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_noise_is_drawn_but_by_the_mechanisms():
    """OpenDP is called in one file, that file is used by one other, and its functions draw for a mechanism that has a page."""
    found = {path.relative_to(PACKAGE).as_posix(): set(imports(path)) for path in PACKAGE.rglob("*.py")}
    drawing = {name for name, names in found.items() if any(module.split(".")[0] == "opendp" for module in names)}
    using = {name for name, names in found.items() if any(module.startswith("dpsynth.core.noise") for module in names)}
    assert drawing == {"core/noise.py"}
    assert using == {"core/mechanisms.py"}
    tree = ast.parse((PACKAGE / "core" / "noise.py").read_text(encoding="utf-8"))
    public = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}
    assert {f"dpsynth.core.noise.{name}" for name in public} <= {symbol for _, symbol, _ in DIGESTS}


def test_what_accounting_rests_on_has_a_page():
    """The claims without which the guarantee would say nothing."""
    needed = {
        "discrete-gaussian",
        "marginal-sensitivity",
        "l1-score",
        "noisy-max",
        "filter",
        "conversion",
        "gaussian-track",
        "post-processing",
    }
    assert needed | {"ledger-safety", "bounding", "domain-and-errors", "seeds"} <= set(INDEX)
    assert "threshold discovery" in (FOLDER / "README.md").read_text(encoding="utf-8")
