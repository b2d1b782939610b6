"""Made-up rows for rehearsals: drawn from the schema alone."""

import numpy as np

from dpsynth.engines.codes import CodesEngine, code_dtype
from dpsynth.errors import SpecError
from dpsynth.schema import Schema


def made_up_engine(schema: Schema, rows: int) -> CodesEngine:
    """An engine over this many rows, each cell of each column equally likely, drawn with the operating system's randomness.

    Raises SpecError for a negative number of rows.
    """
    if rows < 0:
        raise SpecError(f"made-up rows must be at least 0, got {rows}")
    rng = np.random.default_rng()
    sizes = schema.domain.size
    return CodesEngine(schema.domain, {name: rng.integers(size, size=rows, dtype=code_dtype(size)) for name, size in sizes.items()})
