"""What tells a log, and the files beside it, from damaged ones.

checksum        the checksum at the end of each line
chain           lines checked in order
descent         whether members of a population copied what there was
wholeness       what is wrong with the log as a whole
written_files   files beside the log that it vouches for
"""
