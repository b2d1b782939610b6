"""Makes a bundle's files anew from what was written down: `python again.py SPEC BUNDLE FOLDER`. Reads no rows, no synthetic records."""

import sys
from pathlib import Path

from dpsynth import pipeline
from dpsynth.release.bundle import read_bundle, records_file, write_records
from dpsynth.release.record import read_arrays, transcript_from, write_arrays
from dpsynth.spec import Spec


def transcript_of(folder):
    return transcript_from(read_bundle(folder).facts["exchanges"], read_arrays(folder / "measurements.npz"))


def again(spec, transcript, folder):
    """Strategy, inference and sampling from the transcript alone."""
    model = pipeline.fit(spec, pipeline.replayed(spec, pipeline.planned(spec)[0], transcript))
    write_records(folder / records_file(spec.format), pipeline.records(spec, model))
    write_arrays(folder / "model.npz", model.arrays())


if __name__ == "__main__":
    spec_file, bundle, target = map(Path, sys.argv[1:])
    again(Spec.from_file(spec_file), transcript_of(bundle), target)
