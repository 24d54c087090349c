"""Ray's command line with what is needed of it: whole it takes twice as long to start, and 140 MB more.

What it has beside `ray start` imports Ray Serve and pandas; `ray start` keeps them as long as Ray is up. And
it imports what the dashboard is made of, to see whether it is there: `ray[default]` is.
"""

import sys

DASHBOARD = "ray.dashboard.optional_deps"
OTHERS = ("ray.serve.scripts", "ray.util.state.state_cli", "ray.dashboard.modules.job.cli")


def ray_command(*needed):
    """The command, without what else it has, but for what is needed; its arguments follow."""
    without = [name for name in OTHERS if name not in needed]
    found = [] if needed else [DASHBOARD]
    lines = [
        "import runpy, sys",
        f"sys.modules.update(dict.fromkeys({without}))",  # what is None there is not imported
        f"sys.modules.update((name, type(sys)(name)) for name in {found})",  # nor what is there already
        "runpy.run_module('ray.scripts.scripts', run_name='__main__', alter_sys=True)",
    ]
    return [sys.executable, "-c", "; ".join(lines)]
