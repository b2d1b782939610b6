"""The transcript on disk: canonical facts beside plain int64 arrays, no pickle."""

import io
import zipfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth import canonical
from dpsynth.errors import SpecError
from dpsynth.privacy import Rho
from dpsynth.transcript import Answer, Event, Exchange, Labels, Measurement, Transcript

Arrays = Mapping[str, NDArray[Any]]
ARRAYS_LIMIT = 1 << 34
"""Bytes an .npz file may unpack to."""


def transcript_facts(transcript: Transcript) -> list[dict[str, Any]]:
    """The exchanges as canonical values; tables and errors name the arrays that hold them."""
    facts, number = [], 0
    for place, exchange in enumerate(transcript.exchanges):
        tables = []
        for m in exchange.answer.measurements:
            sigma = canonical.rational_text(Fraction(m.sigma))
            tables.append({"columns": list(m.clique), "sigma": sigma, "array": _array_name(number)})
            number += 1
        events = [_event_facts(event) for event in exchange.events]
        answer = exchange.answer
        errors = None if answer.errors is None else _errors_name(place)
        labels = None if answer.labels is None else {"texts": list(answer.labels.texts), "array": _labels_name(place)}
        told = {"selected": answer.selected, "errors": errors, "labels": labels, "tables": tables}
        facts.append({"question": exchange.question, **told, "events": events})
    return facts


def transcript_arrays(transcript: Transcript) -> dict[str, NDArray[np.int64]]:
    """int64[cells] for each released table and int64[labels] for found ones, in rows; int64[cliques] for errors, in units of 2^-16 rows."""
    arrays = {_array_name(i): m.values for i, m in enumerate(transcript.measurements)}
    for place, exchange in enumerate(transcript.exchanges):
        if exchange.answer.errors is not None:
            arrays[_errors_name(place)] = exchange.answer.errors
        if exchange.answer.labels is not None:
            arrays[_labels_name(place)] = exchange.answer.labels.counts
    return arrays


def transcript_from(facts: list[dict[str, Any]], arrays: Arrays) -> Transcript:
    """The transcript that facts and arrays describe. Raises SpecError where they do not fit together."""
    try:
        return Transcript(tuple(_exchange(each, arrays) for each in facts))
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise SpecError(f"the record of answers is damaged ({type(error).__name__}): restore it from a copy") from None


def write_arrays(path: Path, arrays: Arrays) -> None:
    """An .npz file whose bytes depend on the arrays alone (fixed dates, fixed order)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0)), buffer.getvalue(), zipfile.ZIP_DEFLATED)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file. Raises SpecError for a file that is no such archive, holds objects or is out of all proportion."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > ARRAYS_LIMIT:
                raise SpecError(f"{path.name} unpacks to more than {ARRAYS_LIMIT} bytes")
        with np.load(path, allow_pickle=False) as loaded:
            return {name: np.asarray(loaded[name]) for name in loaded.files}
    except SpecError:
        raise
    except Exception:  # noqa: BLE001 - a hostile archive fails in zipfile, zlib, ast or malloc: whichever it is, it is no archive of ours
        raise SpecError(f"{path.name} is not an archive of plain arrays: restore it from a copy") from None


def _array_name(number: int) -> str:
    return f"table-{number:05d}"


def _errors_name(place: int) -> str:
    return f"errors-{place:05d}"


def _labels_name(place: int) -> str:
    return f"labels-{place:05d}"


def _event_facts(event: Event) -> dict[str, Any]:
    return {
        "mechanism": event.mechanism,
        "columns": list(event.clique),
        "sensitivity": event.sensitivity,
        "scale": canonical.rational_text(event.scale),
        "outcomes": event.outcomes,
        "rho": canonical.rational_text(event.rho.value),
        "question": event.question,
        "threshold": event.threshold,
        "delta": canonical.rational_text(event.delta),
    }


def _table(array: NDArray[Any]) -> NDArray[np.int64]:
    if array.dtype != np.int64 or array.ndim != 1:
        raise ValueError("a noisy table is int64[cells]")
    return array


def _sigma(text: str) -> float:
    sigma = canonical.rational(text)
    if sigma <= 0:
        raise ValueError("noise has a positive standard deviation")
    return float(sigma)


def _exchange(facts: dict[str, Any], arrays: Arrays) -> Exchange:
    measurements = tuple(Measurement(tuple(t["columns"]), _table(arrays[t["array"]]), _sigma(t["sigma"])) for t in facts["tables"])
    events = tuple(
        Event(
            e["mechanism"],
            tuple(e["columns"]),
            e["sensitivity"],
            canonical.rational(e["scale"]),
            e["outcomes"],
            Rho(canonical.rational(e["rho"])),
            e["question"],
            e["threshold"],
            canonical.rational(e["delta"]),
        )
        for e in facts["events"]
    )
    paid = [(event.clique, event.scale) for event in events if event.mechanism == "discrete-gaussian"]
    if [(m.clique, Fraction(m.sigma)) for m in measurements] != paid:
        raise ValueError("a table states other noise than the event that paid for it")
    errors = None if facts["errors"] is None else _table(arrays[facts["errors"]])
    if ([] if errors is None else [len(errors)]) != [event.outcomes for event in events if event.mechanism == "gaussian-errors"]:
        raise ValueError("errors are of other tables than the event paid for")
    return Exchange(facts["question"], Answer(measurements, facts["selected"], errors, _labels(facts["labels"], arrays)), events)


def _labels(facts: dict[str, Any] | None, arrays: Arrays) -> Labels | None:
    if facts is None:
        return None
    texts, counts = tuple(facts["texts"]), _table(arrays[facts["array"]])
    if len(texts) != len(counts) or not all(isinstance(text, str) for text in texts):
        raise ValueError("labels are texts with a noisy count each")
    return Labels(texts, counts)
