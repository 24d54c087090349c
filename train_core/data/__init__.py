"""What a run trains on, and in which order.

device_dataset   a task's data, one copy on the device
index_sampler    the order of examples: a permutation an epoch
buckets          examples of like length in one batch
sources          data fetched by index
prefetch         micro-batches read ahead of the steps that need them
"""
