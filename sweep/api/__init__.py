"""One module a verb; each returns values and prints nothing.

run           run a study
check         what would run, and everything that is wrong
plan          how long a study would take
warm          every node compiles a study's programs and measures their lanes
queue         the studies that share slots
status        how a run stands
list_runs     all runs of a folder
overview      what a folder of runs shows of each, and its page (a package)
show          one trial
logs          what the command of a trial printed
compare       runs side by side
extend        a study that trains the best trials for longer
exporting     a run in formats of others: tables, adapters, schedules (a package)
notify_test   a message to each of those whom a study tells
retry         ask failed trials again
replaying     trials trained again from their record (a package)
keeping       delete checkpoints; verify a run's files (a package)
init          a study and a task to start from
importing     a study from another tool's file (a package)
steering      what is asked of a run by hand, while it runs or not (a package)
agents        runs and studies as tools for agents (a package)
pages         a run in the browser (a package)
remote        a study on its cluster's head: detach, follow, stop, fetch
cluster       the cluster that a study names
python        studies written in Python (a package)
"""
