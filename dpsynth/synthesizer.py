"""A scikit-learn habit: set up, fit, sample. The budget is charged to a ledger like any other release."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dpsynth import pipeline
from dpsynth.core.ledger import Ledger
from dpsynth.core.ledger_policy import exact_number
from dpsynth.engines.reader import open_engine
from dpsynth.errors import ProtocolError
from dpsynth.inference.model import Model
from dpsynth.knowledge import PublicTable
from dpsynth.pipeline import Approved
from dpsynth.privacy import Guarantee, PrivacyUnit
from dpsynth.release.certificate import LedgerReference
from dpsynth.sampling.records import sample_records
from dpsynth.schema import Schema
from dpsynth.spec import Spec
from dpsynth.transcript import Transcript
from dpsynth.wishes import TableWeight, Target
from dpsynth.workload import MustHave, WorkloadTable

if TYPE_CHECKING:
    import pandas as pd


class Synthesizer:
    """Fits a private model of a table and samples from it.

    Every `fit` is a release of its own: it charges (epsilon, delta) to the ledger before it reads a row.
    targets: tables that must be accurate, as shares of the public guess rows_about. weights: tables whose error counts more, or less.
    pairs_with, workload, must_have, table_cells: which tables matter, as in a spec. penalty: of `aim`'s candidates, as in a spec.
    rows: of a sample; left out: the noisy total. rows_source: where the numbers of rows are published. public: published counts to lean on.
    After it, `model_`, `guarantee_`, `transcript_` and `entry_` (the ledger's id) are there.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        unit: PrivacyUnit | None = None,
        ledger: Ledger | str | Path,
        epsilon: float | str | Fraction,
        delta: float | str | Fraction,
        strategy: str = "all-pairs",
        estimator: str = "",
        iterations: int | None = None,
        degree: int = 2,
        pairs_with: Sequence[str] = (),
        workload: Sequence[WorkloadTable] = (),
        must_have: Sequence[MustHave] = (),
        table_cells: int | None = None,
        penalty: str | None = None,
        targets: Sequence[Target] = (),
        weights: Sequence[TableWeight] = (),
        rows_about: int | None = None,
        rows: int | None = None,
        rows_source: str = "",
        public: Sequence[PublicTable] = (),
        name: str = "synthesizer",
        purpose: str = "fitted from Python",
    ) -> None:
        folder = ledger.folder if isinstance(ledger, Ledger) else ledger
        self.spec = Spec(
            name=name,
            purpose=purpose,
            source="a table in memory",
            ledger=str(folder),
            epsilon=exact_number(epsilon, "epsilon"),
            delta=exact_number(delta, "delta"),
            schema=schema,
            unit=unit or PrivacyUnit(),
            strategy=strategy,
            estimator=estimator,
            iterations=iterations,
            degree=degree,
            pairs_with=tuple(pairs_with),
            workload=tuple(workload),
            must_have=tuple(must_have),
            table_cells=table_cells,
            penalty=penalty,
            targets=tuple(targets),
            weights=tuple(weights),
            rows_about=rows_about,
            rows=rows,
            rows_source=rows_source,
            public=tuple(public),
        )
        self._schema = schema
        self._fitted: tuple[Approved, Transcript, LedgerReference | None, Model] | None = None

    def fit(self, table: object) -> Self:
        """Charge the budget, measure a pandas or Arrow table (or a file's path), and fit the model; returns self."""
        source = pipeline.checked_source(self.spec, table)
        approved = pipeline.prepare(self.spec)
        transcript = pipeline.measure(approved, lambda: open_engine(source, self.spec.schema, self.spec.unit))
        reference = pipeline.record_measured(approved, transcript)
        whole = pipeline.whole(self.spec, approved.guarantee, transcript)
        model = pipeline.fit(whole, pipeline.replayed(self.spec, approved.guarantee, transcript))
        self._fitted = (approved, transcript, reference, model)
        self._schema = whole.schema
        return self

    def sample(self, rows: int | None = None, *, seed: int = 0, where: Mapping[str, object] | None = None) -> "pd.DataFrame":
        """Synthetic records, free; rows: the noisy total where left out."""
        model = self.model_
        return sample_records(model, self._schema, pipeline.row_count(self.spec, model) if rows is None else rows, seed, where or {})

    @property
    def model_(self) -> Model:
        """The fitted model: any marginal, in expected rows."""
        return self._state()[3]

    @property
    def guarantee_(self) -> Guarantee:
        """What is claimed."""
        return self._state()[0].guarantee

    @property
    def transcript_(self) -> Transcript:
        """Everything that left the private rows."""
        return self._state()[1]

    @property
    def entry_(self) -> str:
        """The ledger's id of the last fit."""
        reference = self._state()[2]
        return reference.entry if reference else ""

    def _state(self) -> tuple[Approved, Transcript, LedgerReference | None, Model]:
        if self._fitted is None:
            raise ProtocolError("nothing was fitted yet: call fit(table) first")
        return self._fitted
