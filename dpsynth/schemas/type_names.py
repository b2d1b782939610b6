"""Names of types, as Arrow, pandas, Polars and databases write them, to the kinds of a spec.

Only the name is looked at. What some types carry besides (categories, dictionary values, labels of an ENUM) may have been read off rows.
"""

import re
from typing import Any

_WIDTH = r"(?:8|16|32|64|128)?"
_LENGTH = r"(?:\(\s*\d+\s*\))?"
_KINDS = (
    (r"bool(?:ean)?|bit", "boolean"),
    (rf"u?(?:big|small|tiny|medium|huge)?int(?:eger)?{_WIDTH}|u?int[248]|(?:big|small)?serial[248]?|long|short|byte", "integer"),
    (r"(?:half)?float(?:4|8|16|32|64)?|double(?: precision)?|real|money|decimal(?:128|256|32|64)?|numeric|number", "number"),
    (r"date(?:32|64)?(?:\[(?:day|ms)\])?", "date"),
    (r"(?:timestamp|datetime)\w*(?:[ (\[].*)?", "datetime"),
    (r"(?:duration|timedelta\d*)(?:[(\[].*)?|interval(?:[ (].*)?", "duration"),
    (r"uuid|extension<arrow\.uuid>", "identifier"),
    (r"(?:large_)?string(?:_view)?|str|utf8|object|o|(?:tiny|medium|long|n|ci)?text|name", "categorical"),
    (rf"(?:n?var|bp|n)?char{_LENGTH}|varchar2{_LENGTH}|char(?:acter)?(?: varying)?{_LENGTH}", "categorical"),
    (r"(?:category|categorical|enum)(?:\(.*\))?", "categorical"),
)
_DICTIONARY = re.compile(r"dictionary<values=(.+), indices=\w+, ordered=\d>", re.DOTALL)
_DECIMAL = re.compile(r"(decimal(?:32|64|128|256)?|numeric|number)\((?:precision=)?(\d+)(?:,\s*(?:scale=)?(-?\d+))?\)")
MAX_DECIMALS = 15


def kind_of(type_name: str) -> tuple[str, dict[str, Any]]:
    """The kind for a type and the facts that its name states; ("", {}) where none fits.

    A decimal type states how many decimals its values have. Nothing else is a fact: the range of a type is not that of a column.
    """
    name = re.sub(r"\[(?:pyarrow|python|pyarrow_numpy)\]$", "", type_name.strip().lower())
    dictionary = _DICTIONARY.fullmatch(name)
    if dictionary:
        return kind_of(dictionary[1])
    decimal = _DECIMAL.fullmatch(name)
    if decimal:
        return _decimal_kind(int(decimal[3] or 0))
    return next((kind for pattern, kind in _KINDS if re.fullmatch(pattern, name, re.DOTALL)), ""), {}


def _decimal_kind(scale: int) -> tuple[str, dict[str, Any]]:
    if scale <= 0:
        return "integer", {}
    return "number", {"decimals": scale} if scale <= MAX_DECIMALS else {}


def type_word(type_name: str) -> str:
    """What may be shown of a type's name: without the labels that an ENUM or a categorical type carries, be it inside another."""
    carries = re.search("enum|categor", type_name, re.IGNORECASE)
    return re.split(r"[(<\[]", type_name, maxsplit=1)[0].strip() if carries else type_name.strip()
