"""The command line of the package as a user runs it, with the time and memory of its process."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")
PROGRAM = "import sys; from dpsynth.cli import main; sys.exit(main())"
"""What the installed `dpsynth` script does, for the Python that runs this file."""
MEBIBYTE = 1 << 20
TIME_LIMIT = 3600.0


class CommandFailed(Exception):
    """dpsynth refused or was stopped; the message ends with its last words."""


@dataclass(frozen=True)
class Took:
    """Wall seconds from start to end, processor seconds on all cores, largest resident size in MiB."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def command(*words: str, folder: Path, time_limit: float = TIME_LIMIT) -> Took:
    """Runs dpsynth with these words in the folder. Raises CommandFailed where it ends with an error or takes longer than the limit."""
    program = [sys.executable, "-c", PROGRAM, *words]
    with tempfile.TemporaryFile("w+") as said:
        launched = [sys.executable, "-I", str(LAUNCHER), str(time_limit), *program]
        done = subprocess.run(launched, cwd=folder, stdout=subprocess.PIPE, stderr=said, text=True, check=True)
        code, seconds, cpu_seconds, peak = json.loads(done.stdout)
        if code:
            said.seek(0)
            ending = f"was stopped after {seconds:.0f} s" if seconds >= time_limit else f"ended with {code}"
            raise CommandFailed(f"dpsynth {' '.join(words)} {ending}:\n{said.read()[-2000:]}".rstrip(":\n"))
    return Took(seconds, cpu_seconds, peak / MEBIBYTE)


def machine() -> str:
    """The kind of machine in words: cores and memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()}-core, {memory:.0f} GB"
