"""The kinds of rules a spec can state, and how one is read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dpsynth.column import DECLARED, is_public
from dpsynth.errors import SpecError
from dpsynth.rules.combinations import IfThen, Named, Never, OneOf, Only
from dpsynth.rules.mapping import Determines, Hierarchy
from dpsynth.rules.order import AtMost
from dpsynth.rules.rule import Rule
from dpsynth.rules.total import Sum
from dpsynth.rules.values import text_of, values_from

RULES: Mapping[str, type[Rule]] = {rule.kind: rule for rule in (Never, IfThen, Only, OneOf, AtMost, Sum, Determines, Hierarchy)}
_TYPE_WORDS = {str: "text", bool: "true or false", dict: "a table", list: "a list"}


def rule_from(facts: Mapping[str, Any], what: str = "a rule") -> Rule:
    """The rule that a `[[rules]]` entry states. Raises SpecError for an unknown kind or key, a missing one, a value of the wrong type."""
    kind = facts.get("kind")
    if not isinstance(kind, str) or kind not in RULES:
        raise SpecError(f"{what}: kind must be one of {list(RULES)}, got {kind!r}")
    given = {key: value for key, value in facts.items() if key not in ("kind", "source")}
    _check_keys(given, kind, what)
    source = facts.get("source", "")
    if not isinstance(source, str) or (source not in ("", DECLARED) and not is_public(source)):
        raise SpecError(f'{what}: source must be "public: ..." and say where the rule is published, got {source!r}')
    return _BUILDERS[kind](given, {"source": "" if source == DECLARED else source}, f"{what} ({kind})")


def rules_from(entries: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """All rules of a spec, in their order; messages name them by their place, from 1."""
    return tuple(rule_from(facts, f"[[rules]] {place}") for place, facts in enumerate(entries, start=1))


def _check_keys(given: Mapping[str, Any], kind: str, what: str) -> None:
    keys = RULES[kind].keys
    if unknown := sorted(set(given) - set(keys)):
        raise SpecError(f"{what} has unknown keys {unknown}: a rule of kind {kind!r} takes {[*keys, 'source']}")
    if needed := [key for key, (_, needed) in keys.items() if needed and key not in given]:
        raise SpecError(f"{what}: a rule of kind {kind!r} needs {needed}")
    for key, value in given.items():
        types, _ = keys[key]
        if not isinstance(value, types):
            raise SpecError(f"{what}: {key} must be {' or '.join(_TYPE_WORDS[t] for t in types)}, got {value!r}")


def _named(given: Mapping[str, Any], what: str) -> Named:
    if not given:
        raise SpecError(f'{what} must name a column with its values, as in {{ age = {{ max = 14 }}, status = "married" }}')
    return tuple((name, values_from(values, f"{what}, column {name!r},")) for name, values in given.items())


def _names(given: Any, what: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not given or not all(isinstance(name, str) for name in given):
        raise SpecError(f"{what} must name columns as a list of texts, got {given!r}")
    return tuple(given)


def _rows(given: list[Any], length: int, what: str) -> list[list[Any]]:
    if not given or not all(isinstance(row, list) and len(row) == length for row in given):
        raise SpecError(f"{what} must list rows of {length} values, one for each column, such as {['...'] * length}")
    return given


def _never(given: Mapping[str, Any], shared: Mapping[str, Any], what: str) -> Rule:
    return Never(when=_named(given["when"], what), **shared)


def _if_then(given: Mapping[str, Any], shared: Mapping[str, Any], what: str) -> Rule:
    return IfThen(when=_named(given["when"], f"{what}, when"), then=_named(given["then"], f"{what}, then"), **shared)


def _only(given: Mapping[str, Any], shared: Mapping[str, Any], what: str) -> Rule:
    names = _names(given["columns"], what)
    rows = _rows(given["combinations"], len(names), what)
    return Only(names=names, combinations=tuple(tuple(values_from(values, what) for values in row) for row in rows), **shared)


def _one_of(given: Mapping[str, Any], shared: Mapping[str, Any], what: str) -> Rule:
    return OneOf(names=_names(given["columns"], what), none=given.get("none", False), **shared)


def _at_most(given: Mapping[str, Any], shared: Mapping[str, Any], what: str) -> Rule:
    return AtMost(names=_names(given["columns"], what), strict=given.get("strict", False), **shared)


def _sum(given: Mapping[str, Any], shared: Mapping[str, Any], what: str) -> Rule:
    return Sum(total=given["total"], parts=_names(given["parts"], what), **shared)


def _determines(given: Mapping[str, Any], shared: Mapping[str, Any], what: str) -> Rule:
    mapping = given["mapping"]
    pairs = [[key, value] for key, value in mapping.items()] if isinstance(mapping, dict) else _rows(mapping, 2, what)
    if not pairs:
        raise SpecError(f"{what} must map at least one value")
    otherwise = text_of(given["otherwise"], what) if "otherwise" in given else None
    entries = tuple((values_from(values, what), text_of(target, what)) for values, target in pairs)
    return Determines(origin=given["from"], column=given["column"], mapping=entries, otherwise=otherwise, **shared)


def _hierarchy(given: Mapping[str, Any], shared: Mapping[str, Any], what: str) -> Rule:
    names = _names(given["columns"], what)
    rows = _rows(given["rows"], len(names), what)
    return Hierarchy(names=names, rows=tuple(tuple(text_of(value, what) for value in row) for row in rows), **shared)


_BUILDERS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any], str], Rule]] = {
    "never": _never,
    "if-then": _if_then,
    "only": _only,
    "one-of": _one_of,
    "at-most": _at_most,
    "sum": _sum,
    "determines": _determines,
    "hierarchy": _hierarchy,
}
