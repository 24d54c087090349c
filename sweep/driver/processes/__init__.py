"""What processes of their own find out, so that the driver imports no task.

own       how such a process is started
describe  a task, described
final     the best trials once a study has finished
"""
