"""A study on its cluster's head: sent there, followed, stopped, fetched."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ray_contract import PACKAGES
from sweep.api.cluster import inventory_of
from sweep.errors import SweepError
from sweep.spec.given import Study, study_of
from sweep.spec.resolve import whole_text

if TYPE_CHECKING:
    from clusters.remote_job import RemoteJob
    from sweep.spec.schema import StudySpec


ON_HEAD = ("--runs", "../runs", "--cluster", "../lab.yaml", "--no-report")
"""How it is run there: beside what was sent, which is replaced by what is sent next; tables come here."""

FETCHED = ".fetched"
"""Stands in a run directory that is a copy of the head's."""


@dataclass(frozen=True)
class RemoteStudy:
    """A study's job on its cluster's head; every call raises SweepError where the head is not reached."""

    spec: StudySpec
    job: RemoteJob

    @property
    def host(self) -> str:
        """The head's name."""
        return self.job.host

    @property
    def _file(self) -> str:
        return self.spec.document.file

    def follow(self, runs: str | Path = "runs") -> tuple[Path, int]:
        """Show what the job prints until it ends, then fetch: the run directory here, the exit code.

        A KeyboardInterrupt ends the following, not the study; its text says so. Raises SweepError where the
        job ended without an exit code.
        """
        try:
            with cluster_errors():
                code = self.job.follow()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"\n{self.spec.name}: continues on {self.host}; python -m sweep stop {self._file} stops it"
            ) from None
        run_dir = self.fetch(runs)
        if code is None:
            raise SweepError(
                f"{self.spec.name}: its driver on {self.host} ended without an exit code. "
                f"Recorded results are safe, a copy is in {run_dir}. Run the same command to resume"
            )
        return run_dir, code

    def stop(self) -> None:
        """Ask the study to save what runs and end. Raises SweepError where it does not run."""
        with cluster_errors():
            was_running = self.job.stop()
        if not was_running:
            raise SweepError(
                f"{self.spec.name}: is not running on {self.host}. "
                f"python -m sweep fetch {self._file} brings its results"
            )

    def fetch(self, runs: str | Path = "runs") -> Path:
        """Copy the run directory from the head into `runs`; raises SweepError where a local run is there."""
        run_dir = Path(runs) / self.spec.name
        _require_fetched(run_dir)
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / FETCHED).write_text(f"{self.host}:{self.job.folder}/runs/{self.spec.name}\n")
        with cluster_errors():
            self.job.fetch(Path(runs))
        return run_dir

    def as_text(self) -> str:
        """Where it runs, and what to type from here."""
        return (
            f"{self.spec.name}: runs on {self.host} and continues without this machine. From here:\n"
            f"  python -m sweep attach {self._file}    follow it\n"
            f"  python -m sweep stop {self._file}      save what runs and stop it\n"
            f"  python -m sweep fetch {self._file}     bring its results"
        )


def is_elsewhere(spec: StudySpec) -> bool:
    """Whether the study runs on a cluster that this machine is no node of."""
    from sweep.executors.choosing import traits

    inventory = inventory_of(spec)
    if inventory is None or not traits(spec).uses_cluster:
        return False
    from clusters.connection import is_here

    with cluster_errors():
        return not is_here(inventory)


def remote_study(study: Study) -> RemoteStudy:
    """The study's job on its cluster's head. Raises SweepError where the study names no cluster."""
    from clusters.remote_job import remote_job

    spec = study_of(study)
    inventory = inventory_of(spec)
    if inventory is None:
        rule, remedy = "must name an inventory for this", "write cluster: lab.yaml"
        raise SweepError(str(spec.document.problem(("cluster",), rule, "local", remedy)))
    with cluster_errors():
        return RemoteStudy(spec, remote_job(inventory, spec.name))


def detach(
    study: Study,
    *,
    runs: str | Path = "runs",
    trials: int | None = None,
    cluster: str | Path | None = None,
    accept_changed_task: bool = False,
) -> RemoteStudy:
    """Start the study on its cluster's head and return at once."""
    from sweep.driver.build import check_choices

    spec = study_of(study, trials=trials, cluster=cluster)
    check_choices(spec, telling=False)  # it is the head that tells, and has what that takes
    _require_fetched(Path(runs) / spec.name)
    found = remote_study(spec)
    options = ["--trials", str(trials)] if trials is not None else []
    options += ["--accept-changed-task"] if accept_changed_task else []
    with cluster_errors():
        if found.job.is_running():
            raise SweepError(
                f"{spec.name}: is running on {found.host} already. Follow it with "
                f"python -m sweep attach {spec.document.file}"
            )
        _start(found, Path(runs), options)
    return found


def _start(found: RemoteStudy, runs: Path, options: Sequence[str]) -> None:
    found.job.send(_archive(found.spec, runs))
    found.job.start(["-m", "sweep", "run", _file_name(found.spec), *ON_HEAD, *options])


def _file_name(spec: StudySpec) -> str:
    """What the study's file is called on the head."""
    return Path(spec.document.file).name if spec.document.lines else "study.yaml"


def _require_fetched(run_dir: Path) -> None:
    """Never put the head's results over those of a run of this machine."""
    if run_dir.exists() and any(run_dir.iterdir()) and not (run_dir / FETCHED).exists():
        raise SweepError(
            f"{run_dir}: is a run of this machine, and is not overwritten by the head's. "
            "Choose another folder with --runs DIR, or give the study another `name`"
        )


def _archive(spec: StudySpec, runs: Path) -> bytes:
    """What the driver needs on the head: the study's folder, our code, the inventory."""
    from clusters import nodeside
    from clusters.remote_job import PROGRAM
    from sweep.executors.packaging import StudyPackage
    from sweep.vocabulary.own_packages import ROOT

    sent = StudyPackage(spec.folder.resolve(), (spec.folder / "runs", runs))
    sent.check()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        if Path(spec.document.file).is_file():
            archive.add(spec.document.file, f"study/{_file_name(spec)}")
        else:
            _add_text(archive, f"study/{_file_name(spec)}", whole_text(spec))
        for path in sent.files():
            archive.add(sent.folder / path, f"study/{path.as_posix()}")
        for package in PACKAGES:  # the driver there runs this machine's code, whatever is installed
            for path in StudyPackage(ROOT / package, ()).files():
                archive.add(ROOT / package / path, f"code/{package}/{path.as_posix()}")
        archive.add(spec.folder / spec.cluster, "lab.yaml")
        _add_text(archive, PROGRAM, nodeside.program("remote_job"))
    return buffer.getvalue()


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


@contextmanager
def cluster_errors() -> Iterator[None]:
    """An error of a host, as one of ours."""
    from clusters.errors import ClusterError

    try:
        yield
    except ClusterError as error:
        raise SweepError(str(error)) from error
