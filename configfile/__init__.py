"""Files that a person writes, shared by study files (`sweep`) and inventories of Macs (`clusters`).

yamlfile     YAML 1.2 with the line of every key
plain        values of NumPy, MLX and pandas, as the plain ones that they mean
quantities   durations and sizes as text
validation   what pydantic finds wrong, as problems with lines
problems     what is wrong in a file: where, what, what to do
nearest      the known word that was probably meant
"""
