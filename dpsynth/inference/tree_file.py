"""A tree model as plain arrays and back; what is read is distrusted until every array has been checked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import MAX_CELLS, Domain
from dpsynth.errors import SpecError
from dpsynth.inference.junction import CELL_LIMIT, JunctionTree
from dpsynth.inference.model import FitReport

FORMAT = "dpsynth-tree-1"
MAX_AXES = 64
"""Axes that an array can have."""

SUM_TOLERANCE = 1e-6
"""How far a stored conditional may be from summing to 1."""

_REPORT = ("estimator", "converged", "certified", "steps", "gap", "tolerance", "cells")
_LAYOUT = {
    "format": ("U", 0),
    "columns": ("U", 1),
    "sizes": ("i", 1),
    "node_lengths": ("i", 1),
    "node_columns": ("i", 1),
    "separator_lengths": ("i", 1),
    "parents": ("i", 1),
    "tables": ("f", 1),
    "total": ("f", 0),
    "estimator": ("U", 0),
    "converged": ("b", 0),
    "certified": ("b", 0),
    "steps": ("i", 0),
    "gap": ("f", 0),
    "tolerance": ("f", 0),
    "cells": ("i", 0),
}
"""Each array's kind of number (or text) and its dimensions."""


@dataclass(frozen=True, eq=False)
class TreeFile:
    """What a model file holds; see `TreeModel` for the fields."""

    tree: JunctionTree
    chain: tuple[NDArray[np.float64], ...]
    total: float
    report: FitReport


def written(model: TreeFile) -> dict[str, NDArray[np.generic]]:
    """The model as arrays of numbers and unicode text; `tables` holds the nodes' conditionals one after the other, in C order."""
    tree, report = model.tree, model.report
    position = tree.domain.position
    return {
        "format": np.array(FORMAT),
        "columns": np.array(tree.domain.columns),
        "sizes": np.array(tree.domain.sizes, dtype=np.int64),
        "node_lengths": np.array([len(node) for node in tree.nodes], dtype=np.int64),
        "node_columns": np.array([position[column] for node in tree.nodes for column in node], dtype=np.int64),
        "separator_lengths": np.array([len(separator) for separator in tree.separators], dtype=np.int64),
        "parents": np.array(tree.parents, dtype=np.int64),
        "tables": np.concatenate([table.reshape(-1) for table in model.chain]),
        "total": np.array(model.total),
        **{name: np.array(getattr(report, name)) for name in _REPORT},
    }


def read(arrays: Mapping[str, NDArray[Any]]) -> TreeFile:
    """What `written` described. Raises SpecError for anything that is not such a model, whole and consistent."""
    given = {name: _array(arrays, name) for name in _LAYOUT}
    _require(str(given["format"]) == FORMAT, "format", f"{FORMAT!r}", str(given["format"])[:40])
    domain = Domain(tuple(map(str, given["columns"])), tuple(map(int, given["sizes"])))
    tree = _tree(domain, given)
    total = float(given["total"])
    _require(0 <= total < math.inf, "total", "a finite number of rows, at least 0", total)
    return TreeFile(tree, _chain(tree, given["tables"]), total, _report(given))


def _array(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    kind, dimensions = _LAYOUT[name]
    _require(name in arrays, name, "present", "nothing")
    array = np.asarray(arrays[name])
    fits = array.dtype.kind == kind and array.ndim == dimensions and (kind != "f" or array.dtype == np.float64)
    _require(fits, name, f"{dimensions}-dimensional of kind {kind!r}", f"{array.dtype}{list(array.shape)}")
    return array


def _tree(domain: Domain, given: Mapping[str, NDArray[Any]]) -> JunctionTree:
    """Checks that the nodes are a junction tree of the whole domain: each column is new in one node and then handed down."""
    lengths, separators, parents = (given[name].tolist() for name in ("node_lengths", "separator_lengths", "parents"))
    codes = given["node_columns"].tolist()
    _require(0 < len(lengths) == len(separators) == len(parents), "nodes", "one length, separator and parent each", len(lengths))
    _require(min(lengths) >= 0 and sum(lengths) == len(codes), "node_columns", "as many as node_lengths says", len(codes))
    _require(all(0 <= code < len(domain.columns) for code in codes), "node_columns", "columns of the domain", "others")
    seen: set[str] = set()
    nodes: list[tuple[str, ...]] = []
    start = 0
    for i, (length, depth, parent) in enumerate(zip(lengths, separators, parents, strict=True)):
        node = tuple(domain.columns[code] for code in codes[start : start + length])
        start += length
        _require(length <= MAX_AXES, "node_lengths", f"at most {MAX_AXES}", length)
        _require(0 <= depth < length, "separator_lengths", f"less than {length} at node {i}", depth)
        _require(parent == -1 if i == 0 else 0 <= parent < i, "parents", f"an earlier node at node {i}", parent)
        new = set(node[depth:])
        handed = set(nodes[parent]) if i else set()
        _require(len(set(node)) == length and set(node[:depth]) <= handed and not new & seen, "nodes", "a junction tree", f"node {i}")
        seen |= new
        nodes.append(node)
    _require(seen == set(domain.columns), "nodes", "all columns of the domain", f"{len(seen)} of {len(domain.columns)}")
    parts = tuple(node[:depth] for node, depth in zip(nodes, separators, strict=True))
    return JunctionTree(domain, tuple(nodes), tuple(parents), parts)


def _chain(tree: JunctionTree, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    _require(tree.cells == len(values) <= max(CELL_LIMIT, MAX_CELLS), "tables", f"{tree.cells} numbers", len(values))
    chain = []
    start = 0
    for node, separator in zip(tree.nodes, tree.separators, strict=True):
        table = values[start : start + tree.domain.cells(node)].reshape(tree.domain.shape(node))
        start += table.size
        sums = table.sum(axis=tuple(range(len(separator), table.ndim)))
        good = bool(np.isfinite(table).all() and (table >= 0).all() and (np.abs(sums - 1) <= SUM_TOLERANCE).all())
        _require(good, "tables", "probabilities that sum to 1 for every separator cell", f"others at node {list(node)}")
        chain.append(table)
    return tuple(chain)


def _report(given: Mapping[str, NDArray[Any]]) -> FitReport:
    gap, tolerance, steps, cells = float(given["gap"]), float(given["tolerance"]), int(given["steps"]), int(given["cells"])
    _require(math.isfinite(gap) and math.isfinite(tolerance), "gap", "finite", gap)
    _require(steps >= 0 and cells >= 0, "steps", "at least 0", steps)
    return FitReport(str(given["estimator"]), bool(given["converged"]), steps, gap, tolerance, cells, bool(given["certified"]))


def _require(holds: bool, name: str, expected: str, given: object) -> None:
    if not holds:
        raise SpecError(f"this is no model file that can be read: {name} must be {expected}, got {given}; write the model again")
