"""The loop of a study and what it owns.

session                one run of the command: open, resume, drive, close
driver                 the loop: events in, instructions performed, in the order that loses nothing
result                 what a session came to
trials                 proposals become plans, and reports reach Optuna
members                members of a population: decided on, recorded
resuming               what earlier sessions left, brought together
editing                a space that was edited since, on record
signals                what ends a session in order, or at once
build                  the parts of a study, made from its file
limits                 what the scheduler goes by
stopping               when no further trials are asked for
extension              trials that begin at another run's checkpoints
task_source            a task that lies in no file of its own
checkpoint_collector   checkpoints brought from workers into the run directory
printed                what commands print, kept in the run directory
checkpoint_store       checkpoints in a fsspec store
processes              what processes of their own find out (a package)
slots                  slots that studies share (a package)
steering               what a person asks of a run by hand (a package)
monitor                what people watch (a package)
notify                 people who are told how the study goes (a package)
loggers                TensorBoard, MLflow and others, fed from the log (a package)
"""
