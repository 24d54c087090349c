"""Random damages to the files of a run directory: each leaves all that is read as it was, or is said.

source     a run directory with one of everything
damages    a seed decides which file is damaged, and how
reading    all that is read back, and what is said of it
"""
