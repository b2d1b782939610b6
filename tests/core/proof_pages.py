"""proofs/ as data: index.toml says what each page claims, the code it is about, what that looked like when it was read, and its checks."""

import hashlib
import importlib
import inspect
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "proofs"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
INDEX = tomllib.loads((FOLDER / "index.toml").read_text(encoding="utf-8"))
DIGESTS = [(page, code["symbol"], code["digest"]) for page, entry in INDEX.items() for code in entry["code"]]
CHECKS = sorted({check for entry in INDEX.values() for check in entry["checks"]})


def symbols(page):
    """Dotted names under "Code" of a page."""
    return re.findall(r"`(dpsynth\.[\w.]+)`", page.read_text(encoding="utf-8").split("## Code")[1].split("## Checks")[0])


def checks(page):
    """`file::test` under "Checks" of a page."""
    return re.findall(r"`(tests/[\w/]+\.py::\w+)`", page.read_text(encoding="utf-8").split("## Checks")[1])


def listed():
    """Page -> claim, as proofs/README.md lists them."""
    rows = re.findall(r"^\| (.*) \| \[([\w-]+)\]\(([\w-]+)\.md\) \|$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert all(title == page for _, title, page in rows)
    return {page: claim for claim, _, page in rows}


def digest(symbol):
    """Of the symbol's source without white space, so that layout does not count."""
    module, _, name = symbol.rpartition(".")
    source = inspect.getsource(getattr(importlib.import_module(module), name))
    return hashlib.sha256("".join(source.split()).encode()).hexdigest()[:12]
