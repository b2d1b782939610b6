"""Columns without cells: nothing about their values is asked, so nothing about them can leave."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

import numpy as np

from dpsynth.column import Column, Decoded, Keys

REPLACEMENTS = ("number", "uuid", "none")


@dataclass(frozen=True, kw_only=True)
class Identifier(Column):
    """Names people or things; never read but to tell the unit's people apart, and never released.

    replace: what the records hold instead: "number" (1, 2, ... in the order of the rows), "uuid" (made from the public seed) or "none".
    """

    replace: str = "number"

    kind: ClassVar[str] = "identifier"
    keys: ClassVar[Keys] = {"replace": ((str,), False)}

    @classmethod
    def declared(cls, name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Self:
        return cls(name=name, **given, **shared)

    def check(self) -> None:
        if self.replace not in REPLACEMENTS:
            raise self.refusal(f"replace must be one of {list(REPLACEMENTS)}, got {self.replace!r}")

    @property
    def statement(self) -> str:
        instead = {"number": "the records are numbered instead", "uuid": "the records have made-up ids instead", "none": "left out"}
        return f"identifier, not released; {instead[self.replace]}"

    @property
    def in_records(self) -> bool:
        return self.replace != "none"

    def fresh(self, rows: int, rng: np.random.Generator) -> Decoded | None:
        present = np.zeros(rows, dtype=bool)
        if self.replace == "number":
            return Decoded(np.arange(1, rows + 1, dtype=np.int64), present, "whole")
        if self.replace == "none":
            return None
        raw = rng.bytes(16 * rows)
        ids = [str(UUID(bytes=raw[16 * i : 16 * i + 16], version=4)) for i in range(rows)]
        return Decoded(np.array(ids, dtype=object), present, "text")

    def own_facts(self) -> dict[str, Any]:
        return {"replace": self.replace}


@dataclass(frozen=True, kw_only=True)
class Text(Column):
    """Free text: never read, and not in the records."""

    kind: ClassVar[str] = "text"
    keys: ClassVar[Keys] = {}

    @classmethod
    def declared(cls, name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Self:
        return cls(name=name, **given, **shared)

    def check(self) -> None:
        return

    @property
    def statement(self) -> str:
        return "free text, dropped; nothing of it was read"

    @property
    def in_records(self) -> bool:
        return False

    def own_facts(self) -> dict[str, Any]:
        return {}
