"""What `doctor` runs on nodes.

peer      what the environment is like, which ports are free, whom this node reaches
pinned    on the head: what a task that is pinned to each node says from there
burn      ten seconds of matrix products: slow or throttled
"""
