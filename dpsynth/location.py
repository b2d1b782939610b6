"""Where a source is, as a spec may write it: a path, or the address of a database. An address never holds a secret.

    postgres://[user@]host[:port]/database      spark://[host[:port]]      spark://local: this machine, without a cluster
    mysql://[user@]host[:port]/database, sqlite://path, ...: as Ibis writes it, for the databases in IBIS
    env://NAME: the environment variable NAME holds the address, with whatever secrets and options it needs

Passwords and options come from the environment (PGPASSWORD, PGSSLMODE, SPARK_HOME, ...) or the driver's own files (~/.pgpass), so that no
spec, ledger, log or error can show them.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from dpsynth.errors import SpecError

IBIS = (
    *("athena", "bigquery", "clickhouse", "databricks", "druid", "exasol", "impala", "materialize", "mssql", "mysql", "oracle"),
    *("risingwave", "singlestoredb", "snowflake", "sqlite", "trino"),
)
"""Databases that are reached through Ibis alone."""

SCHEMES = {"postgres": "postgres", "postgresql": "postgres", "spark": "spark", "env": "env"} | dict.fromkeys(IBIS, "ibis")
"""What an address may begin with, and the kind of database that it means."""

SHAPES = "postgres://[user@]host[:port]/database, spark://[host[:port]], env://NAME or the address of another database that Ibis reads"
_SECRET = re.compile(r"(?i)(password|passwd|pwd|secret|token)\s*=|^[^/\\]*:[^/\\]*@")
"""What a text that is neither address nor path holds where somebody pasted a connection string."""


@dataclass(frozen=True)
class Address:
    """A database: its kind and the parts of its address, each "" (port: 0) where the environment says it.

    variable: of the environment, that holds the address. url: the whole of it, which may hold a secret where it comes from there.
    """

    kind: str
    host: str = ""
    port: int = 0
    user: str = ""
    database: str = ""
    variable: str = ""
    url: str = field(default="", repr=False)


def is_address(source: str) -> bool:
    """Whether a source is meant as the address of a database, or at least as no path."""
    return "://" in source


def refuse_secrets(source: str) -> None:
    """Raises SpecError, which never shows the source, where it holds what no file should: a password, or what looks like one."""
    if is_address(source):
        address(source)
    elif _SECRET.search(source):
        raise SpecError(f"data.source looks like a connection with a secret in it, so it is not shown: write {SHAPES}, {_PASSWORDS}")


def address(source: str) -> Address:
    """The address that a source writes. Raises SpecError, which shows nothing of it but what it begins with."""
    scheme = source.partition("://")[0].lower()
    if scheme not in SCHEMES:
        shown = repr(scheme) if re.fullmatch(r"[a-z][a-z0-9+.-]{0,20}", scheme) else "something else"
        raise SpecError(f"data.source begins with {shown}: it must be a file, a glob, {SHAPES}")
    if SCHEMES[scheme] == "env":
        return _variable(source)
    parts, port = _split(source)
    if parts is None:
        raise SpecError(f"data.source is no valid address; it is not shown, for it may hold a secret: write {SHAPES}")
    if parts.password is not None:
        raise SpecError(f"data.source holds a password; it is not shown: {_PASSWORDS}")
    if parts.query or parts.fragment:
        raise SpecError(f"data.source must hold no ?options; they are not shown: {_OPTIONS}")
    texts = [unquote(text or "") for text in (parts.hostname, parts.username, parts.path.removeprefix("/"))]
    if not all(text.isprintable() for text in texts):
        raise SpecError(f"data.source is no valid address; it is not shown, for it may hold a secret: write {SHAPES}")
    host, user, database = texts
    if SCHEMES[scheme] == "spark" and (user or database):
        raise SpecError("a spark:// source names a master and nothing else: write spark://[host[:port]] and data.table")
    return Address(SCHEMES[scheme], host, port, user, database, url=source if SCHEMES[scheme] == "ibis" else "")


_PASSWORDS = "keep the password in PGPASSWORD or ~/.pgpass, or the whole address in a variable that env://NAME names"
_OPTIONS = "set them in the environment, as PGPASSWORD, PGSSLMODE or PGSERVICE, or the whole address in a variable that env://NAME names"


def _variable(source: str) -> Address:
    name = source[len("env://") :]
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", name):
        raise SpecError("an env:// source is the name of an environment variable and nothing else: write env://NAME")
    return Address("env", variable=name)


def table_names(table: str) -> tuple[str, ...]:
    """The parts of a table's name, as schema.people: names with points in them stand in double quotes. Raises SpecError."""
    parts = re.findall(r'(?:^|\.)("(?:[^"]|"")+"|[^".]+)', table)
    written = ".".join(parts)
    if written != table or not 1 <= len(parts) <= 3 or not table.isprintable():
        raise SpecError(f"data.table must be a name such as people or schema.people, got {table!r}: put names with points in double quotes")
    return tuple(part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts)


def _split(source: str) -> tuple[SplitResult | None, int]:
    try:
        parts = urlsplit(source)
        return parts, parts.port or 0
    except ValueError:  # its text quotes the address
        return None, 0
