"""What those who start Ray's nodes (`clusters`) and those who use them (`sweep.executors.ray`) agree on.

Neither of the two may import the other, so these values stand here, once. Imports nothing.
"""

PACKAGES = (
    "analysis",
    "clusters",
    "configfile",
    "lm",
    "ray_contract",
    "runlog",
    "selftest",
    "sweep",
    "train_core",
)
"""This project's packages, which are sent to nodes whole."""

SLOT_RESOURCE = "mlx_slot"
"""The resource of which a node has as many as slots."""

MEMORY_RESOURCE = "mem_gb"
"""The resource that says how many GB of a node's memory studies may use."""

NODE_LABEL = "sweep.node"
"""The label that holds a node's name: what pins an actor to a node."""

OBJECT_STORE_BYTES = 256 * 1024 * 1024
"""Size of Ray's object store on a node: checkpoints travel in chunks, and macOS keeps it on the disk."""

ENVIRONMENT = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # `uv run` is not replayed in workers
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # workers without a GPU share still see it
}
"""What every Ray of ours has in its environment, set before Ray is imported."""
