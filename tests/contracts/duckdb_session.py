"""The engine of databases on DuckDB in this process: the third dialect, which needs no server, so every test run tries that way.

DuckDB's own files are read by `dpsynth.engines.duckdb_part`, so this dialect has no place in the package.
"""

import duckdb
import numpy as np

from dpsynth.engines.lines import LINE_LIMIT
from dpsynth.engines.sql import literal, parsed_sql, trimmed_sql


class DuckdbDialect:
    fence = ""
    no_text = "NULL::VARCHAR"
    holds_nul = True
    most_cuts = 1 << 16

    def literal(self, text):
        return literal(text)

    def name(self, name):
        return '"' + name.replace('"', '""') + '"'

    def text(self, column, kind):
        return f"CASE WHEN strlen({column}::VARCHAR) <= {LINE_LIMIT} THEN {column}::VARCHAR END"

    def plain(self, text):
        return text

    def trimmed(self, text):
        return trimmed_sql(text)

    def number(self, text):
        return parsed_sql(text)

    def groups(self, text, pattern, count):
        names = ", ".join(f"'g{place}'" for place in range(1, count + 1))
        whole = literal(f"^(?:{pattern})$")
        found = f"regexp_extract({text}, {whole}, [{names}])"
        texts = ", ".join(f"({found}).g{place}" for place in range(1, count + 1))
        return f"CASE WHEN regexp_full_match({text}, {literal(pattern)}) THEN [{texts}] END"

    def element(self, texts, place):
        return f"({texts})[{place}]"

    def floor(self, value):
        return f"floor({value})"

    def divided(self, dividend, divisor):
        return f"({dividend}) // {divisor}"

    def whole(self, value):
        return f"({value})::BIGINT"

    def double(self, value):
        return f"({value})::DOUBLE"

    def number_text(self, value):
        return f"{value}::VARCHAR"

    def code(self, value, size):
        return f"({value})::INTEGER"

    def hash(self, message):
        return f"sha256({message})"

    def each(self, values):
        return f"unnest([{', '.join(values)}])"


class DuckdbSession:
    """A session over a table in memory. queries: everything that was asked, by the method that asked it."""

    def __init__(self, table):
        self.connection = duckdb.connect(":memory:")
        self.connection.register("arrow", table)
        self.connection.execute("CREATE TABLE people AS SELECT * FROM arrow")
        self.queries = []

    def columns(self, table):
        return dict.fromkeys(self.connection.table(table[0]).columns)

    def keep(self, query, name):
        self.queries.append(("keep", query))
        self.connection.execute(f"CREATE TEMPORARY TABLE {name} AS {query}")

    def forget(self, name):
        self.connection.execute(f"DROP TABLE {name}")

    def counts(self, query):
        self.queries.append(("counts", query))
        found = self.connection.execute(query).fetchnumpy()
        return found["cell"].astype(np.int64), found["n"].astype(np.int64)

    def texts(self, query):
        self.queries.append(("texts", query))
        return dict(self.connection.execute(query).fetchall())

    def close(self):
        self.connection.close()
