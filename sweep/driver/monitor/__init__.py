"""What people watch while a study runs.

counters          counts and rates of a session
time_ledger       where the driver's time went
library_warnings  what Optuna and NumPy warn of
progress          what progress is; lines, or nothing
choosing          the form that fits where it is shown
outlasting        a view that may lose its terminal
live_view         the live view's layout
notebook_view     the same as one output of a notebook's cell
prometheus        numbers on Ray's Prometheus endpoint
"""
