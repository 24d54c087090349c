"""What a run trains on, and in which order.

streams    datasets held in memory; each epoch's permutation
sources    data fetched by index
prefetch   batches fetched beside the step
"""
