"""How fast a long account is read, checked and charged: `python benchmarks/ledger.py [--entries 20000]`.

Prints the median and the least of several runs, in milliseconds of wall time.
"""

import argparse
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from dpsynth.core.ledger import LEDGER_FILE, Ledger
from dpsynth.core.ledger_chain import Entry
from dpsynth.privacy import GDP, PrivacyUnit, Rho
from dpsynth.verify.verify import verify_ledger

COST = Rho(Fraction(1, 1 << 22))
UNIT = {"id": "", "max_rows": 1, "neighbours": "add-remove"}


def filled(folder: Path, entries: int) -> Ledger:
    """A ledger of that many entries: releases of three entries each, all Gaussian."""
    ledger = Ledger.init(folder, epsilon="1", delta="1e-9", unit="")
    chain = list(ledger.read().entries)
    while len(chain) < entries:
        own = secrets.token_hex(16)
        bodies: dict[str, dict[str, Any]] = {
            "PREPARE": {"purpose": "a benchmark", "plan": "0" * 64, "unit": UNIT},
            "MEASURED": {"transcript": "1" * 64, "events": 4},
            "RELEASED": {"certificate": "2" * 64},
        }
        for kind, body in bodies.items():
            rho, track = (COST.value, GDP) if kind == "PREPARE" else (Fraction(0), "")
            place = len(chain), chain[-1].hash, kind, own, "release", "2030-01-01"
            chain.append(Entry(*place, rho, Fraction(0), body, "benchmark", "me", track=track).sealed())
    (folder / LEDGER_FILE).write_bytes(b"".join(entry.line() for entry in chain[:entries]))
    return ledger


def timed(action: Callable[[], object], times: int) -> tuple[float, float]:
    """(median, least) milliseconds of the action."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken), min(taken)


def admitted(ledger: Ledger) -> object:
    """One whole admission: lock, read and check the chain, decide, append, flush."""
    return ledger.prepare(release="r", purpose="p", unit=PrivacyUnit(), rho=COST, track=GDP, delta=Fraction(0), plan="0" * 64)


def main() -> None:
    """Prints a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        long, short = filled(Path(folder, "long"), given.entries), filled(Path(folder, "short"), 5)
        rows = {
            f"verify {given.entries} entries": timed(lambda: verify_ledger(long.folder), given.times),
            f"read {given.entries} entries": timed(long.read, given.times),
            f"admit a release after {given.entries} entries": timed(lambda: admitted(long), given.times),
            "append to a short ledger (read, write, flush)": timed(lambda: short.note("x"), given.times),
        }
    for what, (median, least) in rows.items():
        print(f"{what:48} median {median:8.1f} ms   least {least:8.1f} ms")


if __name__ == "__main__":
    main()
