"""Spark: its SQL, and a session that reads once and keeps nothing but codes, where the cluster's workers are.

What is kept is a local checkpoint: should a worker be lost, counting fails, for reading again could show other rows.
"""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.engines.lines import LINE_LIMIT
from dpsynth.errors import SourceError
from dpsynth.location import Address
from dpsynth.readings import BLANKS, LONGEST_NUMBER, NUMBER_PATTERN

_WHOLE_DOUBLES = 1 << 53
_PLAIN_LETTERS = re.compile(r"[^A-Za-z0-9 _.,:;+*/()<>=?^|@!~\[\]{}-]")
LOCAL = "local"
"""The host that means this machine, without any cluster."""

MISSING_EXTRA = 'Spark needs packages that are not installed: pip install "dpsynth[spark]"'
REFUSED = (
    "no Spark session can be had: check data.source, what it leaves to the environment (SPARK_HOME, SPARK_CONF_DIR, JAVA_HOME), "
    "and that Java 17 or later is there"
)


class SparkDialect:
    """The SQL of Spark 4."""

    fence = ""
    no_text = "CAST(NULL AS STRING)"
    holds_nul = True
    most_cuts = 1 << 12  # 2^16 of them take more than the gigabyte that Spark's driver has

    def literal(self, text: str) -> str:
        """Letters that could end a text, name a variable or be lost on the way are written by their number."""
        return "'" + _PLAIN_LETTERS.sub(lambda found: _escaped(found[0]), text) + "'"

    def name(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def text(self, column: str, kind: Any) -> str | None:
        if kind.is_binary() or kind.is_interval() or kind.is_nested():
            return None
        if kind.is_floating():
            whole = f"{column} = floor({column}) AND abs({column}) < {_WHOLE_DOUBLES}"
            endless = f"WHEN {column} = double('inf') THEN 'inf' WHEN {column} = double('-inf') THEN '-inf'"
            return f"CASE WHEN isnan({column}) THEN NULL {endless} WHEN {whole} THEN string(bigint({column})) ELSE string({column}) END"
        if kind.is_timestamp():
            return f"date_format({column}, 'yyyy-MM-dd HH:mm:ss.SSSSSS')"
        return f"CASE WHEN octet_length(string({column})) <= {LINE_LIMIT} THEN string({column}) END"

    def plain(self, text: str) -> str:
        return text

    def trimmed(self, text: str) -> str:
        return f"nullif(btrim({text}, {self.literal(BLANKS)}), '')"

    def number(self, text: str) -> str:
        written = f"length({text}) <= {LONGEST_NUMBER} AND {text} RLIKE {self._whole_pattern(NUMBER_PATTERN)}"
        return f"CASE WHEN {written} THEN double({text}) END"

    def groups(self, text: str, pattern: str, count: int) -> str:
        whole = self._whole_pattern(pattern)
        found = ", ".join(f"regexp_extract({text}, {whole}, {place})" for place in range(1, count + 1))
        return f"CASE WHEN {text} RLIKE {whole} THEN array({found}) END"

    def _whole_pattern(self, pattern: str) -> str:
        """Java's $ would match before a line end."""
        return self.literal(rf"\A(?:{pattern})\z")

    def element(self, texts: str, place: int) -> str:
        return f"element_at({texts}, {place})"

    def floor(self, value: str) -> str:
        """Its floor of a double is a whole number of 64 bits, which larger ones do not fit."""
        return f"CASE WHEN abs({value}) < {_WHOLE_DOUBLES} THEN double(floor({value})) ELSE {value} END"

    def divided(self, dividend: str, divisor: int) -> str:
        return f"({dividend}) DIV {divisor}"

    def whole(self, value: str) -> str:
        return f"bigint({value})"

    def double(self, value: str) -> str:
        return f"double({value})"

    def number_text(self, value: str) -> str:
        return f"string({value})"

    def code(self, value: str, size: int) -> str:
        return f"{'smallint' if size <= 1 << 15 else 'int'}({value})"

    def hash(self, message: str) -> str:
        return f"sha2(binary({message}), 256)"

    def each(self, values: Sequence[str]) -> str:
        return f"explode(array({', '.join(values)}))"


class SparkSession:
    """The process's Spark session, started where there is none; it stays when this is closed, what was kept does not."""

    def __init__(self, spark: Any) -> None:
        import ibis

        self._spark = spark
        self._kept: dict[str, list[Any]] = {}
        self._ibis: Any = ibis.pyspark.connect(spark)
        spark.conf.set("spark.sql.variable.substitute", "false")  # or a name with ${...} in it would be another

    @classmethod
    def connect(cls, address: Address) -> "SparkSession":
        """The process's session, or one at the address; "local" is this machine, and without a host Spark's own configuration says.

        Raises SourceError where the packages are not installed or Spark does not start.
        """
        try:
            import ibis.backends.pyspark  # noqa: F401 - says here, not later, whether it is installed
            from pyspark.sql import SparkSession as Spark
        except ImportError:
            raise SourceError(MISSING_EXTRA) from None
        session = None
        with suppress(Exception):
            session = cls(Spark.getActiveSession() or _started(Spark, address))
        if session is None:
            raise SourceError(REFUSED)
        return session

    def columns(self, table: Sequence[str]) -> Mapping[str, Any]:
        found = None
        with suppress(Exception):
            found = dict(self._ibis.sql(f"SELECT * FROM {'.'.join(map(SparkDialect().name, table))}").schema())
        if found is None:
            raise SourceError(f"Spark has no table {'.'.join(table)!r} that this user may read: check data.table")
        return found

    def keep(self, query: str, name: str) -> None:
        before = {*self._persistent()}
        self._spark.sql(query).localCheckpoint(eager=True).createOrReplaceTempView(name)
        self._kept[name] = [rdd for place, rdd in self._persistent().items() if place not in before]

    def forget(self, name: str) -> None:
        self._spark.catalog.dropTempView(name)
        for rdd in self._kept.pop(name):
            rdd.unpersist()

    def counts(self, query: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        found = self._spark.sql(query).toArrow()
        return found["cell"].to_numpy(), found["n"].to_numpy()

    def texts(self, query: str) -> Mapping[str, int]:
        found = self._spark.sql(query).toArrow()
        return dict(zip(found["text"].to_pylist(), found["n"].to_pylist(), strict=True))

    def close(self) -> None:
        for name in [*self._kept]:
            self.forget(name)

    def stop(self) -> None:
        """Ends the process's Spark session too."""
        self.close()
        self._spark.stop()

    def _persistent(self) -> dict[int, Any]:
        return dict(self._spark.sparkContext._jsc.getPersistentRDDs().items())  # noqa: SLF001 - Spark has no other list of them


def _started(spark: Any, address: Address) -> Any:
    """A session that writes no log and shows no page, for both would quote queries and rows."""
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.eventLog.enabled": "false",
        "spark.log.level": "OFF",
        "spark.sql.shuffle.partitions": str(4 * (os.cpu_count() or 1)),
    }
    if address.host == LOCAL:
        settings |= {"spark.master": "local[*]", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        settings["spark.sql.warehouse.dir"] = _passing_folder()
    elif address.host:
        settings["spark.master"] = f"spark://{address.host}:{address.port or 7077}"
    builder = spark.builder.appName("dpsynth")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _passing_folder() -> str:
    """Spark makes a folder for tables nobody makes; without a place of its own, that is where the user stands."""
    folder = tempfile.mkdtemp(prefix="dpsynth-spark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 1 << 16 else f"\\U{ord(letter):08x}"
