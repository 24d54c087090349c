"""What a run holds, in formats of others.

tables     tables as CSV, Parquet or JSON, and the adapter that a trial learned
schedule   the schedule of a population's member as a study file
"""
