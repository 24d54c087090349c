"""The process that trains.

worker            turns in, results out: one population of lanes
content           what a worker trains, behind one seam
lanes             lanes of a population: runs of a task's class
single            functions, and all that trains one trial at a time
command           programs of any kind, and what they print
programs          the task, its compiled programs, how fast their widths train
snapshots         when runs are saved, and their checkpoint files
spool             the worker's folder for checkpoints on their way
memory_guard      ends a trial before the system ends the process
footprint         how much memory this process takes now
width_cache       measured lane counts and compiled kernels, kept on this host
neighbours        a user's modules that have the names of our packages
task_loading      the task of a study from its file or module
describe_task     a process that looks at a task and says what it found
"""
