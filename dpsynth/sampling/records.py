"""Records of a model: all of them, or those with named values."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dpsynth.column import Column
from dpsynth.errors import SpecError
from dpsynth.inference.model import Model
from dpsynth.sampling.ancestral import Codes, draw
from dpsynth.sampling.gibbs import matched
from dpsynth.sampling.table import decode
from dpsynth.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

ROWS_LIMIT = 10**9


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
    texts = {name: _listed(schema.column(name), value) for name, value in where.items()}
    cells = {name: schema.column(name).rule.cell(text) for name, text in texts.items()}
    records = decode(schema, draw_codes(model.condition(cells) if cells else model, rows, seed), seed)
    for name, text in texts.items():
        if text and schema.column(name).kind in ("integer", "number"):
            # A cell stands for several values: the records must hold the very one that was asked for.
            records[name] = records[name].where(records[name].isna(), _number(schema.column(name), text))
    return records


def _number(column: Column, text: str) -> float | int:
    return int(float(text)) if column.kind == "integer" else float(text)


def _listed(column: Column, value: object) -> str:
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
