"""What a study file says: read, checked, resolved; pure of Optuna, MLX and Ray.

schema             the keys of a study file, one frozen model a section
fields             the types of single values: numbers, durations, sizes, names
command            a program as a trial: its arguments, patterns and file
conditions         which entries of the space apply, by their `when`
notify             whom a study tells how it goes
rules              what must hold between the values of one file
hyperparameters    the names that the training core reads
given              a study as Python code has it: a path, text, a mapping or a StudySpec
parse              study.yaml -> StudySpec, or every problem in it
population         a population of trials (a package)
piecewise          hyperparameters that change while a trial trains
points             the points of a finite space, and which were tried
resolve            a trial's hyperparameters and length; the file with every default
against_task       what only the task can tell of a file
order              whether proposals and verdicts go by the trials' numbers
edited             a study file that changed between two sessions (a package)
plans              a proposal -> the plan of a trial; the programs that a study needs
named              classes that a study file names (a package)
json_schema        what editors check a study file by
task_description   what is known of a task without importing it
"""
