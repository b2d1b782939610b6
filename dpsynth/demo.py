"""The demo: the whole way on the packaged public table, with a ledger of its own."""

import os
from importlib.resources import as_file, files
from itertools import count
from pathlib import Path

from dpsynth import api
from dpsynth.core.ledger import Ledger
from dpsynth.errors import SpecError
from dpsynth.pipeline import Progress
from dpsynth.spec import Spec
from dpsynth.verify.verify import verify

DEFAULT_OUT = "dpsynth-demo"


def packaged_spec(ledger: str | Path) -> Spec:
    """The spec of the packaged table, charged to the given ledger."""
    with as_file(files("dpsynth.data")) as folder:
        return Spec.from_file(folder / "adult.toml").charged_to(ledger)


def run_demo(out: Path | None, progress: Progress) -> str:
    """Opens a ledger beside the output, releases, verifies; returns what to look at. Raises as `api.run` does."""
    out = _free_folder() if out is None else out
    if os.path.lexists(out):
        raise SpecError(f"{out} exists already: choose another --out; no ledger was opened")
    ledger = out.with_name(f"{out.name}-ledger")
    spec = packaged_spec(ledger.absolute())
    Ledger.init(ledger, epsilon="2", delta="1e-8", unit="", approvers=("the demo",))
    progress(f"opened the ledger {ledger}: epsilon 2 for all releases together")
    release = api.run(spec, out=out, progress=progress)
    verdict = verify(out, ledger)
    lines = [
        str(verdict),
        "",
        f"{len(release.data)} synthetic records: {out / 'synthetic.csv'}",
        f"check it:    dpsynth verify {out} --ledger {ledger}",
        f"sample more: dpsynth sample {out} --rows 1000 --out {out}-women.csv --where sex=Female",
        f"the report:  {release.report}",
    ]
    return "\n".join(lines)


def _free_folder() -> Path:
    names = (DEFAULT_OUT if n == 1 else f"{DEFAULT_OUT}-{n}" for n in count(1))
    return next(Path(name) for name in names if not Path(name).exists() and not Path(f"{name}-ledger").exists())
