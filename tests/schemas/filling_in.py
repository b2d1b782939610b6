"""A draft filled in as its reader would: `dpsynth plan` names a key, the key gets a value, until the plan works."""

import json
import re

from dpsynth.errors import SpecError
from dpsynth.spec import Spec

SECTIONS = {
    "purpose": '"a test"', "source": '"people.csv"', "ledger": '"account"', "epsilon": "1", "delta": "1e-6",
}  # fmt: skip
PLACES = {"purpose": "release", "source": "data", "ledger": "budget", "epsilon": "budget", "delta": "budget"}
COLUMN = {
    "kind": '"boolean"',
    "values": '["a", "b"]',
    "size": "3",
    "duration": {"min": "0", "max": '"26:30:00"'},
    "integer": {"min": "0", "max": "99"},
    "number": {"min": "0", "max": "99"},
    "date": {"min": "2020-01-01", "max": "2021-12-31"},
    "datetime": {"min": "2020-01-01T00:00:00", "max": "2021-12-31T00:00:00"},
}
"""What a reader may write for a key, by the kind where it matters."""


def asked(error):
    """(column or None, keys) that a refusal names."""
    column = re.match(r"column '(.*)': an? \w+ column needs (\[.*\])", error)
    if column:
        return column[1], re.findall(r"'(\w+)'", column[2])
    kind = re.match(r"column '(.*)': kind must be one of", error)
    if kind:
        return kind[1], ["kind"]
    section = re.match(r"\[(\w+)\] needs (\w+)", error)
    assert section, error
    return None, [section[2]]


def with_value(text, heading, key, value):
    """The text with the commented key of one section filled in. Its comment stays behind the value."""
    before, found, after = text.partition(f"\n{heading}\n")
    assert found, heading
    section, rest = re.match(r"(.*?)((?=\n\n).*)?$", after, re.DOTALL).groups()
    changed, times = re.subn(rf"(?m)^# {key} = \.\.\.", lambda _: f"{key} = {value}", section)
    assert times == 1, (heading, key)
    return before + found + changed + (rest or "")


def heading(text, name):
    """The line that begins a column's section."""
    written = "|".join((re.escape(name), re.escape(json.dumps(name, ensure_ascii=False))))
    return re.search(rf"(?m)^\[columns\.(?:{written})\]$", text)[0]


def filled(text, draft):
    """(the spec, its text, the columns' keys that were asked for, in order)."""
    steps, kinds = [], {column.name: column.kind for column in draft.columns}
    for _ in range(1000):
        try:
            return Spec.from_text(text), text, steps
        except SpecError as error:
            column, keys = asked(str(error))
        for key in keys:
            if column is None:
                text = with_value(text, f"[{PLACES[key]}]", key, SECTIONS[key])
                continue
            text = with_value(text, heading(text, column), key, COLUMN.get(kinds[column], COLUMN).get(key) or COLUMN[key])
            steps.append((column, key))
    raise AssertionError("a draft that is never full")
