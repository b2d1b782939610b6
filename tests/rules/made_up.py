"""Schemas of every kind that rules can be about, and rules to choose from."""

from dpsynth.schema import Schema

COLUMNS = {
    "city": {"kind": "categorical", "values": ["Paris", "Lyon", "Rome"], "missing": True},
    "region": {"kind": "categorical", "values": ["Ile", "Rhone", "Lazio"], "other": False, "missing": True},
    "country": {"kind": "categorical", "values": ["France", "Italy", "elsewhere"], "other": False, "missing": True},
    "start": {"kind": "integer", "min": 0, "max": 59, "bins": 6},
    "middle": {"kind": "integer", "min": -20, "max": 99, "edges": [-20, 3, 17, 40, 99], "spikes": [25], "missing": True},
    "end": {"kind": "integer", "min": 10, "max": 99, "bins": 7, "inside": "linear", "missing": True},
    "opened": {"kind": "date", "min": "2020-01-15", "max": "2021-03-31", "bins": 5},
    "closed": {"kind": "date", "min": "2020-01-01", "max": "2021-12-31", "bins": 9, "missing": True, "format": "%Y-%m-%d"},
    "a": {"kind": "number", "min": 0, "max": 10, "bins": 4, "decimals": 1},
    "b": {"kind": "number", "min": -5, "max": 10, "bins": 3, "decimals": 2, "missing": True},
    "total": {"kind": "number", "min": -5, "max": 20, "bins": 5, "decimals": 2, "missing": True},
    "age": {"kind": "integer", "min": 0, "max": 99, "bins": 20},
    "group": {"kind": "categorical", "values": ["child", "adult"], "other": False, "ordered": True},
    "status": {"kind": "categorical", "values": ["single", "married", "widowed"], "other": False, "missing": True},
    "x": {"kind": "boolean"},
    "y": {"kind": "boolean", "missing": True},
    "z": {"kind": "boolean"},
}

RULES = (
    {"kind": "never", "when": {"age": {"max": 14}, "status": ["married", "widowed"]}},
    {"kind": "never", "when": {"status": "", "x": True}},
    {"kind": "if-then", "when": {"status": "single", "z": True}, "then": {"y": True}},
    {"kind": "if-then", "when": {"age": {"min": 80}}, "then": {"status": ["widowed", ""], "z": False}},
    {"kind": "if-then", "when": {"country": "Italy"}, "then": {"x": False}},
    {"kind": "only", "columns": ["status", "x", "z"], "combinations": [["single", True, True], [["married", "widowed"], True, False],
     ["single", False, [True, False]]]},
    {"kind": "only", "columns": ["city", "age"], "combinations": [["Paris", {"max": 49}], ["Lyon", {"min": 20}],
     [["Rome", "other"], {"min": 5}]]},
    {"kind": "one-of", "columns": ["x", "y", "z"]},
    {"kind": "one-of", "columns": ["y", "z"], "none": True},
    {"kind": "at-most", "columns": ["start", "middle", "end"]},
    {"kind": "at-most", "columns": ["start", "end"], "strict": True},
    {"kind": "at-most", "columns": ["opened", "closed"]},
    {"kind": "sum", "total": "total", "parts": ["a", "b"]},
    {"kind": "determines", "from": "age", "column": "group", "mapping": [[{"below": 18}, "child"]], "otherwise": "adult"},
    {"kind": "determines", "from": "city", "column": "country", "mapping": {"Paris": "France", "Lyon": "France", "Rome": "Italy"},
     "otherwise": "elsewhere"},
    {"kind": "hierarchy", "columns": ["region", "country"], "rows": [["Ile", "France"], ["Rhone", "France"], ["Lazio", "Italy"]]},
)  # fmt: skip


def schema_with(*rules):
    """Only the columns that the rules name, in the order above."""
    named = {column for rule in Schema.from_columns(COLUMNS, rules).rules for column in rule.columns}
    return Schema.from_columns({name: COLUMNS[name] for name in COLUMNS if name in named}, rules)
