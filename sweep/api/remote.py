"""."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ray_contract import PACKAGES
from sweep.api.cluster import inventory_of
from sweep.errors import SweepError

if TYPE_CHECKING:
    from clusters.remote_job import Errand
    from sweep.spec.schema import StudySpec


ON_HEAD = ("--runs", "../runs", "--cluster", "../lab.yaml", "--no-report")
"""How it is run there: beside what was sent, which is replaced by what is sent next; tables come here."""


FETCHED = ".fetched"
"""Stands in a run directory that is a copy of the head's."""


def is_elsewhere(spec: StudySpec) -> bool:
    """Whether the study runs on a cluster that this machine is no node of."""
    from sweep.executors.choosing import traits

    inventory = inventory_of(spec)
    if inventory is None or not traits(spec).uses_cluster:
        return False
    from clusters.connection import is_here

    with said_by_clusters():
        return not is_here(inventory)


def run_on_head(spec: StudySpec, study: Path, *, runs: Path, options: Sequence[str], detach: bool) -> int:
    """Send the study to its cluster's head, run it there, and unless `detach` look on; the exit code."""
    from sweep.driver.build import check_choices

    check_choices(spec)
    _require_fetched(runs / spec.name)
    errand = errand_of(spec)
    with said_by_clusters():
        if errand.is_running():
            raise SweepError(
                f"{spec.name}: runs on {errand.host} already; python -m sweep attach {study} follows it, "
                f"python -m sweep stop {study} ends it in order"
            )
        errand.send(_archive(spec, study, runs))
        errand.start(["-m", "sweep", "run", study.name, *ON_HEAD, *options])
    print(
        f"{spec.name}: runs on {errand.host}, whatever becomes of this machine; from here:\n"
        f"  python -m sweep attach {study}    follow it\n"
        f"  python -m sweep stop {study}      end it in order\n"
        f"  python -m sweep fetch {study}     bring its results",
        file=sys.stderr,
        flush=True,
    )
    return 0 if detach else follow(spec, study, errand, runs)


def errand_of(spec: StudySpec) -> Errand:
    """The study's job on its cluster's head. Raises SweepError where the study names no cluster."""
    from clusters.remote_job import errand

    inventory = inventory_of(spec)
    if inventory is None:
        rule, remedy = "must name an inventory for this", "write cluster: lab.yaml"
        raise SweepError(str(spec.document.problem(("cluster",), rule, "local", remedy)))
    with said_by_clusters():
        return errand(inventory, spec.name)


def follow(spec: StudySpec, study: Path, errand: Errand, runs: Path) -> int:
    """Show what the study prints until it ends, fetch its results, and give its exit code."""
    try:
        with said_by_clusters():
            code = errand.follow()
    except KeyboardInterrupt:
        print(
            f"\n{spec.name}: goes on on {errand.host}; python -m sweep stop {study} ends it", file=sys.stderr
        )
        return 130
    print(f"results: {fetch(spec, errand, runs)}")
    if code is None:
        raise SweepError(
            f"{spec.name}: its driver on {errand.host} ended without a word; what was recorded is safe: "
            f"python -m sweep run {study} goes on"
        )
    return code


def fetch(spec: StudySpec, errand: Errand, runs: Path) -> Path:
    """Copy the run directory from the head into `runs`. Raises SweepError where a local run is there."""
    run_dir = runs / spec.name
    _require_fetched(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / FETCHED).write_text(f"{errand.host}:{errand.folder}/runs/{spec.name}\n")
    with said_by_clusters():
        errand.fetch(runs)
    return run_dir


def _require_fetched(run_dir: Path) -> None:
    """Never put the head's results over those of a run of this machine."""
    if run_dir.exists() and any(run_dir.iterdir()) and not (run_dir / FETCHED).exists():
        raise SweepError(
            f"{run_dir}: must be a copy of the head's, but is a run of this machine; say --runs elsewhere, "
            "or give the study another `name`"
        )


def _archive(spec: StudySpec, study: Path, runs: Path) -> bytes:
    """What the driver needs on the head: the study's folder, our code, the inventory."""
    from clusters import nodeside
    from clusters.remote_job import PROGRAM
    from sweep.executors.packaging import StudyPackage, code_folder

    sent = StudyPackage(spec.folder.resolve(), (spec.folder / "runs", runs))
    sent.check()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(study, f"study/{study.name}")
        for path in sent.files():
            archive.add(sent.folder / path, f"study/{path.as_posix()}")
        for package in PACKAGES:  # the driver there runs this machine's code, whatever is installed
            for path in StudyPackage(code_folder() / package, ()).files():
                archive.add(code_folder() / package / path, f"code/{package}/{path.as_posix()}")
        archive.add(spec.folder / spec.cluster, "lab.yaml")
        program = nodeside.program("errand").encode()
        entry = tarfile.TarInfo(PROGRAM)
        entry.size = len(program)
        archive.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()


@contextmanager
def said_by_clusters() -> Iterator[None]:
    """An error of a host, as one of ours."""
    from clusters.errors import ClusterError

    try:
        yield
    except ClusterError as error:
        raise SweepError(str(error)) from error
