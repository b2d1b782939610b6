"""How numbers and names are written for people."""

import math
import unicodedata
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction

_EXACT = Context(prec=40, Emin=-(10**9), Emax=10**9)


def shown(value: object) -> object:
    """Text with every character that cannot be seen (controls, direction marks, lone surrogates) spelled out; anything else unchanged."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value) if type(value) is str else value


def count(value: float) -> str:
    """A number of rows, as precise as a reader can use: 48,842, 12.3, 0.85."""
    size = abs(value)
    digits = 0 if size >= 100 or size == 0 else 1 if size >= 10 else 2
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else "0"


def axis_number(value: float) -> str:
    """A round number on an axis: 0, 500, 20k, 1.5M."""
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{name}".replace("-", "−")
    return f"{value:g}".replace("-", "−")


def percent(share: float) -> str:
    """A share of a whole: 12.3 %, or "< 0.1 %" where rounding would hide it."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %"


def distance(value: float) -> str:
    """A share of rows in three digits, without exponent."""
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}"


def factor_up(epsilon: Fraction) -> str:
    """e to the epsilon, rounded up to three digits; beyond a million, in words."""
    exponent = _EXACT.divide(Decimal(epsilon.numerator), Decimal(epsilon.denominator))
    if exponent > 13:
        return "more than a million"
    value = Context(prec=3, rounding=ROUND_CEILING).plus(_EXACT.exp(exponent))
    return f"{value:,f}" if value >= 1000 else f"{value.normalize():f}"


def percent_up(share: float) -> str:
    """A share, rounded up to a tenth of a percent, at most 100 %."""
    return f"{min(100.0, math.ceil(share * 1000 - 1e-9) / 10):g} %"


def plural(number: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 column, 14 columns."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def joined(names: Sequence[str]) -> str:
    """Columns of one table, in words."""
    return " × ".join(names) if names else "number of rows"


def shortened(text: object, width: int) -> str:
    """Text cut to a width in Latin letters; wide letters count twice."""
    visible, used = str(shown(text)), 0
    for place, letter in enumerate(visible):
        used += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if used > width:
            return visible[: max(1, place - 1)] + "…"
    return visible
