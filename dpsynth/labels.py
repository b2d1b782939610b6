"""What a text that was found in data must be like to become a label, and how a column's cells change once labels or edges are found."""

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import LabelRule

LABEL_LETTERS = 100

Recoding = NDArray[np.int64] | LabelRule
"""How a column's cells change: int64[old cells] -> new cell; for an open column, the rule that says which cell each text gets."""


def is_label(text: str) -> bool:
    """Whether a text may become a label: printable, without blanks around it, of 1 to 100 letters. A rule on the text alone."""
    return 0 < len(text) <= LABEL_LETTERS and text.isprintable() and text == text.strip()
