"""A run in the browser.

report   a run as one HTML file
ui       optuna-dashboard on a run
"""
