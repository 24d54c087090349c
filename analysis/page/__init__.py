"""What a run's page shows as values that its scripts draw from: charts, the table, a trial's curves.

content   columns and rows of the table, hyperparameters, what is said above them
html      the page, filled
curves    metrics over training, thinned to what a page can hold
live      a run that is followed while it grows
index     the page of a folder of runs
script    JSON inside a page
"""
