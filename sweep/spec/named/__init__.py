"""Classes that a study file names.

classes    `package.module:Class` with its arguments, for classes of the user's own
registry   classes by short names: samplers, pruners, terminators, loggers, executors
"""
