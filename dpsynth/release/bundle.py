"""The bundle on disk: written beside its place and renamed into it, so that it is whole or absent."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dpsynth import canonical
from dpsynth.errors import SpecError
from dpsynth.inference.estimators import model_from
from dpsynth.inference.model import Model
from dpsynth.release.certificate import Certificate
from dpsynth.release.record import read_arrays, transcript_arrays, write_arrays

CERTIFICATE = "release.json"
REPORT = "report.html"
MEASUREMENTS = "measurements.npz"
MODEL = "model.npz"


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read: the certificate's values and where the rest is."""

    folder: Path
    facts: dict[str, Any]

    def model(self) -> Model:
        """The fitted model. Raises SpecError for a damaged file."""
        return model_from(read_arrays(self.folder / MODEL))

    def records(self) -> pd.DataFrame:
        """The synthetic records as they were written."""
        return read_records(self.folder / records_file(self.facts["synthesis"]["format"]))


def records_file(file_format: str) -> str:
    """Name of the file of records."""
    return f"synthetic.{file_format}"


def write_bundle(
    folder: Path, certificate: Certificate, model: Model, records: pd.DataFrame, render: Callable[[Bundle], str]
) -> str:
    """Write everything into `folder`, which must not exist yet; returns the certificate's digest.

    render: makes report.html from the bundle.
    """
    work = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    name = records_file(certificate.settings.format)
    write_records(work / name, records)
    write_arrays(work / MEASUREMENTS, transcript_arrays(certificate.transcript))
    write_arrays(work / MODEL, model.arrays())
    facts = {**certificate.facts(), "files": {file: _digest(work / file) for file in (name, MEASUREMENTS, MODEL)}}
    facts = {**facts, "digest": canonical.digest(facts)}
    (work / CERTIFICATE).write_bytes(canonical.dumps(facts) + b"\n")
    (work / REPORT).write_text(render(Bundle(work, facts)), encoding="utf-8")
    _flush(work)
    if folder.exists():
        raise SpecError(f"{folder} appeared while the release was made: move it away and finish with `dpsynth run --resume {folder}`")
    os.rename(work, folder)
    digest: str = facts["digest"]
    return digest


def read_bundle(folder: Path) -> Bundle:
    """The bundle in a folder; its digest is checked, its privacy is not (see `dpsynth verify`). Raises SpecError."""
    path = folder / CERTIFICATE
    if not path.is_file():
        raise SpecError(f"{folder} is no bundle: it holds no {CERTIFICATE}")
    try:
        facts = canonical.loads(path.read_bytes().removesuffix(b"\n"))
        digest = canonical.digest({key: value for key, value in facts.items() if key != "digest"})
    except (ValueError, AttributeError):
        raise SpecError(f"{path} is not a certificate: restore it from a copy") from None
    if digest != facts.get("digest"):
        raise SpecError(f"{path} was changed: its digest does not match; see `dpsynth verify {folder}`")
    return Bundle(folder, facts)


def write_records(path: Path, records: pd.DataFrame) -> None:
    """Records as .csv (UTF-8, one header line, empty for missing) or .parquet."""
    if path.suffix == ".parquet":
        records.to_parquet(path, index=False)
    else:
        records.to_csv(path, index=False, lineterminator="\n")


def read_records(path: Path) -> pd.DataFrame:
    """Records as `write_records` wrote them."""
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, keep_default_na=False, na_values=[""])


def _digest(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def _flush(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
