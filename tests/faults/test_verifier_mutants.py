"""No rule of the verifier can be removed unnoticed: with any one taken out, some forgery of the list gets through."""

import ast
import copy
import types
from pathlib import Path

import pytest

from dpsynth.verify import verify
from tests.faults.forgeries import ON_BOTH_TRACKS, ON_THE_GAUSSIAN_TRACK, WITH_A_SELECTION, WITH_LABELS
from tests.faults.forging import forge, released

SOURCE = Path(verify.__file__).read_text(encoding="utf-8")
FORGERIES = {
    "zcdp": {**ON_BOTH_TRACKS, **WITH_LABELS, **WITH_A_SELECTION},
    "gdp": {**ON_BOTH_TRACKS, **WITH_LABELS, **ON_THE_GAUSSIAN_TRACK},
}
RULES = ("certificate", "files", "events", "_check_event", "check_exchange", "answers", "int64_digest", "conversion", "gaussian_within")
RULES += ("membership", "chain", "follows", "within", "_read_bytes", "read_canonical", "_rational", "_whole")
"""The functions that hold rules."""


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return {track: released(tmp_path_factory.mktemp(track), track) for track in FORGERIES}


@pytest.fixture(scope="module")
def forged(honest, tmp_path_factory):
    """Every forgery on disk, by track and name."""
    made = {}
    for track, forgeries in FORGERIES.items():
        for name, forgery in forgeries.items():
            made[track, name] = honest[track].copied(tmp_path_factory.mktemp("forged"))
            forgery(made[track, name])
    return made


def accepts(module, release):
    return module.verify(release.bundle, release.ledger).ok


def test_no_function_with_a_rule_is_left_out():
    functions = [node for node in ast.parse(SOURCE).body if isinstance(node, ast.FunctionDef) and node.name != "require"]
    with_rules = {f.name for f in functions for call in ast.walk(f) if isinstance(call, ast.Call) and ast.unparse(call.func) == "require"}
    assert with_rules <= set(RULES)


def test_the_honest_release_verifies_and_so_does_one_made_to_fit_anew(honest, tmp_path):
    for track, release in honest.items():
        assert accepts(verify, release)
        again = release.copied(tmp_path / track)
        forge(again)
        assert accepts(verify, again), verify.verify(again.bundle, again.ledger)


def test_every_forgery_is_found(forged):
    assert [name for name, release in forged.items() if accepts(verify, release)] == []


def weakened(function):
    """(place, the function with one rule taken out) for each: a call of require, an operand of `and`, a step of a chained comparison."""
    for place, node in enumerate(ast.walk(function)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "require":
            yield f"{ast.unparse(node)[:70]}", _changed(function, place, _requires_nothing)
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
            for operand in range(len(node.values)):
                if not (operand == 0 and isinstance(node.values[0], ast.Name) and node.values[0].id == "stands"):
                    yield f"and {ast.unparse(node.values[operand])[:70]}", _changed(function, place, _without, operand)
        elif isinstance(node, ast.Compare) and len(node.ops) > 1:
            for step in range(len(node.ops)):
                yield f"step {step} of {ast.unparse(node)[:70]}", _changed(function, place, _skipping, step)


def _changed(function, place, change, *arguments):
    own = copy.deepcopy(function)
    change(list(ast.walk(own))[place], *arguments)
    return own


def _requires_nothing(node):
    node.args[0] = ast.Tuple([node.args[0], ast.Constant(True)], ast.Load())  # still evaluated, never false


def _without(node, operand):
    node.values[operand] = ast.Constant(True)


def _skipping(node, step):
    values = [node.left, *node.comparators]
    pairs = [ast.Compare(values[i], [node.ops[i]], [values[i + 1]]) for i in range(len(node.ops)) if i != step]
    node.left, node.ops, node.comparators = pairs[0].left, pairs[0].ops, pairs[0].comparators
    if len(pairs) > 1:
        both = ast.BoolOp(ast.And(), pairs)
        node.left, node.ops, node.comparators = both, [ast.Eq()], [ast.Constant(True)]


def mutants():
    """(name, module) of each verifier with one rule taken out."""
    tree = ast.parse(SOURCE)
    for index, function in enumerate(tree.body):
        if isinstance(function, ast.FunctionDef) and function.name in RULES:
            for name, changed in weakened(function):
                module = types.ModuleType("dpsynth.verify.verify")
                body = [*tree.body[:index], changed, *tree.body[index + 1 :]]
                exec(compile(ast.fix_missing_locations(ast.Module(body, [])), verify.__file__, "exec"), module.__dict__)
                yield f"{function.name}: {name}", module


EQUIVALENT = {
    # What these refuse cannot be read, or is of the wrong type, and so is refused in other words.
    "_read_bytes: and path.is_file()",
    "read_canonical: and isinstance(value, dict)",
    "files: and (folder / name).is_file()",
    "_check_event: and mechanism in costs",
    "_check_event: and scale > 0",
    "membership: and {*own} >= {'PREPARE', 'MEASURED'}",
    "chain: require(data.endswith(b'\\n'), \"the ledger's last line is torn: the nex",
    # A single event that is a selection or a list of errors leaves no event that could pay for a table.
    "check_exchange: and not tables",
    # A threshold is a whole number, and a claim gives away less than 1.
    "_check_event: step 1 of threshold == given == 0",
    # Beyond these bounds the conversion itself refuses; they keep its 80 digits enough.
    "conversion: and 1 < alpha <= 10 ** 10",
    "conversion: step 0 of 1 < alpha <= 10 ** 10",
    "conversion: step 1 of 1 < alpha <= 10 ** 10",
    "conversion: step 0 of 0 < epsilon <= alone <= 10 ** 6",
    "conversion: step 0 of 0 < delta < 1 - given",
    "conversion: step 1 of 0 < rho < 10 ** 9",
    "within: and delta > 0",
    # Without these the verifier refuses more: it looks for a unit where an entry has none.
    "follows: and kind in ('POLICY', 'PREPARE')",
    "follows: and (unit := entry['body']['unit']['id']) is not None",
    # Limits that keep memory bounded, tested below: what is within them is checked all the same.
    "_read_bytes: require(path.stat().st_size <= LARGEST_FILE, f'{path.name} is larger t",
    "int64_digest: and small",
}
"""Rules that repeat what other rules imply, each for a clearer word or for safety's sake."""


def killed(module, tries):
    """Whether any forgery gets past the mutant; what did comes first in the next try, as neighbouring rules fall to the same ones."""
    for place, (bundle, ledger) in enumerate(tries):
        if module.verify(bundle, ledger).ok:
            tries.insert(0, tries.pop(place))
            return True
    return False


def test_every_rule_that_is_taken_out_lets_a_forgery_through(forged):
    tries = [(release.bundle, release.ledger) for release in forged.values()]
    tries += [(release.bundle, None) for release in forged.values() if not verify.verify(release.bundle).ok]
    rules = dict(mutants())
    assert len(rules) > 80
    assert set(rules) >= EQUIVALENT
    assert [name for name, module in rules.items() if name not in EQUIVALENT and not killed(module, tries)] == []


def test_a_file_beyond_the_limit_is_not_read(honest, monkeypatch):
    monkeypatch.setattr(verify, "LARGEST_FILE", 100)
    for release in honest.values():
        assert "larger than 100 bytes" in str(verify.verify(release.bundle, release.ledger))
