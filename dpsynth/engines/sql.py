"""Cell rules as SQL for DuckDB: for every text, the cell that `dpsynth.cells` gives it.

Done in two steps, each over a column of the step before, so that nothing is computed twice:

    text --value_sql--> value (VARCHAR without blanks, or DOUBLE; NULL: missing or unreadable) --cell_sql--> cell

Everything that comes from a spec is quoted here, and only here.
"""

from dpsynth.cells import CellRule, IntegerRule, LabelRule, NumberRule, ascii_lower
from dpsynth.readings import (
    BLANKS,
    CALENDAR,
    DAY,
    LONGEST_NUMBER,
    MICROSECONDS,
    NUMBER_PATTERN,
    SHIFT,
    Pattern,
    Plain,
    Reading,
    TimeReading,
)

_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BIGINT = 1 << 62


def literal(text: str) -> str:
    """A VARCHAR literal: between single quotes only the quote itself is special. NUL is put in by `chr`, for it may end the query."""
    pieces = ["'" + piece.replace("'", "''") + "'" for piece in text.split("\0")]
    return pieces[0] if len(pieces) == 1 else f"({' || chr(0) || '.join(pieces)})"


def double(value: float) -> str:
    """A DOUBLE literal of exactly this finite value: the shortest text that reads back as it, never a DECIMAL."""
    return f"{literal(repr(float(value)))}::DOUBLE"


def trimmed_sql(text: str) -> str:
    """`readings.trimmed` of a VARCHAR expression."""
    return f"nullif(trim({text}, {literal(BLANKS)}), '')"


def parsed_sql(text: str) -> str:
    """`readings.parsed`: the pattern decides what is a number; the cast then meets nothing but numbers."""
    trimmed = f"trim({text}, {literal(BLANKS)})"
    return f"CASE WHEN {_is_number_sql(trimmed)} THEN TRY_CAST({trimmed} AS DOUBLE) END"


def _is_number_sql(value: str) -> str:
    return f"length({value}) <= {LONGEST_NUMBER} AND regexp_full_match({value}, {literal(NUMBER_PATTERN)})"


def value_sql(rule: CellRule, text: str) -> str:
    """What the rule makes of a text before it looks for the cell."""
    match rule:
        case LabelRule():
            value = trimmed_sql(text)
            return f"translate({value}, '{_UPPER}', '{ascii_lower(_UPPER)}')" if rule.fold_case else value
        case IntegerRule() | NumberRule():
            return reading_sql(rule.reading, text)


def reading_sql(reading: Reading, text: str) -> str:
    """`reading.number` of a VARCHAR expression, as DOUBLE; NULL: none."""
    match reading:
        case Plain():
            return parsed_sql(text)
        case TimeReading():
            return _time_sql(reading, f"trim({text}, {literal(BLANKS)})")


def cell_sql(rule: CellRule, value: str) -> str:
    """The cell of a value; `value` must be a column name or as cheap, for it is repeated."""
    match rule:
        case LabelRule():
            return _label_sql(rule, value)
        case IntegerRule():
            return _integer_sql(rule, value)
        case NumberRule():
            return _number_sql(rule, value)


def _time_sql(reading: TimeReading, value: str) -> str:
    """The first pattern that fits decides, as in the reference; whole numbers below 2^63 until the last step."""
    plain = f" WHEN {_is_number_sql(value)} THEN floor(TRY_CAST({value} AS DOUBLE))" if reading.plain else ""
    shift = SHIFT // reading.step
    times = "".join(
        f" WHEN regexp_full_match({value}, {literal(pattern.expression)})"
        f" THEN CAST(({_microseconds_sql(pattern, value)} + {shift * reading.step}) // {reading.step} - {shift} AS DOUBLE)"
        for pattern in reading.patterns
    )
    return f"CASE{plain}{times} END"


def _microseconds_sql(pattern: Pattern, value: str) -> str:
    """`pattern.microseconds` of a text that fits, as BIGINT; NULL for a day that the calendar does not have.

    The lambda is there to name what was found: DuckDB would otherwise look for it again at each use.
    """
    groups = [f"g{i}" for i in range(len(pattern.parts))]
    held = {part: f"found.{group}" for part, group in zip(pattern.parts, groups, strict=True)}
    terms, sign = ["0::BIGINT"], ""
    if "year" in held:
        day = " || '-' || ".join(held[part] for part in CALENDAR)
        terms = [f"(TRY_CAST({day} AS DATE) - DATE '1970-01-01') * {DAY}"]
    for part, group in zip(pattern.parts, groups, strict=True):
        if part == "sign":
            sign = f"CASE WHEN found.{group} = '-' THEN -1 ELSE 1 END * "
        elif part not in CALENDAR:
            digits = f"rpad(found.{group}, 6, '0')" if part == "fraction" else f"found.{group}"
            terms.append(f"{sign}{MICROSECONDS[part]} * coalesce(TRY_CAST({digits} AS BIGINT), 0)")
    found = f"regexp_extract({value}, {literal(f'^(?:{pattern.expression})$')}, [{', '.join(map(literal, groups))}])"
    return f"list_transform([{found}], lambda found: {' + '.join(terms)})[1]"


def _label_sql(rule: LabelRule, value: str) -> str:
    """An ENUM is DuckDB's hash table from texts to positions, so the cost does not grow with the labels; it takes plain literals only."""
    cells = {text: cell for text, cell in rule.cells if _is_unicode(text)}
    odd = "".join(f" WHEN {value} = {literal(text)} THEN {cell}" for text, cell in cells.items() if "\0" in text)
    cells = {text: cell for text, cell in cells.items() if "\0" not in text}
    if not cells:
        return f"CASE WHEN {value} IS NULL THEN {rule.missing}{odd} ELSE {rule.outside} END"
    position = f"enum_code(TRY_CAST({value} AS ENUM({', '.join(map(literal, cells))})))"
    if list(cells.values()) != list(range(len(cells))):
        position = f"{list(cells.values())}[1 + CAST({position} AS BIGINT)]"
    return f"CASE WHEN {value} IS NULL THEN {rule.missing}{odd} ELSE coalesce({position}, {rule.outside}) END"


def _is_unicode(text: str) -> bool:
    """Whether a text can occur in data at all: half surrogates cannot be written as UTF-8."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _integer_sql(rule: IntegerRule, value: str) -> str:
    span = rule.most - rule.least + 1
    whole = "BIGINT" if span * rule.bins < _BIGINT else "HUGEINT"
    below, above = (0, (span - 1) * rule.bins // span) if rule.outside is None else (rule.outside, rule.outside)
    return (
        f"CASE WHEN {value} IS NULL OR (isfinite({value}) AND {value} <> floor({value})) THEN {rule.unreadable}"
        f" WHEN {value} < {double(rule.least)} THEN {below} WHEN {value} > {double(rule.most)} THEN {above}"
        f" ELSE (TRY_CAST({value} AS {whole}) - ({rule.least})) * {rule.bins}::{whole} // {span}::{whole} END"
    )


def _number_sql(rule: NumberRule, value: str) -> str:
    """Binary search: the largest count c of inner edges with edge_c <= v, built from its highest bit down.

    A position past the last edge reads NULL, which compares as "no".
    """
    inner = rule.edges[1:-1]
    edges = "[" + ", ".join(literal(repr(float(edge))) for edge in inner) + "]::DOUBLE[]"
    steps = [1 << bit for bit in reversed(range(len(inner).bit_length()))]
    cell = f"list_reduce({steps}, lambda c, s: c + CASE WHEN {value} >= ({edges})[c + s] THEN s ELSE 0 END, 0)" if steps else "0"
    if rule.outside is not None:
        cell = f"CASE WHEN {value} BETWEEN {double(rule.edges[0])} AND {double(rule.edges[-1])} THEN {cell} ELSE {rule.outside} END"
    unreadable = f"{value} IS NULL OR (isfinite({value}) AND {value} <> floor({value}))" if rule.whole else f"{value} IS NULL"
    return f"CASE WHEN {unreadable} THEN {rule.unreadable} ELSE {cell} END"
