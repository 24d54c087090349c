"""Ask and tell: a program takes trials one by one, trains them itself, and tells how they ended.

The first process of a machine that opens a study owns its run directory and serves the others.

study      what a program opens, in any of its processes
trial      a trial that a program holds
desk       what an owner does for those who hold trials: the same for its own process and for others
owner      the process that holds the run directory, and drives the study
serving    an owner's answers to other processes
client     a process that asks an owner
holding    which trials each living process holds, in files that outlive an owner
interrupt  Ctrl-C while an owner drives the study
opening    owner or client: whichever a process can be
said       what a program says of its trial, as a report
saving     what a held trial keeps, packed as its checkpoint
"""
