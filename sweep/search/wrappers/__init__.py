"""Around the study's own sampler, and around its storage.

base       hands all on
noted      what it counts is noted in every trial
distinct   held to points that were not tried
rounded    values on a log scale rounded to steps
in_order   the storage as one proposal or verdict sees it in a fixed order
seeing     shown trials of another space as failed ones, where they do not fit
"""
