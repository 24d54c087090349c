"""Where turns are carried out: in this process, by Ray actors, or on a virtual clock."""
