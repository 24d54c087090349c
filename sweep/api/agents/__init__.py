"""Agents: what they may ask of runs and studies, over the Model Context Protocol.

tools      what each tool answers, as JSON; nothing of the protocol
launching  a study as a process of its own
server     the tools, served on standard input and output
"""
