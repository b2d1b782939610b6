"""Runs one program and says what it took: launcher.py SECONDS PROGRAM WORDS...

Prints a JSON list of its exit code, wall seconds, processor seconds and peak bytes. A program that takes longer than SECONDS is killed, and
also when this one is told to end. It stands between the benchmark and the program because Linux counts the peak memory of whoever starts a
process as the process's own, and the benchmark holds tables. Its own few megabytes are the least that it can report. What the program
prints goes to standard error.
"""

import json
import os
import signal
import sys
import time


def main(words: list[str]) -> None:
    """Starts the program and waits for it."""
    start = time.perf_counter()
    child = os.posix_spawn(words[1], words[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
    for number in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, float(words[0]))
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps([os.waitstatus_to_exitcode(status), seconds, usage.ru_utime + usage.ru_stime, peak]))


if __name__ == "__main__":
    main(sys.argv[1:])
