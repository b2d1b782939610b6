"""The estimators a spec can name, and reading back what they made."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import SpecError
from dpsynth.inference import tree_file
from dpsynth.inference.kronecker import Beliefs
from dpsynth.inference.latent_class import FORMAT as LATENT_CLASS
from dpsynth.inference.latent_class import latent_class_from
from dpsynth.inference.maxent import MaxEnt
from dpsynth.inference.model import Estimator, Model
from dpsynth.inference.pairs import LatentClass
from dpsynth.inference.private_pgm import PrivatePgm
from dpsynth.inference.tree_model import tree_model_from

ESTIMATORS: Mapping[str, Callable[[], Estimator]] = {"latent-class": LatentClass, "maxent": MaxEnt, "private-pgm": PrivatePgm}

_READERS: Mapping[str, Callable[[Mapping[str, NDArray[Any]]], Model]] = {LATENT_CLASS: latent_class_from, tree_file.FORMAT: tree_model_from}


def estimator(name: str, iterations: int | None = None, beliefs: Beliefs | None = None) -> Estimator:
    """The estimator of that name; with `iterations`, one that takes so many steps; with `beliefs`, one that shrinks towards these.

    Raises SpecError where there is none.
    """
    if name not in ESTIMATORS:
        raise SpecError(f"synthesis.estimator must be one of {sorted(ESTIMATORS)}, got {name!r}")
    if beliefs:
        return LatentClass(beliefs=beliefs)
    return ESTIMATORS[name]() if iterations is None else PrivatePgm(iterations)


def model_from(arrays: Mapping[str, NDArray[Any]]) -> Model:
    """The model behind the arrays of a model file, whichever kind it is. Raises SpecError for anything else."""
    given = np.asarray(arrays.get("format", ""))
    text = str(given) if given.ndim == 0 and given.dtype.kind == "U" else ""
    if text not in _READERS:
        raise SpecError(f"this is no model file that can be read: format must be one of {sorted(_READERS)}, got {text[:40]!r}")
    return _READERS[text](arrays)
