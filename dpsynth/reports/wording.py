"""How numbers and names are written for people."""

import math
import unicodedata
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

DASH, MINUS, SIGMA, TIMES = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{GREEK SMALL LETTER SIGMA}", "\N{MULTIPLICATION SIGN}"
_EXACT = Context(prec=40, Emin=-(10**9), Emax=10**9)


def shown(value: object) -> object:
    """Text with every character that cannot be seen (controls, direction marks, lone surrogates) spelled out; anything else unchanged."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value) if type(value) is str else value


def count(value: float) -> str:
    """A number of rows, as precise as a reader can use: 48,842, 12.3, 0.85."""
    size = abs(value)
    digits = 0 if size >= 100 or size == 0 else 1 if size >= 10 else 2
    text = f"{value:,.{digits}f}"
    return text.replace("-", MINUS) if float(text.replace(",", "")) else "0"


def axis_number(value: float) -> str:
    """A round number on an axis: 0, 500, 20k, 1.5M."""
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{name}".replace("-", MINUS)
    return f"{value:g}".replace("-", MINUS)


def percent(share: float) -> str:
    """A share of a whole: 12.3%, or "under 0.1%" and "over 99.9%" where rounding would hide the rest."""
    if 0 < share < 0.001:
        return "under 0.1%"
    if 0.9995 <= share < 1:
        return "over 99.9%"
    return f"{100 * share:.1f}%"


def distance(value: float) -> str:
    """A share of rows in three digits, without exponent."""
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}"


def factor_up(epsilon: Fraction) -> str:
    """e to the epsilon, rounded up to three digits; from about half a million on, to a power of ten."""
    exponent = _EXACT.divide(Decimal(epsilon.numerator), Decimal(epsilon.denominator))
    if exponent > 13:
        return f"10^{math.ceil(_EXACT.divide(exponent, _EXACT.ln(Decimal(10))))}"
    value = Context(prec=3, rounding=ROUND_CEILING).plus(_EXACT.exp(exponent))
    return f"{value:,f}" if value >= 1000 else f"{value.normalize():f}"


def plain_down(value: Fraction) -> str:
    """A budget as people write it, rounded down to six digits so that what is printed can really be spent."""
    number = Context(prec=6, rounding=ROUND_FLOOR).divide(Decimal(value.numerator), Decimal(value.denominator)).normalize()
    return f"{number:f}" if number == 0 or abs(number) >= Decimal("0.001") else f"{number:e}"


def percent_up(share: float) -> str:
    """A share, rounded up to a tenth of a percent, at most 100%."""
    return f"{min(100.0, math.ceil(share * 1000) / 10):g}%"


def plural(number: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 column, 14 columns."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def joined(names: Sequence[str]) -> str:
    """Columns of one table, in words."""
    return f" {TIMES} ".join(names) if names else "number of rows"


def letters(text: str) -> int:
    """How wide text is, in Latin letters: wide letters count twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def shortened(text: str, width: int) -> str:
    """Text, its invisible characters spelled out, cut to a width in Latin letters."""
    visible = str(shown(text))
    if letters(visible) <= width:
        return visible
    kept = visible[:width]
    while letters(kept) > width - 1:
        kept = kept[:-1]
    return kept + "…"
