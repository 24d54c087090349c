"""What a model generates, and what that is worth.

prompts    examples as prompts, each with its answer
texts      what a model answers
scores     what answers are worth
harness    tasks of lm-evaluation-harness
measuring  the metrics of generation at a report
"""
