"""What an unfinished run keeps beside its place, so that answers already paid for are never lost: spec, ledger entry, answers.

Nothing private is in it: the spec is public and the answers are noisy.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpsynth import canonical
from dpsynth.errors import SpecError
from dpsynth.release.record import read_arrays, transcript_arrays, transcript_facts, transcript_from, write_arrays
from dpsynth.transcript import Transcript


@dataclass(frozen=True)
class Partial:
    """The working folder of the run that will make the bundle `out`."""

    out: Path

    @property
    def folder(self) -> Path:
        return self.out.with_name(f".{self.out.name}.partial")

    def begin(self, spec: dict[str, Any]) -> None:
        """Claim the place before anything is charged. Raises SpecError where it is taken or cannot be written."""
        self._refuse_taken()
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir()
            self._write("spec.json", spec)
        except OSError as error:
            if isinstance(error, FileExistsError) and self.folder.is_dir():
                raise SpecError(
                    f"an unfinished run is in {self.folder}: finish it with `dpsynth run --resume {self.out}`, "
                    "or remove that folder; nothing was charged"
                ) from None
            raise SpecError(f"{self.out} cannot be written ({error.strerror}): choose another --out; nothing was charged") from None
        try:
            self._refuse_taken()  # another run may have finished here between the first look and the claim
        except SpecError:
            self.end()
            raise

    def _refuse_taken(self) -> None:
        if os.path.lexists(self.out):
            raise SpecError(f"{self.out} exists already: choose another --out; nothing was charged")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Held while a process works on the run; the operating system lets go when that ends, however it ends.

        Raises SpecError where another process works on it, or there is no unfinished run.
        """
        try:
            descriptor = os.open(self.folder, os.O_RDONLY)
        except OSError:
            raise SpecError(f"there is no unfinished run beside {self.out}: nothing to resume") from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise SpecError(f"another process works on the run in {self.folder}: wait until it ends") from None
            yield
        finally:
            os.close(descriptor)

    def spec(self) -> dict[str, Any]:
        """The spec of the unfinished run."""
        return self._read("spec.json")

    def charged(self, entry: dict[str, Any]) -> None:
        """Remember the ledger's PREPARE entry."""
        self._write("entry.json", entry)

    def entry(self) -> dict[str, Any] | None:
        """The ledger's PREPARE entry, None where the run stopped before it."""
        return self._read("entry.json") if (self.folder / "entry.json").exists() else None

    def answered(self, transcript: Transcript) -> None:
        """Keep the answers, flushed to disk; `transcript.json` comes last and says that all are there."""
        arrays = self.folder / "measurements.npz"
        write_arrays(arrays, transcript_arrays(transcript))
        _flush(arrays)
        self._write("transcript.json", {"digest": transcript.digest(), "exchanges": transcript_facts(transcript)})

    def transcript(self) -> Transcript | None:
        """The answers, None where the run stopped before all were there. Raises SpecError where they were changed."""
        if not (self.folder / "transcript.json").exists():
            return None
        facts = self._read("transcript.json")
        transcript = transcript_from(facts["exchanges"], read_arrays(self.folder / "measurements.npz"))
        if transcript.digest() != facts["digest"]:
            raise SpecError(f"the answers in {self.folder} were changed: restore them from a copy")
        return transcript

    def end(self) -> None:
        """Remove the working folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, name: str, value: dict[str, Any]) -> None:
        draft = self.folder / f"{name}.draft"
        draft.write_bytes(canonical.dumps(value))
        _flush(draft)
        os.replace(draft, self.folder / name)
        _flush(self.folder)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            value: dict[str, Any] = canonical.loads((self.folder / name).read_bytes())
        except (OSError, ValueError):
            raise SpecError(f"{self.folder / name} is damaged: restore it from a copy") from None
        return value


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
