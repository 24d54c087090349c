"""The process that trains.

worker          turns in, results out: one population of lanes
describe_task   a process that looks at a task and says what it found
spool           the worker's folder for checkpoints on their way
memory_guard    ends a trial before the system ends the process
width_cache     measured lane counts, kept on this host
task_loading    the task of a study from its file or module
"""
