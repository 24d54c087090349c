"""What a model generates, and what that is worth.

prompts    examples as prompts, each with its answer
texts      what a model answers
scores     what answers are worth
harness    tasks of lm-evaluation-harness
samples    what the best model is asked at a study's end
measuring  the metrics of generation at a report, and samples
"""
