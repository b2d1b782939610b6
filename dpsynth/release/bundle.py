"""The bundle on disk: written beside its place and renamed into it, so that it is whole or absent."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dpsynth import canonical
from dpsynth.errors import SpecError
from dpsynth.inference.estimators import model_from
from dpsynth.inference.model import Model
from dpsynth.release.certificate import Certificate, schema_of
from dpsynth.release.layout import CERTIFICATE_LAYOUT, fits
from dpsynth.release.record import read_arrays, transcript_arrays, write_arrays
from dpsynth.sampling.table import form_of, restored
from dpsynth.schema import Schema

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
        """The fitted model. Raises SpecError for a damaged file, and for the model of another schema."""
        model = model_from(read_arrays(self.folder / MODEL))
        if model.domain != schema_of(self.facts).domain:
            raise SpecError(f"{MODEL} is the model of another schema than {CERTIFICATE} states: restore both from a copy")
        return model

    def records(self) -> pd.DataFrame:
        """The synthetic records as they were written. Raises SpecError for a damaged file."""
        return read_records(self.folder / records_file(self.facts["synthesis"]["format"]), schema_of(self.facts))


def records_file(file_format: str) -> str:
    """Name of the file of records."""
    return f"synthetic.{file_format}"


def write_bundle(folder: Path, certificate: Certificate, model: Model, records: pd.DataFrame, render: Callable[[Bundle], str]) -> str:
    """Write everything into `folder`, which must not exist yet; returns the certificate's digest.

    render: makes report.html from the bundle.
    """
    work = folder.with_name(f".{folder.name}.writing")
    with _refusing_when_unwritable(folder):
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
        if os.path.lexists(folder):
            raise SpecError(f"{folder} appeared while the release was made: move it away and finish with `dpsynth run --resume {folder}`")
        os.rename(work, folder)
    digest: str = facts["digest"]
    return digest


@contextmanager
def _refusing_when_unwritable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SpecError(
            f"{folder} cannot be written ({error.strerror}): make room or give access, "
            f"then finish with `dpsynth run --resume {folder}`, which spends nothing"
        ) from None


def read_bundle(folder: Path) -> Bundle:
    """The bundle in a folder; its digest is checked, its privacy is not (see `dpsynth verify`). Raises SpecError."""
    path = folder / CERTIFICATE
    try:
        if not path.is_file():
            raise SpecError(f"{folder} is no bundle: it holds no {CERTIFICATE}")
        facts = canonical.loads(path.read_bytes().removesuffix(b"\n"))
        digest = canonical.digest({key: value for key, value in facts.items() if key != "digest"})
    except (OSError, ValueError, AttributeError):
        raise SpecError(f"{path} is not a certificate: restore it from a copy") from None
    if digest != facts.get("digest"):
        raise SpecError(f"{path} was changed: its digest does not match; see `dpsynth verify {folder}`")
    if not fits(facts, CERTIFICATE_LAYOUT):
        raise SpecError(f"{path} does not hold what a certificate of this format holds: restore it from a copy")
    schema_of(facts)
    return Bundle(folder, facts)


def write_records(path: Path, records: pd.DataFrame) -> None:
    """Records as .csv (UTF-8, one header line, empty for missing) or .parquet."""
    if path.suffix == ".parquet":
        records.to_parquet(path, index=False)
    else:
        records.to_csv(path, index=False, lineterminator="\n", date_format="%Y-%m-%d %H:%M:%S")


def read_records(path: Path, schema: Schema) -> pd.DataFrame:
    """Records as `write_records` wrote them, in the columns' own types: a text stays one, whatever it looks like. Raises SpecError."""
    labels = [column.name for column in schema.columns if form_of(column) in ("text", "ordered", "date", "datetime")]
    texts = dict.fromkeys(labels, "object")
    try:
        parquet = path.suffix == ".parquet"
        held = pd.read_parquet(path) if parquet else pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=texts)
        return restored(schema, held)
    except (OSError, TypeError, ValueError):
        raise SpecError(f"{path} is missing or damaged: restore it from a copy") from None


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
