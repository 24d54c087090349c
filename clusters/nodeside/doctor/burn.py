"""Ten seconds of matrix products: speed at the beginning and at the end, in 10^9 operations a second."""

import json
import time

import mlx.core as mx

SIZE, SECONDS = 2048, 10.0

a = mx.random.normal((SIZE, SIZE))
mx.eval(a @ a)
rates = []
began = time.perf_counter()
while time.perf_counter() - began < SECONDS:
    start = time.perf_counter()
    mx.eval(a @ a)
    rates.append(2 * SIZE**3 / (time.perf_counter() - start) / 1e9)
tenth = max(1, len(rates) // 10)
middle = lambda part: sorted(part)[len(part) // 2]  # noqa: E731
print(json.dumps({"first": middle(rates[:tenth]), "last": middle(rates[-tenth:])}), flush=True)
