"""Files that survive a kill: the run directory and what is written there.

rundir             one writer of a run directory
log                log.jsonl: appended, committed in groups, a torn end cut off
lock               one process at a time
disk               write whole files, or say what the disk refused
naming             the names that a run directory may have
recorded_files     files beside the log, read only where the log vouches for them
soundness          every file read: what is sound and what is not
history            what the log tells when a study is resumed
tables             Parquet derived from the log
tables_thread      Parquet derived beside the writer, a part a minute
checkpoints        checkpoint files: received in chunks, checked, read
kept_checkpoints   which of them the run has: files and records together
retention          which checkpoints are kept
provenance         versions, chips, hosts, the hash of the task's source
times              how long a study's trials took: what plans go by
null               a run directory that keeps nothing: for plans
"""
