"""What a folder of runs shows of each: what it asks, what it has cost, where it trains.

workers   how long each node's workers were held
question  what a study asks, in a line
index     all runs of a folder as one HTML page
"""
