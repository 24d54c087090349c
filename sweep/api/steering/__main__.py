"""What a cluster's head runs for a machine that steers a study there: RUN VERB ARGUMENTS, these as JSON."""

from __future__ import annotations

import json
import sys

from sweep.api.steering.asking import ask
from sweep.errors import SweepError

if __name__ == "__main__":
    run, verb, arguments = sys.argv[1:]
    try:
        print(json.dumps(ask(run, verb, json.loads(arguments)).as_json()))
    except SweepError as error:
        print(json.dumps({"refused": str(error)}))
