"""The shape of a run directory, for its writer and its readers: file names, log records, what they add up to.

`sweep` writes run directories and `analysis` reads them, and neither knows the other: what both must
agree on is written once, here. Standard library only, except `tables` and `parquet`, which need pyarrow.

layout          file names inside a run directory
records         one line of the log, each way
report          a report, and how it stands in the log
snapshot        a checkpoint file and its run, and how it stands in the log
final           what was found of a trial once its study had finished
numbers         numbers that JSON has no word for
reader          the log in batches, beside its writer; damage is named
lineage         what became of the members of a population
study           what the log says of the study and its trials
steered         what was asked of it by hand: settings, points, ends, a pause, notes and tags
checkpoints     which checkpoints a run has
ranking         which trials are best
segments        the log cut into what Parquet parts hold and what they do not
parquet         Parquet files whose damage is seen
tables          reports as an Arrow table
integrity       checksums of lines and files, and what is said where they do not hold (a package)
collector       Python's garbage collector, held off while much is read
"""
