"""Runs the command line in processes that kill or interrupt themselves at a step: `python crashing.py PLAN`.

PLAN is JSON: a list of [step, signal, folder, words]. Everything is imported once; each run is a forked process of its own that waits
until all are there. Prints the list of exit statuses (negative: the signal that ended it).
"""

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet  # noqa: F401 - imported once, before the processes part

from dpsynth import api, cli, pipeline
from dpsynth.core import mechanisms
from dpsynth.release import bundle
from dpsynth.release.partial import Partial

STEPS = {
    "after PREPARE": (pipeline, "prepare", "after"),
    "after the entry is remembered": (Partial, "charged", "after"),
    "after the first answer": (mechanisms, "measure", "after"),
    "before the answers are kept": (Partial, "answered", "before"),
    "between the two files of answers": (Partial, "answered", "inside"),
    "before MEASURED": (pipeline, "record_measured", "before"),
    "after MEASURED": (pipeline, "record_measured", "after"),
    "before the bundle is renamed": (bundle, "_flush", "after"),
    "before RELEASED": (api, "write_bundle", "after"),
    "after RELEASED": (api, "_record_released", "after"),
}
"""Step: (where, which function, whether the process dies before, after or inside it)."""


def armed(step, number):
    """Replaces the function of the step by one that raises the signal there."""
    owner, name, place = STEPS[step]
    real = getattr(owner, name)

    def dying(*arguments, **options):
        if place == "before":
            signal.raise_signal(number)
        if place == "inside":
            Partial._write = lambda *_: signal.raise_signal(number)
        result = real(*arguments, **options)
        if place == "after":
            signal.raise_signal(number)
        return result

    setattr(owner, name, dying)


def child(step, number, folder, words, gate):
    """Waits for the gate, runs, and ends as the command line ends."""
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    os.read(gate, 1)
    sys.stdout = sys.stderr = Path("said.txt").open("a", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    if step:
        armed(step, number)
    try:
        cli.main(words)
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    os._exit(70)


def main(plan):
    warnings.simplefilter("ignore")  # newer Pythons warn of forks; nothing was started before them
    gate, release = os.pipe()
    children = []
    for run in plan:
        pid = os.fork()
        if pid == 0:
            os.close(release)
            child(*run, gate)
        children.append(pid)
    os.close(release)
    sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]))


if __name__ == "__main__":
    np.random.default_rng()
    main(json.loads(sys.argv[1]))
