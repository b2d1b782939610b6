"""Records of a model: all of them, or those with named values."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Modelled
from dpsynth.errors import SpecError
from dpsynth.inference.model import Model
from dpsynth.sampling.ancestral import Codes, draw
from dpsynth.sampling.gibbs import matched
from dpsynth.sampling.table import decode
from dpsynth.sampling.together import orderly
from dpsynth.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

ROWS_LIMIT = 10**9

ATTEMPTS, LEAST_DRAWN = 50, 1000
"""How often cells are drawn again, and how many at least, where values that were asked for do not go with the ones drawn first."""


def draw_codes(model: Model, rows: int, seed: int) -> dict[str, Codes]:
    """Codes of each column, unsigned[rows]: drawn from the model, then matched to its pair targets where it has any."""
    codes = draw(model, rows, seed)
    targets, domain = model.pair_targets, model.domain
    if targets is None:
        return codes
    records = np.stack([codes[column] for column in domain.columns], axis=1).astype(np.uint16)
    records = matched(model, targets, records, seed)
    return {column: records[:, i].astype(codes[column].dtype) for i, column in enumerate(domain.columns)}


def sample_records(model: Model, schema: Schema, rows: int, seed: int, where: Mapping[str, object]) -> "pd.DataFrame":
    """Records of the model whose named columns hold the given values.

    Raises SpecError for a value the schema does not list, or rows or seed out of range.
    """
    if isinstance(rows, bool) or not isinstance(rows, int) or not 0 <= rows <= ROWS_LIMIT:
        raise SpecError(f"rows must be a whole number from 0 to {ROWS_LIMIT}, got {rows!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise SpecError(f"seed must be a whole number from 0 to 2^63 - 1, got {seed!r}")
    texts = {name: _listed(schema.modelled_column(name), value) for name, value in where.items()}
    cells = {name: schema.modelled_column(name).rule.cell(text) for name, text in texts.items()}
    codes = _orderly_codes(model.condition(cells) if cells else model, schema, rows, seed, texts)
    return decode(schema, codes, seed, texts)


def _orderly_codes(model: Model, schema: Schema, rows: int, seed: int, texts: Mapping[str, str]) -> dict[str, Codes]:
    """Codes that leave values in the order of the rules beside the very values asked for: cells that do not are drawn again."""
    found = draw_codes(model, rows, seed)
    if not schema.book.order or not texts:
        return found
    found = _kept(found, orderly(schema, found, texts))
    for attempt in range(ATTEMPTS):
        short = rows - len(next(iter(found.values())))
        if not short:
            return found
        again = int(np.random.SeedSequence([seed, attempt]).generate_state(1)[0])
        more = draw_codes(model, max(2 * short, LEAST_DRAWN), again)
        more = _kept(more, orderly(schema, more, texts))
        found = {name: np.concatenate([found[name], more[name][:short]]) for name in found}
    raise SpecError(f"next to no record keeps the rules with {dict(texts)}: ask for other values, or change the rules")


def _kept(codes: Mapping[str, Codes], rows: NDArray[np.bool_]) -> dict[str, Codes]:
    return {name: each[rows] for name, each in codes.items()}


def _listed(column: Modelled, value: object) -> str:
    text = "" if value is None else str(value)
    if not text.strip():
        if column.missing:
            return ""
        raise SpecError(f"column {column.name!r} has no missing values: name one of its values")
    if not column.rule.lists(text):
        labels = list(column.cell_labels())
        shown = f"{labels[:12]} and {len(labels) - 12} more" if len(labels) > 12 else f"{labels}"
        raise SpecError(f"column {column.name!r} does not list {text!r}: it has {shown}")
    return text
