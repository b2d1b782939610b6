"""What makes the ledger safe cannot be removed unnoticed: the lock, the order of the flushes, the charge before the first read, each rule.

A mutant is the source of a module with one text replaced. Each must fail a check that the real module passes.
"""

import fcntl
import hashlib
import json
import os
import sys
import types
from fractions import Fraction
from pathlib import Path

import pytest

from dpsynth import api, pipeline
from dpsynth.core import ledger, ledger_chain
from dpsynth.errors import BudgetRefused, DpsynthError, LedgerInvalid
from dpsynth.privacy import ZCDP, PrivacyUnit, Rho
from dpsynth.release import bundle, partial
from tests.faults.forging import plain_json, rechain
from tests.stories.world import World


def mutant(module, old, new):
    """The module with one text replaced, under its own name so that its dataclasses work."""
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, f"{source.count(old)} places hold {old!r}: say which rule this mutant takes out"
    own = types.ModuleType(module.__name__)
    own.__file__ = module.__file__
    exec(compile(source.replace(old, new), module.__file__, "exec"), own.__dict__)
    return own


# ---- the ledger on disk ----


def small(module, folder):
    return module.Ledger.init(folder / "account", epsilon="1", delta="1e-9")


def charged(account):
    cost = {"rho": Rho(Fraction(1, 1024)), "track": ZCDP, "delta": Fraction(0)}
    return account.prepare(release="r", purpose="p", unit=PrivacyUnit(), plan="0" * 64, **cost)


def held_alone(module, folder):
    """While one works on the ledger, nobody else gets its lock."""
    account = small(module, folder)
    with account._locked(), open(account.folder / "ledger.jsonl", "rb") as other:
        try:
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def flushed_in_order(module, folder):
    """When PREPARE returns, the whole line was flushed, then the folder; no flush came before its line."""
    account, flushed, real = small(module, folder), [], os.fsync

    def noted(descriptor):
        flushed.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, len((account.folder / "ledger.jsonl").read_bytes())))
        real(descriptor)

    os.fsync = noted
    try:
        charged(account)
    finally:
        os.fsync = real
    size = len((account.folder / "ledger.jsonl").read_bytes())
    return flushed == [("ledger.jsonl", size), ("account", size)]


def refuses_too_much(module, folder):
    account = small(module, folder)
    try:
        account.prepare(release="r", purpose="p", unit=PrivacyUnit(), plan="", rho=Rho(Fraction(1)), track=ZCDP, delta=Fraction(0))
    except DpsynthError:
        return len(account.read().entries) == 2
    return False


def binds_unit_rows_and_delta(module, folder):
    """Another unit, more rows and a negative delta are refused."""
    account = module.Ledger.init(folder / "account", epsilon="1", delta="1e-9", unit="person", max_rows=2)
    for unit, delta in ((PrivacyUnit("house", 1), 0), (PrivacyUnit("person", 3), 0), (PrivacyUnit("person", 1), -1)):
        try:
            account.prepare(
                release="r", purpose="p", unit=unit, plan="", rho=Rho(Fraction(1, 1024)), track=ZCDP, delta=Fraction(delta, 10**9)
            )
        except BudgetRefused as error:
            if not isinstance(error, LedgerInvalid):  # the chain would refuse it too, but only for the ledger's sake
                continue
        return False
    return True


def sets_torn_lines_aside(module, folder):
    """A torn PREPARE is no entry, and the next one is not glued to it."""
    account = small(module, folder)
    with open(account.folder / "ledger.jsonl", "ab") as file:
        file.write(b'{"actor":"half a li')
    try:
        charged(account)
        return [entry.type for entry in account.read().entries] == ["GENESIS", "POLICY", "NOTE", "PREPARE"]
    except DpsynthError:
        return False


def counts_a_line_that_lost_its_end(module, folder):
    account = small(module, folder)
    charged(account)
    file = account.folder / "ledger.jsonl"
    file.write_bytes(file.read_bytes()[:-1])
    return account.read().rho == Fraction(1, 1024)


def notices_a_swapped_file(module, folder):
    """A file put in the ledger's place while it is opened is not written to."""
    account, real = small(module, folder), fcntl.flock
    file = account.folder / "ledger.jsonl"

    def swapped(*arguments):
        (account.folder / "copy").write_bytes(file.read_bytes())
        (account.folder / "copy").rename(file)
        return real(*arguments)

    fcntl.flock = swapped
    try:
        charged(account)
    except DpsynthError:
        return True
    finally:
        fcntl.flock = real
    return False


WRITE = "            while line:\n                line = line[file.write(line) :]\n"
FLUSH = "            os.fsync(file.fileno())\n"
FLUSH_FOLDER = "            _sync_folder(self.folder)\n"
ASK = "            refuse_unless_admitted(account, unit, rho, track, delta)\n"

ON_DISK = {
    "no lock": ("            fcntl.flock(descriptor, lock)\n", "", held_alone),
    "a lock that others may share": ("os.O_RDWR | os.O_APPEND, fcntl.LOCK_EX", "os.O_RDWR | os.O_APPEND, fcntl.LOCK_SH", held_alone),
    "no flush of the line": (FLUSH + FLUSH_FOLDER, FLUSH_FOLDER, flushed_in_order),
    "no flush of the folder": (FLUSH + FLUSH_FOLDER, FLUSH, flushed_in_order),
    "the folder flushed first": (FLUSH + FLUSH_FOLDER, FLUSH_FOLDER + FLUSH, flushed_in_order),
    "flushed before it is written": (WRITE + FLUSH + FLUSH_FOLDER, FLUSH + FLUSH_FOLDER + WRITE, flushed_in_order),
    "no look at the budget": (ASK, "", refuses_too_much),
    "a trace of what was refused": (ASK, "            self._append(file, account, 'NOTE', body={'text': ''})\n" + ASK, refuses_too_much),
    "any unit": ("account.unit_id is not None and unit.id != account.unit_id", "False", binds_unit_rows_and_delta),
    "any number of rows": ("policy.max_rows is not None and unit.max_rows > policy.max_rows", "False", binds_unit_rows_and_delta),
    "a negative delta": ("if delta < 0:", "if False:", binds_unit_rows_and_delta),
    "what others spent forgotten": ("allows(account.rho + rho.value,", "allows(rho.value,", lambda m, f: not overspends(m, f)),
    "a torn line kept": ("            file.truncate(len(data) - len(torn))\n", "", sets_torn_lines_aside),
    "a line without its end forgotten": (
        "return read_account([*lines, torn]) if torn and _follows(torn, account) else account",
        "return account",
        counts_a_line_that_lost_its_end,
    ),
    "a swapped file trusted": (
        "not self._file.exists() or not os.path.samestat(os.fstat(descriptor), self._file.stat())",
        "False",
        notices_a_swapped_file,
    ),
}


def overspends(module, folder):
    """Whether an account of epsilon 1 (rho below 1/60) lets 20 releases of 1/1024 through."""
    account = small(module, folder)
    try:
        for _ in range(20):
            charged(account)
    except DpsynthError:
        return False
    return True


CHECKS = sorted({check for *_, check in ON_DISK.values()}, key=lambda check: check.__name__)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_real_ledger_passes(tmp_path, check):
    assert check(ledger, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file was flushed")
@pytest.mark.parametrize("name", ON_DISK)
def test_a_ledger_without_this_fails(tmp_path, name):
    old, new, check = ON_DISK[name]
    assert not check(mutant(ledger, old, new), tmp_path)


# ---- the chain ----


def sealed(entry):
    """The entry with the hash that it has now."""
    content = {key: value for key, value in entry.items() if key != "hash"}
    return {**content, "hash": hashlib.sha256(b"\x00" + plain_json(content)).hexdigest()}


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """Ledgers that break one rule each, made to fit otherwise; by name."""
    account = small(ledger, tmp_path_factory.mktemp("chains"))
    entry = charged(account)
    account.measured(entry.id, "1" * 64, 1)
    account.note("a note")
    whole = [json.loads(line) for line in (account.folder / "ledger.jsonl").read_bytes().splitlines()]

    def made(change, again=True):
        chain = json.loads(json.dumps(whole))
        chain = json.loads(json.dumps(change(chain) or chain))
        if again:
            rechain(chain)
        return [plain_json(each) for each in chain]

    unit = {"id": "house", "max_rows": 1, "neighbours": "add-remove"}
    policy = {**whole[1]["body"], "unit": {"id": "house", "max_rows": None}}
    return {
        "honest": made(lambda chain: None),
        "hash": made(lambda chain: chain[3]["body"].update(events=2), again=False),
        "version": made(lambda chain: chain[4].update(v=2)),
        "true": made(lambda chain: chain[4].update(v=True)),
        "key": made(lambda chain: chain[4].update(more=1)),
        "number": [*made(lambda chain: None)[:4], plain_json(sealed({**whole[4], "seq": 9}))],
        "gap": made(lambda chain: None)[:3] + made(lambda chain: None)[4:],
        "genesis": made(lambda chain: chain[0].update(type="NOTE")),
        "policy": made(lambda chain: chain[1].update(type="NOTE")),
        "second genesis": made(lambda chain: chain[4].update(type="GENESIS", body=chain[0]["body"])),
        "unknown type": made(lambda chain: chain[4].update(type="REFUND")),
        "note that charges": made(lambda chain: chain[4].update(rho="1/1024")),
        "note on a track": made(lambda chain: chain[4].update(track="gdp")),
        "used id": made(lambda chain: [*chain, chain[2]]),
        "no id": made(lambda chain: chain[2].update(id="") or chain[3].update(id="")),
        "no charge": made(lambda chain: chain[2].update(rho="0/1")),
        "half a unit": made(lambda chain: chain[2].update(rho="1/3")),
        "too much": made(lambda chain: chain[2].update(rho="2097152/1")),
        "delta of 1": made(lambda chain: chain[2].update(delta="1/1")),
        "unit": made(lambda chain: [*chain, {**chain[2], "id": "x", "body": {**chain[2]["body"], "unit": unit}}]),
        "policy for another unit": made(lambda chain: [*chain, {**chain[4], "type": "POLICY", "body": policy}]),
        "released without measured": made(lambda chain: chain[3].update(type="RELEASED")),
        "measured twice": made(lambda chain: [*chain, chain[3]]),
        "spaces": [plain_json(json.loads(line)).replace(b",", b", ", 1) for line in made(lambda chain: None)],
    }


def accepted(module, lines):
    try:
        module.read_account(lines)
    except DpsynthError:
        return False
    return True


RULES = {
    "hash": ('hashlib.sha256(b"\\x00" + _without_hash(line, facts["hash"])).hexdigest() != facts["hash"]', "False"),
    "version": ('facts.pop("v") != VERSION', 'facts.pop("v") is None'),
    "true": ("list(map(type, facts.values())) != _KINDS or ", ""),
    "number": ("if entry.seq != seq:", "if False:"),
    "gap": ("if entry.seq != seq:", "if False and entry.prev:", "if entry.prev != prev:", "if False:"),
    "genesis": ("(expected and entry.type != expected)", "(seq == 1 and entry.type != expected)"),
    "policy": ("(expected and entry.type != expected)", "(seq == 0 and entry.type != expected)"),
    "second genesis": ('(seq > 0 and entry.type == "GENESIS")', "False"),
    "unknown type": ("entry.type not in TYPES or ", ""),
    "note that charges": ('if entry.type != "PREPARE" and (entry.rho or entry.delta):', "if False:"),
    "note on a track": ('if entry.track not in ((GDP, ZCDP) if entry.type == "PREPARE" else ("",)):', "if False:"),
    "used id": ("if not entry.id or entry.id in state.status:", "if not entry.id:"),
    "no id": ("if not entry.id or entry.id in state.status:", "if entry.id in state.status:"),
    "no charge": ("if not rho or RHO_UNIT", "if RHO_UNIT"),
    "half a unit": ("RHO_UNIT % rho.denominator or ", ""),
    "too much": ("rho.numerator > LARGEST_RHO * rho.denominator", "False"),
    "delta of 1": ("if delta.numerator >= delta.denominator:", "if False:"),
    "unit": ("if state.unit_id is not None and unit.id != state.unit_id:", "if False:"),
    "policy for another unit": ("if policy.unit_id is not None and state.unit_id not in (None, policy.unit_id):", "if False:"),
    "released without measured": ("if state.status.get(entry.id) not in _NEXT[entry.type]:", "if entry.id not in state.status:"),
    "measured twice": ("if state.status.get(entry.id) not in _NEXT[entry.type]:", "if entry.id not in state.status:"),
}
"""Rule of the chain, as in `chains`: what is taken out (in one or two places)."""


def test_the_real_chain_accepts_the_honest_ledger_alone(chains):
    assert [name for name, lines in chains.items() if accepted(ledger_chain, lines)] == ["honest"]


@pytest.mark.parametrize("name", RULES)
def test_a_chain_without_this_rule_accepts_what_breaks_it(chains, name, tmp_path):
    weak = mutant(ledger_chain, *RULES[name][:2])
    if len(RULES[name]) > 2:
        (tmp_path / "chain.py").write_text(Path(ledger_chain.__file__).read_text().replace(*RULES[name][:2]))
        weak = mutant(types.SimpleNamespace(__name__=ledger_chain.__name__, __file__=str(tmp_path / "chain.py")), *RULES[name][2:])
    assert accepted(weak, chains[name])
    assert accepted(weak, chains["honest"])


# ---- the order of a run ----


def order_of(world, monkeypatch, run=api, stages=pipeline):
    """What a run does, in order: charge, first look at the rows, and the flushes and renames of what it writes."""
    done, real = [], {"fsync": os.fsync, "rename": os.rename, "replace": os.replace, "open": run.open_engine}

    def noting(what, function, said):
        def noted(*arguments):
            done.append((what, said(*arguments)))
            return function(*arguments)

        return noted

    def name(descriptor):
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    monkeypatch.setattr(os, "fsync", noting("flush", real["fsync"], name))
    monkeypatch.setattr(os, "rename", noting("rename", real["rename"], lambda _, to: Path(to).name))
    monkeypatch.setattr(os, "replace", noting("rename", real["replace"], lambda _, to: Path(to).name))
    monkeypatch.setattr(run, "open_engine", noting("look", real["open"], lambda *_: tuple(world.types())))
    monkeypatch.setattr(run, "pipeline", stages)
    run.run(world.spec(), out=world.out)
    monkeypatch.undo()
    return done


def charge_comes_first(done):
    """The rows are opened once, after PREPARE is in the file and flushed."""
    looks = [place for place, (what, _) in enumerate(done) if what == "look"]
    return len(looks) == 1 and done[looks[0]][1] == ("PREPARE",) and ("flush", "ledger.jsonl") in done[: looks[0]]


def answers_are_safe_before_measured(done):
    """All answers are flushed before `transcript.json` says they are there, and that before the ledger says MEASURED."""
    there = done.index(("rename", "transcript.json"))
    before, after = done[:there], done[there:]
    return {("flush", "measurements.npz"), ("flush", "transcript.json.draft")} <= set(before) and ("flush", "ledger.jsonl") in after


def bundle_is_safe_before_released(done):
    """Every file of the bundle is flushed, then it is renamed, then the ledger says RELEASED."""
    renamed = done.index(("rename", "out"))
    files = {"release.json", "measurements.npz", "model.npz", "synthetic.csv", "report.html"}
    return files <= {what for kind, what in done[:renamed] if kind == "flush"} and ("flush", "ledger.jsonl") in done[renamed:]


def measured_once_after(done):
    """Between the charge and the word that the answers are there, the ledger is not written to."""
    looked = next(place for place, (what, _) in enumerate(done) if what == "look")
    return ("flush", "ledger.jsonl") not in done[looked : done.index(("rename", "transcript.json"))]


ORDER = {
    "no PREPARE": (api, "approved = pipeline.prepare(spec)", "approved = pipeline.rehearsal(spec)", charge_comes_first),
    "a look before PREPARE": (
        api,
        "            approved = pipeline.prepare(spec)\n",
        "            open_engine(source, spec.schema, spec.unit).close()\n            approved = pipeline.prepare(spec)\n",
        charge_comes_first,
    ),
    "answers not flushed": (partial, "        _flush(arrays)\n", "", answers_are_safe_before_measured),
    "the word that they are there not flushed": (partial, "        _flush(draft)\n", "", answers_are_safe_before_measured),
    "MEASURED before the answers": (
        api,
        '    partial.answered(transcript)\n    progress(f"measured:',
        '    pipeline.record_measured(approved, transcript)\n    partial.answered(transcript)\n    progress(f"measured:',
        measured_once_after,
    ),
    "the bundle not flushed": (bundle, "        _flush(work)\n", "", bundle_is_safe_before_released),
    "RELEASED before the bundle": (
        api,
        "    digest = write_bundle(partial.out, certificate, model, records, render)\n    _record_released(approved, reference, digest)\n",
        "    _record_released(approved, reference, '0' * 64)\n    write_bundle(partial.out, certificate, model, records, render)\n",
        bundle_is_safe_before_released,
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file was flushed")
def test_a_real_run_keeps_the_order(tmp_path, monkeypatch):
    done = order_of(World.made(tmp_path), monkeypatch)
    for check in (charge_comes_first, answers_are_safe_before_measured, measured_once_after, bundle_is_safe_before_released):
        assert check(done), check.__name__


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file was flushed")
@pytest.mark.parametrize("name", ORDER)
def test_a_run_in_another_order_is_found(tmp_path, monkeypatch, name):
    module, old, new, check = ORDER[name]
    weak = mutant(module, old, new)
    for attribute in ("Partial", "write_bundle"):
        if module is not api and attribute in vars(weak):
            monkeypatch.setattr(api, attribute, getattr(weak, attribute))
    try:
        done = order_of(World.made(tmp_path), pytest.MonkeyPatch(), weak if module is api else api)
    except DpsynthError:
        return  # it did not even run
    assert not check(done)
