"""Ends what a killed worker left running: `python -m sweep.worker.command.ending GROUP MARK GRACE_S`."""

from __future__ import annotations

import sys

from sweep.worker.command.family import Family
from sweep.worker.command.process import end


def main() -> None:
    """End the processes of a group and all that carry its mark, wherever they went."""
    group, mark, grace_s = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    end(Family.of_mark(mark, group), group, grace_s, lambda: None)


if __name__ == "__main__":
    main()
