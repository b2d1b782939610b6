"""What all commands share: examples, refusals as exit codes, and output for people or machines."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from dpsynth.errors import DpsynthError


def example(*lines: str) -> str:
    """The epilog of a command: what to paste."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turns a refusal into one message on stderr and its exit code."""

    @wraps(command)
    def run_command(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except DpsynthError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)

    return run_command


def show(facts: Any, text: str, as_json: bool) -> None:
    """Prints for a person or for a machine."""
    click.echo(json.dumps(facts, sort_keys=True, indent=1) if as_json else text)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
