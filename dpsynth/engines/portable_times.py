"""Times as SQL for databases: for every text, the number of steps that `dpsynth.readings` gives it, in the words of a dialect."""

from collections.abc import Sequence
from dataclasses import dataclass

from dpsynth.engines.dialect import Dialect
from dpsynth.readings import CALENDAR, DAY, MICROSECONDS, SHIFT, Pattern, TimeReading, day_number, is_day


@dataclass(frozen=True)
class Whole:
    """A whole-number expression, with the operators of `readings.day_number`."""

    sql: str
    dialect: Dialect

    def __add__(self, other: "Whole | int") -> "Whole":
        return Whole(f"({self.sql} + {_term(other)})", self.dialect)

    __radd__ = __add__

    def __sub__(self, other: "Whole | int") -> "Whole":
        return Whole(f"({self.sql} - {_term(other)})", self.dialect)

    def __rsub__(self, other: int) -> "Whole":
        return Whole(f"({other} - {self.sql})", self.dialect)

    def __mul__(self, other: "Whole | int") -> "Whole":
        return Whole(f"({self.sql} * {_term(other)})", self.dialect)

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> "Whole":
        return Whole(f"({self.dialect.divided(self.sql, other)})", self.dialect)

    def __lt__(self, other: "Whole") -> str:
        return f"{self.sql} < {other.sql}"


def _term(value: Whole | int) -> str:
    return value.sql if isinstance(value, Whole) else str(value)


def groups_sql(pattern: Pattern, text: str, dialect: Dialect) -> str:
    """What each group of the pattern holds; NULL where the text is not written so."""
    return dialect.groups(text, pattern.expression, len(pattern.parts))


def steps_sql(reading: TimeReading, text: str, groups: Sequence[str], dialect: Dialect) -> str:
    """`reading.number`: groups are columns of what `groups_sql` gave, one for each pattern."""
    pairs = zip(reading.patterns, groups, strict=True)
    cases = (f"WHEN {group} IS NOT NULL THEN {_floored(pattern, group, reading.step, dialect)}" for pattern, group in pairs)
    times = f"CASE {' '.join(cases)} END"
    if not reading.plain:
        return times
    number = dialect.number(text)
    return f"coalesce({dialect.floor(f'({number})')}, {times})"


def _floored(pattern: Pattern, group: str, step: int, dialect: Dialect) -> str:
    """floor(microseconds / step) as a double; NULL where the month has no such day."""
    texts = [dialect.element(group, place) for place in range(1, len(pattern.parts) + 1)]
    total, sign = Whole(dialect.whole(dialect.literal("0")), dialect), Whole("1", dialect)
    for part, text in zip(pattern.parts, texts, strict=True):
        if part == "sign":
            sign = Whole(f"(CASE WHEN {text} = '-' THEN -1 ELSE 1 END)", dialect)
        elif part not in CALENDAR:
            total = total + sign * _digits(part, text, dialect) * MICROSECONDS[part]
    day = [_digits(part, texts[pattern.parts.index(part)], dialect) for part in CALENDAR] if "year" in pattern.parts else []
    if day:
        total = total + day_number(*day) * DAY
    shift = SHIFT // step
    steps = dialect.double(((total + shift * step) // step - shift).sql)
    return f"CASE WHEN {is_day(*day)} THEN {steps} END" if day else steps


def _digits(part: str, text: str, dialect: Dialect) -> Whole:
    """What a group says; nothing where it took no part. Of a fraction, the first six digits, filled up with noughts."""
    digits = f"rpad(coalesce({text}, ''), 6, '0')" if part == "fraction" else f"coalesce(nullif({text}, ''), '0')"
    return Whole(dialect.whole(digits), dialect)
