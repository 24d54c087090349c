"""A run in the browser.

report    a run as one HTML file
watch     that page, served while the study runs
ui        optuna-dashboard on a run
serving   what watch and ui serve by
"""
