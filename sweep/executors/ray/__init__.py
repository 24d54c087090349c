"""Workers as Ray actors; only `setup` imports ray.

factory       `executor: ray` in a study file
executor      workers started, given turns, replaced
restarts      when a lost worker is replaced, and when no more
calls         calls whose answers are awaited
transfers     checkpoints to and from workers, in chunks
actor         what runs in an actor's process
nodes         the nodes that Ray has, as plain values
own           a Ray of this study's own, on this machine
start_errors  why that did not start
joined        a cluster's Ray, joined
owners        which nodes are their owners' now
queue         the queue of a cluster's studies
seats         slots that are shared with other studies
deadline      calls to Ray that may not answer
setup         ray.init and what must be set before it
"""

from sweep.executors.ray.factory import RayFactory as FACTORY

__all__ = ["FACTORY"]
