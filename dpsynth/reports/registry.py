"""An entry for the public registry of deployments of differential privacy (OpenDP), from a certificate and what people added to it."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dpsynth import canonical
from dpsynth.errors import SpecError
from dpsynth.privacy import plain
from dpsynth.publication import Publication
from dpsynth.reports.wording import plural, shown

NEEDED = ("curators", "curator_type", "description", "region", "authors")
"""Without these there is no valid entry."""

NEEDED_FOR_TIER_3 = ("data_source", "actors", "preprocessing", "justification")
FILE_NAME = re.compile(r"[a-z0-9_]+\.yaml")
MECHANISMS = {
    "discrete-gaussian": "{} of counts, with discrete Gaussian noise on the integers (Canonne, Kamath, Steinke, arXiv:2004.00010)",
    "gaussian-errors": "{} of errors, with discrete Gaussian noise on integer scores",
    "gaussian-threshold": "{} of labels above a threshold, with discrete Gaussian noise on their counts",
    "noisy-max": "{} by noisy maximum, which is the exponential mechanism (Cesar and Rogers, arXiv:2010.13981)",
}
_NOUNS = {"discrete-gaussian": "table", "gaussian-errors": "vector", "gaussian-threshold": "list", "noisy-max": "selection"}


@dataclass(frozen=True)
class RegistryEntry:
    """The values of an entry; what is missing for a valid one, and what for one of tier 3, as keys of the spec's `[registry]`."""

    values: dict[str, Any]
    missing: tuple[str, ...]
    missing_for_tier_3: tuple[str, ...]

    def yaml(self) -> str:
        """The entry as a file; what is missing is listed at its top."""
        keys = (*self.missing, *self.missing_for_tier_3)
        head = [f"# missing: registry.{key}" for key in keys]
        return "\n".join([*head, *_lines(self.values, 0)]) + "\n"


def registry_entry(facts: Mapping[str, Any], said: Publication | None = None) -> RegistryEntry:
    """The entry of a certificate. said: facts that replace those of its `[registry]` section. Raises SpecError for a rehearsal."""
    if facts["rehearsal"]:
        raise SpecError("a rehearsal is about made-up rows: there is nothing to register")
    own = {**Publication.from_facts(facts["registry"]).facts(), **(said.facts() if said else {})}
    people = Publication.from_facts(own)
    missing = tuple(key for key in NEEDED if key not in own)
    lesser = tuple(key for key in NEEDED_FOR_TIER_3 if key not in own)
    values = {
        "url_slug": people.slug or re.sub(r"-+", "-", facts["release"]["name"]).strip("-"),
        "status": "Draft",
        "tier": 2 if lesser else 3,
        "deployment": {
            "basic": _basic(facts, people),
            "dp_variant": _variant(facts),
            "privacy_loss": _loss(facts),
            "deployment_model": _model(facts, people),
            "accounting": _accounting(facts),
            "implementation": _implementation(facts, people),
            "administrative": {"sources": people.sources, "registry_authors": list(people.authors)},
        },
    }
    return RegistryEntry(_said(values), missing, lesser)


def _basic(facts: Mapping[str, Any], people: Publication) -> dict[str, Any]:
    release = facts["release"]
    return {
        "name": people.title or release["name"],
        "data_curators": [{"data_curator_name": name, "data_curator_type": people.curator_type} for name in people.curators],
        "description": people.description,
        "intended_use": release["purpose"],
        "data_product_type": "Synthetic data",
        "data_product_region": people.region,
        "publication_date": people.published or release["day"],
        "data_product_sector": people.sector,
    }


def _variant(facts: Mapping[str, Any]) -> dict[str, Any]:
    asked = [column for column in facts["schema"] if column["cells"]]
    columns = "\n".join(f"- {shown(column['name'])}: {column['kind']}, {plural(column['cells'], 'cell')}" for column in asked)
    return {
        "variant_name": "Zero-concentrated DP" if facts["guarantee"]["track"] == "zcdp" else "Approximate DP",
        "data_domain": f"Tables with these columns, one row or several for each protected unit:\n{columns}",
        "unprotected_quantities": "\n".join(f"- {shown(line)}" for line in facts["unprotected"]) or "None.",
    }


def _loss(facts: Mapping[str, Any]) -> dict[str, Any]:
    claim, unit = facts["guarantee"], facts["unit"]
    epsilon, delta, rho = (canonical.rational(claim[key]) for key in ("epsilon", "delta", "rho"))
    per = (
        f"one value of column {shown(unit['id'])!r}, of which at most {plural(unit['max_rows'], 'row')} count" if unit["id"] else "one row"
    )
    how = {
        "zcdp": "zero-concentrated differential privacy by arXiv:2004.00010, Proposition 12",
        "gdp": "Gaussian differential privacy with mu^2 = 2 rho by arXiv:1905.02383, Corollary 2.13",
    }
    return {
        "privacy_unit": "User-level" if unit["id"] else "Row-level",
        "privacy_unit_details": f"Tables are adjacent when one holds all rows of one unit more than the other. The unit is {per}.",
        "privacy_parameters": {"epsilon": epsilon, "delta": delta, "rho": rho},
        "privacy_parameters_details": f"Costs are added as rho and converted once, as {how[claim['track']]}. All numbers are rounded up.",
    }


def _model(facts: Mapping[str, Any], people: Publication) -> dict[str, Any]:
    return {
        "model_name": "Central",
        "model_name_details": "A curator program holds the rows, answers with noise and forgets them; the rest is made from its answers.",
        "actors": people.actors,
        "release_type": "One release",
        "release_type_details": (
            f"It is charged to the account {facts['ledger']['dataset']}, which adds up all releases about the same people and refuses "
            "those beyond its total."
        ),
        "data_source_type": people.data_source,
        "access_type": "Non-interactive",
        "access_type_details": "Records, model and noisy tables are published as files; nobody can query the rows.",
    }


def _accounting(facts: Mapping[str, Any]) -> dict[str, Any]:
    synthesis = facts["synthesis"]
    return {
        "post_processing": (
            f"A model ({synthesis['estimator']}) is fitted to the noisy tables, and {synthesis['rows']} records are drawn from it with a "
            f"public seed. The number of records comes from {synthesis['rows_from']}."
        ),
        "composition": (
            "Adaptive composition within a cap (a privacy filter: Feldman and Zrnic, arXiv:2008.11193; Whitehouse et al., "
            "arXiv:2203.05481). The whole cap is charged to a ledger before the first row is read, and the cap is what is claimed."
        ),
    }


def _implementation(facts: Mapping[str, Any], people: Publication) -> dict[str, Any]:
    return {
        "preprocessing_and_hyperparameter_tuning": people.preprocessing,
        "mechanisms": "\n".join(f"- {line}" for line in _mechanisms(facts, people)),
        "justification": people.justification,
    }


def _mechanisms(facts: Mapping[str, Any], people: Publication) -> list[str]:
    counted = Counter(event["mechanism"] for exchange in facts["exchanges"] for event in exchange["events"])
    drawn = [MECHANISMS[name].format(plural(counted[name], _NOUNS[name])) for name in MECHANISMS if counted[name]]
    versions = facts["software"]
    return [
        *drawn,
        f"All noise comes from OpenDP {versions.get('opendp', '(version not recorded)')}, unseeded; dpsynth {versions['dpsynth']}.",
        "Counts are integers until the noise is added, so there is no floating-point error to exploit.",
        "Running times are not hidden from others on the same machine; none are published.",
        *([people.security] if people.security else []),
    ]


def _said(value: Any) -> Any:
    """Without what nobody said."""
    if isinstance(value, dict):
        return {key: kept for key, item in value.items() if (kept := _said(item)) not in ("", [], {})}
    return [_said(item) for item in value] if isinstance(value, list) else value


def _lines(value: Mapping[str, Any], depth: int) -> list[str]:
    """Block YAML: texts in double quotes, of several lines after `|`, and numbers that YAML 1.1 takes for numbers."""
    pad, lines = "  " * depth, []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{pad}{key}:", *_lines(item, depth + 1)]
        elif isinstance(item, list):
            lines += [f"{pad}{key}:", *(line for part in item for line in _item(part, depth + 1))]
        elif isinstance(item, str) and "\n" in item.strip():
            lines += [f"{pad}{key}: |", *(f"{pad}  {line}".rstrip() for line in item.strip().splitlines())]
        else:
            lines.append(f"{pad}{key}: {_scalar(item)}")
    return lines


def _item(part: Any, depth: int) -> list[str]:
    pad = "  " * depth
    if not isinstance(part, dict):
        return [f"{pad}- {_scalar(part)}"]
    return [f"{pad}-", *_lines(part, depth + 1)]


def _scalar(item: str | int | Fraction) -> str:
    if isinstance(item, str):
        return json.dumps(str(shown(item.strip())), ensure_ascii=False)
    if isinstance(item, int):
        return str(item)
    text = plain(item)
    number, e, power = text.partition("e")
    return f"{number if '.' in number else number + '.0'}{e}{power}"
