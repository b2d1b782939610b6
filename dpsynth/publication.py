"""What only people know about a release: who publishes it, where, why these choices. The run knows the rest."""

import re
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from dpsynth.errors import SpecError

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
DATA_SOURCES = ("Static", "Dynamic")
LONGEST = 4000


@dataclass(frozen=True)
class Publication:
    """The facts of the spec's `[registry]` section; "" or () where nobody said. All of it is public.

    published: YYYY-MM-DD. data_source: whether rows are still added to the source. security: who can read the private rows.
    """

    title: str = ""
    slug: str = ""
    curators: tuple[str, ...] = ()
    curator_type: str = ""
    description: str = ""
    region: str = ""
    sector: str = ""
    published: str = ""
    data_source: str = ""
    actors: str = ""
    preprocessing: str = ""
    security: str = ""
    justification: str = ""
    sources: str = ""
    authors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            for text in value if isinstance(value, tuple) else (value,):
                if not isinstance(text, str) or len(text) > LONGEST or not text.replace("\n", "").isprintable():
                    raise SpecError(f"registry.{name} must be printable text of at most {LONGEST} characters")
        if self.slug and not (_SLUG.fullmatch(self.slug) and len(self.slug) <= 100):
            raise SpecError(f"registry.slug must be words of a-z and 0-9 joined by -, got {self.slug!r}")
        if self.published and not _is_day(self.published):
            raise SpecError(f"registry.published must be a day written YYYY-MM-DD, got {self.published!r}")
        if self.data_source and self.data_source not in DATA_SOURCES:
            raise SpecError(f"registry.data_source must be one of {list(DATA_SOURCES)}, got {self.data_source!r}")

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "Publication":
        """From values as `facts` gives them. Raises SpecError."""
        known = {field.name for field in fields(cls)}
        if not isinstance(facts, dict) or not set(facts) <= known:
            raise SpecError("the facts for the registry are damaged: restore them from a copy")
        given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
        return cls(**given)

    def facts(self) -> dict[str, Any]:
        """What was said, as canonical values."""
        said = {name: value for name, value in vars(self).items() if value}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
