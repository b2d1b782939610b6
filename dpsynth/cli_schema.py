"""The commands that start a spec: `dpsynth schema ...`. A thin skin, as `cli` is."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.command import example, guarded, json_option, show
from dpsynth.errors import SpecError

if TYPE_CHECKING:
    from dpsynth.schemas.draft import Draft

out_option = click.option("--out", type=click.Path(path_type=Path), metavar="SPEC", help="A new .toml file.  [default: standard output]")


@click.group()
def schema() -> None:
    """Start a spec from a schema you have, or from the columns of a source. Reads no rows."""


@schema.command("import", epilog=example("dpsynth schema import metadata.json --out visits.toml", "dpsynth schema import domain.yaml"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--table", default="", metavar="NAME", help="Which table, where the file describes several.")
@out_option
@json_option
@guarded
def schema_import(file: Path, table: str, out: Path | None, as_json: bool) -> None:
    """A draft of a spec from a schema file.

    Takes SDV metadata (JSON), the domain file of mbi (JSON) or of google/dpsynth (YAML), and a pandera schema (JSON or YAML). What the file
    states becomes the spec's; what it does not state is left to fill in.
    """
    from dpsynth.schemas.importing import import_schema

    _write(import_schema(file, table=table), out, as_json)


@schema.command(
    "draft",
    epilog=example(
        "dpsynth schema draft visits.parquet --out visits.toml", "dpsynth schema draft visits.csv --column patient --out visits.toml"
    ),
)
@click.argument("source")
@click.option("--column", "columns", multiple=True, metavar="NAME", help="A column that the source is known to have; may be repeated.")
@click.option("--table", default="", metavar="NAME", help="The table of a database.")
@click.option("--delimiter", default=",", metavar="SIGN", help="What stands between the fields of a CSV file.  [default: a comma]")
@out_option
@json_option
@guarded
def schema_draft(source: str, columns: tuple[str, ...], table: str, delimiter: str, out: Path | None, as_json: bool) -> None:
    """A draft of a spec from the names and declared types of a source.

    No row is read, and nothing that a file derived from its rows. So every bound and every list is left to fill in. A CSV file has no
    types, and its first line is used only if it has a column that you name.
    """
    from dpsynth.schemas.drafting import draft_spec

    _write(draft_spec(source, columns=columns, table=table, delimiter=delimiter), out, as_json)


def _write(draft: "Draft", out: Path | None, as_json: bool) -> None:
    """The draft as a file, or on standard output; then what is left to do."""
    from dpsynth.schemas.spec_text import spec_text

    text = spec_text(draft, out.parent if out else ".")
    if out is None:
        show({"spec": text, "to_fill_in": draft.to_fill_in(), "left_out": draft.left_out()}, text.rstrip("\n"), as_json)
        return
    if out.suffix != ".toml":
        raise SpecError(f"--out must end in .toml, got {out}")
    if os.path.lexists(out):
        raise SpecError(f"{out} exists already: choose another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{out} cannot be written ({error.strerror}): choose another --out") from None
    lines = [f"draft: {out}"]
    lines += [f"fill in: columns.{name}.{key}" for name, keys in draft.to_fill_in().items() for key in keys]
    lines += [f"left out: column {name!r}" for name in draft.left_out()]
    facts = {"file": str(out), "to_fill_in": draft.to_fill_in(), "left_out": draft.left_out()}
    show(facts, "\n".join([*lines, f"next:  dpsynth plan {out}"]), as_json)
