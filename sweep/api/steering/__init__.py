"""What a person or a program asks of a run by hand, while it runs or not.

verbs    `sweep.set`, `enqueue`, `prune`, `finish`, `pause`, `resume`, `stop`, `note`, `tag`
asking   a request written, and its answer awaited
remote   a run by its study file, here or on its cluster's head
"""
