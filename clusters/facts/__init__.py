"""What a node is, asked of it in one go and read from what its own commands print.

probes   the commands, each with a deadline, and their outputs
node     the facts of one node; None where one cannot be read
darwin   how macOS's commands word them
linux    how Linux's do
lines    whole lines of an output, and what stands in them
"""
