"""A cluster's whole story over three machines of this one, to be watched: python -m tests.clusters.watch

up, a study on all three with one of them cut off on the way, status, down. Needs root, iproute2 and sshd.
"""

from __future__ import annotations

import sys
import threading

from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import StudyLab

CUT_AFTER_S = 12.0


def main() -> int:
    """Say each command before what it prints."""
    reason = reason_against()
    if reason is not None:
        print(f"cannot be shown here: {reason}", file=sys.stderr)
        return 1
    with Lab(("a", "b", "c"), subnet="10.213.12") as lab, StudyLab(lab) as cluster:
        print("$ python -m sweep cluster up lab.yaml", flush=True)
        print(cluster.up("a", "b", "c"), flush=True)
        run_dir = cluster.write("watched", ("trials: 9", "trials: 36"))
        print(
            f"$ python -m sweep run watched.yaml    (c's cable is pulled after {CUT_AFTER_S:.0f} s)",
            flush=True,
        )
        driver = cluster.begin("run", "watched.yaml", "--no-report")
        cutting = threading.Timer(CUT_AFTER_S, lambda: lab.cut("c"))
        cutting.start()
        assert driver.stdout is not None
        for line in driver.stdout:
            print(line, end="", flush=True)
        cutting.cancel()
        lab.plug("c")
        for verb in ("status", "down"):
            print(f"$ python -m sweep cluster {verb} lab.yaml", flush=True)
            done = lab.cluster(verb)
            print(done.stdout + done.stderr, flush=True)
        told = (run_dir / "log.jsonl").read_text().count('"event":"told"')
        print(f"{told} trials ended, each once")
        return driver.wait()


if __name__ == "__main__":
    sys.exit(main())
