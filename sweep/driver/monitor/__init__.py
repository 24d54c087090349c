"""What people watch while a study runs.

counters      counts and rates of a session
time_ledger   where the driver's time went
progress      lines or a live view
live_view     the live view's layout
prometheus    numbers on Ray's Prometheus endpoint
"""
