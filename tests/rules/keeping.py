"""Whether records keep rules, told from the rules' facts and the records' values alone: what tables and draws are held against."""

import math
from datetime import date, datetime
from decimal import Decimal

import pandas as pd


def written(value):
    """A value as a source would write it; the empty text is a missing one."""
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def number(text):
    try:
        return Decimal(text)
    except ArithmeticError:
        return date.fromisoformat(text[:10]).toordinal()


def same(text, other):
    try:
        return Decimal(text) == Decimal(other)
    except ArithmeticError:
        return text == other


def among(text, values):
    """Whether a written value is one of the listed ones, or in the interval; a missing one only if it is listed."""
    if isinstance(values, dict):
        if not text:
            return False
        ends = {key: number(end) for key, end in values.items()}
        at = number(text)
        return ends.get("min", at) <= at <= ends.get("max", at) and ("below" not in ends or at < ends["below"])
    return any(text == value if not (text and value) else same(text, value) for value in values)


def lists_missing(values):
    return isinstance(values, list) and "" in values


def keeps(rule, record):
    """rule: its facts; record: column -> value."""
    row = {name: written(value) for name, value in record.items()}
    return KEEPS[rule["kind"]](rule, row)


def keeps_only(rule, row):
    for combination in rule["combinations"]:
        listed = [
            among(row[name], values) or (not row[name] and not any(lists_missing(other[i]) for other in rule["combinations"]))
            for i, (name, values) in enumerate(zip(rule["columns"], combination, strict=True))
        ]
        if all(listed):
            return True
    return False


def keeps_one_of(rule, row):
    true, unknown = (sum(row[name] == word for name in rule["columns"]) for word in ("true", ""))
    return true <= 1 and (rule["none"] or true == 1 or unknown > 0)


def keeps_at_most(rule, row):
    known = [number(row[name]) for name in rule["columns"] if row[name]]
    return all(a < b or (a == b and not rule["strict"]) for i, a in enumerate(known) for b in known[i + 1 :])


def keeps_sum(rule, row):
    parts = [row[name] for name in rule["parts"]]
    return row[rule["total"]] == "" if "" in parts else Decimal(row[rule["total"]]) == sum(map(Decimal, parts))


def keeps_determines(rule, row):
    value = row[rule["from"]]
    target = next((target for values, target in rule["mapping"] if among(value, values)), None)
    if target is None:
        target = "" if not value else rule["otherwise"]
    return row[rule["column"]] == target or bool(target and row[rule["column"]] and same(row[rule["column"]], target))


def keeps_hierarchy(rule, row):
    names = rule["columns"]
    return not row[names[0]] or [row[name] for name in names] in rule["rows"]


KEEPS = {
    "never": lambda rule, row: not all(among(row[name], values) for name, values in rule["when"].items()),
    "if-then": lambda rule, row: (
        not all(among(row[name], values) for name, values in rule["when"].items())
        or all(among(row[name], values) or (not row[name] and not lists_missing(values)) for name, values in rule["then"].items())
    ),
    "only": keeps_only,
    "one-of": keeps_one_of,
    "at-most": keeps_at_most,
    "sum": keeps_sum,
    "determines": keeps_determines,
    "hierarchy": keeps_hierarchy,
}


def violations(schema, frame):
    """(rule, first record that breaks it) for each rule that some record breaks."""
    found = []
    for rule in schema.rule_facts():
        broken = next((record for record in frame.to_dict("records") if not keeps(rule, record)), None)
        if broken is not None:
            found.append((rule, broken))
    return found
