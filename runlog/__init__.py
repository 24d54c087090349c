"""The shape of a run directory, for whoever writes or reads one: file names, log records, folds over them.

`sweep` writes run directories and `analysis` reads them, and neither knows the other: what both must
agree on is written once, here. Standard library only, except `runlog.tables`, which needs pyarrow.
"""
