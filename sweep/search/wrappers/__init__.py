"""Samplers around the study's own.

base       hands all on
noted      what it counts is noted in every trial
distinct   held to points that were not tried
rounded    values on a log scale rounded to steps
seeing     shown trials of another space as failed ones, where they do not fit
"""
