"""The command line: a thin skin over the Python interface. Imports happen inside the commands, so that help and version answer at once.

Exit codes: 0 done; 2 spec, schema or usage; 3 the budget refuses; 4 verification failed; 5 the source cannot be opened.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from dpsynth.cli_ledger import ledger
from dpsynth.cli_schema import schema
from dpsynth.command import example, guarded, json_option, show
from dpsynth.errors import SpecError
from dpsynth.version import VERSION

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def progress(quiet: bool) -> Callable[[str], None]:
    """Where progress goes: stderr, or nowhere."""
    return (lambda _: None) if quiet else (lambda line: click.echo(line, err=True))


quiet_option = click.option("--quiet", is_flag=True, help="No progress on stderr.")


@click.group(context_settings=CONTEXT)
@click.version_option(VERSION, prog_name="dpsynth")
def main() -> None:
    """Certified, differentially private synthetic tables.

    A spec file says what is public about a table and how much budget a release may spend; a ledger says how much there is. `run` charges
    the ledger, measures noisy tables, fits a model, and writes a bundle that anyone can verify without the data.

    Exit codes: 0 done; 2 the spec or the usage is wrong; 3 the budget refuses; 4 verification failed; 5 the source cannot be opened.
    """


@main.command(epilog=example("dpsynth demo"))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the bundle; the ledger goes to OUT-ledger.  [default: dpsynth-demo]"
)
@quiet_option
@guarded
def demo(out: Path | None, quiet: bool) -> None:
    """The whole way on a public table, with its own ledger."""
    from dpsynth.demo import run_demo

    click.echo(run_demo(out, progress(quiet)))


@main.command(epilog=example("dpsynth plan adult.toml --rows-about 30000", "dpsynth plan adult.toml --epsilon-for-targets"))
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "--rows-about", type=click.IntRange(1, 10**9), help="A public guess of the number of rows, in place of the spec's, for relative errors."
)
@click.option("--epsilon-for-targets", is_flag=True, help="Print only the least epsilon that meets the spec's targets.")
@json_option
@guarded
def plan(spec: Path, rows_about: int | None, epsilon_for_targets: bool, as_json: bool) -> None:
    """What a run would ask and cost; reads no data.

    Shows each question with its noise and expected error, whether the targets hold, and whether the ledger would admit the release.
    """
    from dpsynth import api
    from dpsynth.spec import Spec

    if epsilon_for_targets:
        from dpsynth.canonical import rational_text
        from dpsynth.privacy import plain

        least = api.epsilon_for_targets(Spec.from_file(spec), rows_about=rows_about)
        show({"least_epsilon": rational_text(least)}, plain(least), as_json)
        return
    table = api.plan(Spec.from_file(spec), rows_about=rows_about)
    show(table.facts(), str(table), as_json)


@main.command(
    epilog=example(
        "dpsynth run adult.toml --rehearse --out out/rehearsal",
        "dpsynth run adult.toml --out out/adult",
        "dpsynth run --resume out/adult",
    )
)
@click.argument("spec", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the bundle; it must not exist yet.")
@click.option("--rehearse", is_flag=True, help="The same way on made-up rows: finds mistakes, spends nothing.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR", help="Finish a run whose answers were paid for; spends nothing.")
@click.option("--strict", is_flag=True, help="Refuse columns whose facts name no public source.")
@quiet_option
@json_option
@guarded
def run(spec: Path | None, out: Path | None, rehearse: bool, resume: Path | None, strict: bool, quiet: bool, as_json: bool) -> None:
    """Spend the budget and write the bundle."""
    if resume is not None:
        if spec is not None or out is not None or rehearse:
            raise SpecError("--resume takes the folder alone: the spec and the answers are beside it")
        from dpsynth import api

        release = api.resume(resume, progress=progress(quiet))
    else:
        if spec is None or out is None:
            raise SpecError("run needs a spec and --out DIR (or --resume DIR)")
        from dpsynth import api
        from dpsynth.spec import Spec

        release = api.run(Spec.from_file(spec), out=out, rehearse=rehearse, strict=strict, progress=progress(quiet))
    facts = {"folder": str(release.folder), "digest": release.facts["digest"], "rehearsal": release.facts["rehearsal"]}
    if release.facts["rehearsal"]:
        text = f"REHEARSAL on made-up rows: no guarantee, nothing was charged\nreport: {release.report}"
    else:
        text = f"{release.guarantee.sentence()}\nreport: {release.report}\ncheck:  dpsynth verify {release.folder} --ledger FOLDER"
    show(facts, text, as_json)


@main.command(epilog=example("dpsynth verify out/adult --ledger budgets/adult", "dpsynth verify out/adult --ledger budgets/adult --replay"))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--ledger", type=click.Path(path_type=Path), metavar="FOLDER", help="Check that the ledger holds this release.")
@click.option("--replay", is_flag=True, help="Make the release again from its answers and compare questions, model and records.")
@json_option
def verify(folder: Path, ledger: Path | None, replay: bool, as_json: bool) -> None:
    """Recompute the guarantee from a bundle, without the data.

    Works offline. Exit code 4 where a rule does not hold.
    """
    if replay:
        from dpsynth.replay import verify_with_replay as check
    else:
        from dpsynth.verify.verify import verify as check
    verdict = check(folder, ledger)
    word = "VERIFIED" if verdict.ok else "NOT VERIFIED"
    show({"ok": verdict.ok, "lines": verdict.lines}, f"{verdict}\n{word}", as_json)
    sys.exit(0 if verdict.ok else 4)


@main.command(epilog=example("dpsynth sample out/adult --rows 1000 --out women.csv --where sex=Female"))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--rows", type=click.IntRange(0), required=True, help="How many records.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="A new .csv or .parquet file.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Public seed; the same seed gives the same records.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Only records with this value; may be repeated.")
@json_option
@guarded
def sample(folder: Path, rows: int, out: Path, seed: int, where: tuple[str, ...], as_json: bool) -> None:
    """Further records from a bundle's model: post-processing, free."""
    from dpsynth.api import Release
    from dpsynth.release.bundle import write_records

    if out.suffix not in (".csv", ".parquet"):
        raise SpecError(f"--out must end in .csv or .parquet, got {out}")
    if os.path.lexists(out):
        raise SpecError(f"{out} exists already: choose another --out")
    release = Release.open(folder)
    if release.facts["rehearsal"]:
        click.echo("warning: this bundle is a REHEARSAL on made-up rows: its records say nothing about anyone", err=True)
    records = release.sample(rows, seed=seed, where=_conditions(where, release.schema.domain.columns))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_records(out, records)
    except OSError as error:
        raise SpecError(f"{out} cannot be written ({error.strerror}): choose another --out") from None
    show({"file": str(out), "records": len(records)}, f"{len(records)} records in {out}", as_json)


def _conditions(where: tuple[str, ...], columns: tuple[str, ...]) -> dict[str, object]:
    """COLUMN=VALUE texts by column; a column's own name may hold "=", and then the longest one counts."""
    conditions: dict[str, object] = {}
    for text in where:
        known = max((name for name in columns if text.startswith(f"{name}=")), key=len, default="")
        column, equals, value = (known, "=", text[len(known) + 1 :]) if known else text.partition("=")
        if not equals:
            raise SpecError(f"--where takes COLUMN=VALUE, got {text!r}")
        if column in conditions:
            raise SpecError(f"--where names column {column!r} twice: one value is possible")
        conditions[column] = value
    return conditions


@main.command(epilog=example("dpsynth report out/adult"))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option
@guarded
def report(folder: Path, as_json: bool) -> None:
    """Render report.html anew from the rest of the bundle."""
    from dpsynth.api import rerender

    path = rerender(folder)
    show({"report": str(path)}, f"report: {path}", as_json)


@main.command(
    epilog=example("dpsynth registry out/adult --out adult.yaml", "dpsynth registry out/adult --spec adult.toml --out adult.yaml --draft")
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="A new file of a-z, 0-9 and _, ending in .yaml."
)
@click.option("--spec", type=click.Path(path_type=Path), help="A spec whose [registry] section replaces what the release was made with.")
@click.option("--draft", is_flag=True, help="Write the entry even where facts are missing that make it valid.")
@json_option
@guarded
def registry(folder: Path, out: Path, spec: Path | None, draft: bool, as_json: bool) -> None:
    """Write an entry for the public registry of deployments of differential privacy (OpenDP).

    The run knows most of it. What only people know comes from the spec's [registry] section; what is missing is listed.
    """
    from dpsynth.api import register

    entry = register(folder, out, spec, draft=draft)
    facts = {"file": str(out), "tier": entry.values["tier"], "missing": entry.missing, "missing_for_tier_3": entry.missing_for_tier_3}
    lines = [f"tier {facts['tier']}: {out}"]
    lines += [f"missing: registry.{key}" for key in entry.missing]
    lines += [f"missing for tier 3: registry.{key}" for key in entry.missing_for_tier_3]
    show(facts, "\n".join(lines), as_json)


main.add_command(ledger)
main.add_command(schema)
