"""A JSON or YAML file that somebody else wrote, as plain values; whatever it holds, reading it runs nothing."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from dpsynth.errors import SpecError

MAX_BYTES = 1 << 24
SHOWN_TEXT = 80
LARGEST = Decimal("1e300")


def document(path: Path) -> Any:
    """The values in a .json, .yaml or .yml file.

    Raises SpecError where it cannot be read, is over MAX_BYTES, is not of that format, or has a key twice.
    """
    readers = {".json": _json, ".yaml": _yaml, ".yml": _yaml}
    if path.suffix.lower() not in readers:
        raise SpecError(f"{str(path)!r} must end in one of {sorted(readers)}: rename or convert it")
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise SpecError(f"{str(path)!r} is over {MAX_BYTES} bytes, so it is no schema")
    try:
        return readers[path.suffix.lower()](raw.decode("utf-8-sig"))
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        said = str(error) if isinstance(error, json.JSONDecodeError) else "it is not UTF-8 text, too deep, or holds a value out of range"
    raise SpecError(f"{str(path)!r} is not valid {path.suffix.lower().lstrip('.')}: {said}")


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_once, parse_float=Decimal)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        repeated = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise SpecError(f"the file has the key {shown(repeated)} twice in one place: leave one")
    return values


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise SpecError("a YAML file needs PyYAML: pip install 'dpsynth[schemas]', or convert the file to JSON") from None

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # the package ships no types
        """Plain values only; a key twice is refused, and so is a merge key, by which a small file grows without bound."""

        def flatten_mapping(self, node: Any) -> None:
            pass

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            _once([(str(key), None) for key in keys])
            return dict(super().construct_mapping(node, deep))

    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        raise SpecError(f"the file is not YAML of plain values{place}: {getattr(error, 'problem', None) or 'it cannot be read'}") from None


def mapping(value: Any, what: str) -> dict[str, Any]:
    """The value, where it is a mapping with texts as keys. Raises SpecError."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise SpecError(f"{what} must be a mapping with texts as keys, got {shown(value)}")
    return value


def text(value: Any, what: str) -> str:
    """The value, where it is a text. Raises SpecError."""
    if not isinstance(value, str):
        raise SpecError(f"{what} must be text, got {shown(value)}")
    return value


def number(value: Any, what: str) -> int | Decimal:
    """The value, where it is a finite number: whole where it has no fraction. Raises SpecError."""
    exact: Any = Decimal(str(value)) if isinstance(value, float) else value
    if isinstance(exact, bool) or not isinstance(exact, (int, Decimal)) or not Decimal(exact).is_finite() or abs(Decimal(exact)) > LARGEST:
        raise SpecError(f"{what} must be a number of at most {LARGEST:.0e}, got {shown(value)}")
    return int(exact) if exact == int(exact) else exact


def shown(value: Any) -> str:
    """A value in a few words on one line; of a list or a mapping only that it is one."""
    if isinstance(value, (dict, list, tuple)):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    words = repr(value) if isinstance(value, str) else str(value)
    return words if len(words) <= SHOWN_TEXT else words[: SHOWN_TEXT - 3] + "..."
