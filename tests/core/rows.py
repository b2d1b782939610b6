"""An engine over rows written out in a test: exact counts, nothing else."""

import numpy as np

from dpsynth.domain import Domain


class ListedRows:
    """rows: (cell of the first column, cell of the second, ...) of each row."""

    def __init__(self, domain, rows):
        self.domain, self.rows, self.asked, self.closed = domain, list(rows), [], False

    def counts(self, cliques):
        assert not self.closed
        self.asked.extend(cliques)
        return [self._table(clique) for clique in cliques]

    def _table(self, clique):
        table = np.zeros(self.domain.shape(clique), dtype=np.int64)
        for row in self.rows:
            table[tuple(row[self.domain.position[column]] for column in clique)] += 1
        return table.reshape(-1)

    def close(self):
        self.closed = True


class GivenTables:
    """Answers with the tables of a dictionary, whatever they are."""

    def __init__(self, domain, tables):
        self.domain, self.tables = domain, tables

    def counts(self, cliques):
        return [self.tables[clique] for clique in cliques]

    def close(self):
        self.tables = {}


TWO_BY_TWO = Domain(("a", "b"), (2, 2))
