"""Whatever is killed, and whenever: what was drawn was charged. Whoever races: exactly what fits succeeds."""

import multiprocessing
import os
import resource
import signal
from fractions import Fraction
from pathlib import Path

import pytest

from dpsynth.core.ledger import LEDGER_FILE, POLICY_FILE, Ledger
from dpsynth.errors import BudgetRefused
from dpsynth.privacy import Rho
from dpsynth.verify import verify
from tests.core.accounts import SMALL, charge, content, lines, opened, total

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def in_child(action):
    """Runs the action in a forked process; how it ended: an exit code, or minus the signal that killed it."""
    if (child := os.fork()) == 0:
        try:
            action()
        except BudgetRefused:
            os._exit(3)
        except BaseException:  # noqa: BLE001 - a forked test must never return into the test runner
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def release(ledger, drawn, kill_at, written):
    """A whole release that is killed in write number `kill_at` of the ledger, when `written(line)` bytes of it are in the file."""
    writes = iter(range(100))
    plain = Ledger._write

    def write(self, file, line):
        if next(writes) == kill_at:
            file.write(line[: written(line)])
            die()
        plain(self, file, line)

    Ledger._write = write
    entry = charge(ledger)
    with open(drawn, "ab") as noise:  # the first private read, and the draw
        noise.write(b".")
    ledger.measured(entry.id, "1" * 64, 1)
    ledger.released(entry.id, "2" * 64)
    ledger.note("done")


POINTS = {
    "nothing": lambda line: 0,
    "one byte": lambda line: 1,
    "half": lambda line: len(line) // 2,
    "all but the newline": lambda line: -1,
    "the line": len,
}


@pytest.mark.parametrize("written", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("kill_at", range(4))
def test_a_run_killed_in_any_write_has_charged_what_it_drew(tmp_path, kill_at, written):
    ledger, drawn = opened(tmp_path / "account"), tmp_path / "drawn"
    drawn.touch()
    assert in_child(lambda: release(ledger, drawn, kill_at, written)) == -signal.SIGKILL
    spent = ledger.read().rho
    assert spent >= len(drawn.read_bytes()) * SMALL.value
    assert len(drawn.read_bytes()) == (kill_at > 0)
    charge(ledger)
    assert ledger.read().rho == spent + SMALL.value
    assert verify.verify_ledger(ledger.folder).ok


def test_a_whole_prepare_that_lost_its_newline_counts_as_spent(tmp_path):
    ledger = opened(tmp_path / "account")
    charge(ledger, total())
    file = ledger.folder / LEDGER_FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert ledger.read().rho == total().value
    assert file.read_bytes() == whole[:-1]
    with pytest.raises(BudgetRefused):
        charge(ledger)
    assert file.read_bytes() == whole


def test_a_torn_line_is_set_aside_with_a_note_and_never_glued_to_the_next(tmp_path):
    ledger = opened(tmp_path / "account")
    charge(ledger)
    file = ledger.folder / LEDGER_FILE
    whole = file.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(start + 1, len(whole) - 1):
        file.write_bytes(whole[:cut])
        assert ledger.read().rho == 0
    charge(ledger)
    (aside,) = ledger.folder.glob("ledger.torn-*")
    assert aside.read_bytes() == whole[start:cut]
    types = [entry.type for entry in ledger.read().entries]
    assert types == ["GENESIS", "POLICY", "NOTE", "PREPARE"]
    assert aside.name in ledger.read().entries[2].body["text"]
    assert verify.verify_ledger(ledger.folder).ok


@pytest.mark.parametrize("kill_at", [0, 1])
@pytest.mark.parametrize("written", POINTS.values(), ids=POINTS)
def test_an_account_killed_while_it_is_opened_allows_nothing_that_was_not_approved(tmp_path, kill_at, written):
    def opening():
        writes, plain = iter(range(9)), Ledger._write

        def write(self, file, line):
            if next(writes) == kill_at:
                file.write(line[: written(line)])
                die()
            plain(self, file, line)

        Ledger._write = write
        opened(tmp_path / "account")

    assert in_child(opening) == -signal.SIGKILL
    approved = kill_at == 1 and written(b"0123456789") in (-1, 10)
    ledger = Ledger.open(tmp_path / "account")
    for _ in range(2):
        if approved:
            charge(ledger)
        else:
            with pytest.raises(BudgetRefused):
                charge(ledger)


@pytest.mark.parametrize("room", [0, 1, 100, 300])
def test_a_full_disk_refuses_the_release_and_leaves_a_ledger_that_works(tmp_path, room):
    ledger = opened(tmp_path / "account")
    size = len(lines(ledger))

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, size + room))
        charge(ledger)

    assert in_child(limited) == 3
    assert len(lines(ledger)) == size + room
    assert in_child(limited) == 3  # the torn line is no reason to glue the next one to it
    assert ledger.read().rho == 0
    charge(ledger)
    assert ledger.read().rho == SMALL.value
    assert verify.verify_ledger(ledger.folder).ok


def test_what_cannot_be_flushed_is_not_released_and_counts_as_spent(tmp_path, monkeypatch):
    ledger = opened(tmp_path / "account")

    def fails(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(BudgetRefused, match=r"cannot be written \(Input/output error\)"):
        charge(ledger)
    assert ledger.read().rho == SMALL.value


def test_file_and_folder_are_flushed_before_prepare_returns(tmp_path, monkeypatch):
    ledger, flushed, real = opened(tmp_path / "account"), [], os.fsync

    def noted(descriptor):
        link = Path(f"/proc/self/fd/{descriptor}")
        flushed.append((link.readlink().name if link.exists() else "?", len(lines(ledger))))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    charge(ledger)
    size = len(lines(ledger))
    assert [s for _, s in flushed] == [size, size]
    assert [name for name, _ in flushed] in ([LEDGER_FILE, "account"], ["?", "?"])


def contender(folder, barrier, cost):
    barrier.wait()
    try:
        charge(Ledger.open(folder), cost)
    except BudgetRefused:
        raise SystemExit(3) from None


@pytest.mark.parametrize(("processes", "fitting"), [(2, 1), (8, 5), (8, 8)])
def test_of_processes_that_race_for_a_budget_exactly_those_that_fit_succeed(tmp_path, processes, fitting):
    ledger = opened(tmp_path / "account")
    cost = Rho.down(total().value / fitting)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(processes)
    racers = [context.Process(target=contender, args=(ledger.folder, barrier, cost)) for _ in range(processes)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(racer.exitcode for racer in racers) == [0] * fitting + [3] * (processes - fitting)
    assert ledger.read().rho == cost.value * fitting
    assert len(content(ledger)) == 2
    assert verify.verify_ledger(ledger.folder).ok


def test_a_lock_that_was_held_when_its_process_was_killed_is_free_again(tmp_path):
    ledger = opened(tmp_path / "account")

    def hold():
        with ledger._locked():
            die()

    assert in_child(hold) == -signal.SIGKILL
    charge(ledger)
    assert ledger.read().rho == Fraction(1, 1024)


@pytest.mark.parametrize("place", ["before the entry", "after the entry", "before the file is renamed"])
def test_a_change_of_policy_that_is_killed_stands_as_a_whole_or_not_at_all(tmp_path, place):
    ledger = opened(tmp_path / "account")

    def changing():
        owner, name = {"before the entry": (Ledger, "_append"), "after the entry": (Ledger, "_show_policy")}.get(place, (os, "replace"))
        setattr(owner, name, lambda *_, **__: die())
        ledger.change_policy(epsilon="2", approvers=["the owner"])

    assert in_child(changing) == -signal.SIGKILL
    stands = ledger.read().policy.epsilon == 2
    assert stands == (place != "before the entry")
    assert (POLICY_FILE in content(ledger)) and b'epsilon = "1"' in content(ledger)[POLICY_FILE]  # whole, if old: the entry counts
    ledger.change_policy(epsilon="3", approvers=["the owner"])
    assert b'epsilon = "3"' in content(ledger)[POLICY_FILE]
    assert verify.verify_ledger(ledger.folder).ok
