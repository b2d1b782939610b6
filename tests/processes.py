"""The same script in processes of their own, with other thread counts and hash seeds: nothing that is released may tell them apart."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[1])
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def outputs(script, threads, names=THREADS[:3]):
    """What the script prints with one thread and hash seed 0, and with that many threads and another hash seed, as a set."""
    return {_output(script, dict.fromkeys(names, count), seed) for count, seed in (("1", "0"), (str(threads), "271828"))}


def _output(script, limits, seed):
    environment = {**os.environ, **limits, "PYTHONHASHSEED": seed, "PYTHONPATH": ROOT}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    return run.stdout
