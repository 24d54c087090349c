"""Ray's command line with what is needed of it: whole it takes twice as long to start, and 120 MB more.

What it has beside `ray start` imports Ray Serve and pandas; `ray start` keeps them as long as Ray is up.
"""

import sys

OTHERS = ("ray.serve.scripts", "ray.util.state.state_cli", "ray.dashboard.modules.job.cli")


def ray_command(*needed):
    """The command, without what else it has, but for what is needed; its arguments follow."""
    without = [name for name in OTHERS if name not in needed]
    lines = [
        "import runpy, sys",
        f"sys.modules.update(dict.fromkeys({without}))",  # what is None there is not imported
        "runpy.run_module('ray.scripts.scripts', run_name='__main__', alter_sys=True)",
    ]
    return [sys.executable, "-c", "; ".join(lines)]
