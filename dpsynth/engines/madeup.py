"""Made-up rows for rehearsals: drawn from the schema alone."""

import numpy as np

from dpsynth.engines.codes import CodesEngine, Texts, code_dtype
from dpsynth.errors import SpecError
from dpsynth.kinds.open import Open
from dpsynth.schema import Schema

MADE_UP = tuple(f"made-up label {number}" for number in range(1, 9))


def made_up_engine(schema: Schema, rows: int) -> CodesEngine:
    """An engine over this many rows, each cell of each column equally likely, drawn with the operating system's randomness.

    An open column's texts are made up as well: half of the rows hold the first, a quarter the second, and so on.
    Raises SpecError for a negative number of rows.
    """
    if rows < 0:
        raise SpecError(f"made-up rows must be at least 0, got {rows}")
    rng = np.random.default_rng()
    sizes = schema.domain.size
    opened = [column for column in schema.columns if isinstance(column, Open)]
    texts = {column.name: Texts(MADE_UP, np.minimum(rng.geometric(0.5, size=rows), len(MADE_UP)) - 1) for column in opened}
    codes = {name: rng.integers(size, size=rows, dtype=code_dtype(size)) for name, size in sizes.items()}
    return CodesEngine(schema.domain, codes, texts)
