"""What release.json holds, key by key: a hostile one is refused before anything uses it."""

from collections.abc import Mapping
from typing import Any

from dpsynth import canonical

Layout = Any
"""A type; a tuple of values that are allowed; a one-element list (any number of such); a mapping of needed keys; or RATIONAL."""

RATIONAL = object()
_TABLE = {"columns": [str], "sigma": RATIONAL, "array": str}
_EVENT = {
    "mechanism": str,
    "columns": [str],
    "sensitivity": int,
    "scale": RATIONAL,
    "outcomes": int,
    "rho": RATIONAL,
    "question": str,
    "threshold": int,
    "delta": RATIONAL,
}
CERTIFICATE_LAYOUT: Mapping[str, Layout] = {
    "format": ("dpsynth-release/3",),
    "rehearsal": bool,
    "release": {"name": str, "purpose": str, "day": str},
    "schema": [{"name": str, "kind": str, "cells": int, "source": str}],
    "rules": [{"kind": str, "source": str}],
    "public": [{"columns": [str], "counts": [int], "source": str}],
    "unit": {"id": str, "max_rows": int, "neighbours": str, "enforced": str},
    "guarantee": {"track": ("zcdp", "gdp"), **dict.fromkeys(("epsilon", "delta", "given", "rho", "alpha", "zcdp_epsilon"), RATIONAL)},
    "targets": [{"columns": [str], "within": RATIONAL, "confidence": RATIONAL, "promised": RATIONAL}],
    "weights": [{"columns": [str], "weight": RATIONAL}],
    "exchanges": [{"question": str, "tables": [_TABLE], "events": [_EVENT]}],
    "transcript": str,
    "spent": RATIONAL,
    "unprotected": [str],
    "synthesis": {
        "strategy": str,
        "estimator": str,
        "degree": int,
        "seed": int,
        "rows": int,
        "rows_from": str,
        "rows_source": str,
        "format": ("csv", "parquet"),
    },
    "fit": {"estimator": str, "converged": bool, "certified": bool, "steps": int, "gap": str, "tolerance": str, "cells": int},
    "registry": {},
    "software": {"dpsynth": str},
    "files": {},
    "digest": str,
}


def fits(value: object, layout: Layout) -> bool:
    """Whether a value is laid out like that; keys beyond the needed ones are allowed."""
    if isinstance(layout, Mapping):
        return isinstance(value, dict) and all(key in value and fits(value[key], part) for key, part in layout.items())
    if isinstance(layout, list):
        return isinstance(value, list) and all(fits(item, layout[0]) for item in value)
    if isinstance(layout, tuple):
        return isinstance(value, str) and value in layout
    return _is_rational(value) if layout is RATIONAL else type(value) is layout


def _is_rational(value: object) -> bool:
    try:
        return isinstance(value, str) and canonical.rational(value) >= 0
    except ValueError:
        return False
