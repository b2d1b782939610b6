"""The pages of proofs/ as data: the code each one is about, what that code looked like when the page was read, and its checks."""

import hashlib
import importlib
import inspect
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "proofs"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")


def symbols(page):
    """Dotted names under "Code"."""
    return re.findall(r"`(dpsynth\.[\w.]+)`", page.read_text(encoding="utf-8").split("## Code")[1].split("## Checks")[0])


def checks(page):
    """(file, test function) under "Checks"."""
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8").split("## Checks")[1])


def digest(symbol):
    """Of the symbol's source without white space, so that layout does not count."""
    module, _, name = symbol.rpartition(".")
    source = inspect.getsource(getattr(importlib.import_module(module), name))
    return hashlib.sha256("".join(source.split()).encode()).hexdigest()[:12]


def index():
    """What proofs/README.md says: symbol -> digest."""
    return dict(re.findall(r"\| `(dpsynth\.[\w.]+)` \| `([0-9a-f]{12})` \|", (FOLDER / "README.md").read_text(encoding="utf-8")))
