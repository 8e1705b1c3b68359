"""Runs in a process of its own with a published client: a call on each line of input, its answer on each of output.

The process knows nothing of this project; the client's folder is its PYTHONPATH.
"""

import json
import os
import sys
from functools import reduce

from stackshift import StackShift
from stackshift.client import StackShiftAPIError

client = StackShift(api_key=os.environ["CLIENT_KEY"], mail_base_url=os.environ["CLIENT_MAIL_URL"])
for line in sys.stdin:
    name, positional, named = json.loads(line)
    call = reduce(getattr, name.split("."), client.mail)
    try:
        answer = {"result": call(*positional, **named)}
    except StackShiftAPIError as error:
        answer = {"error": [str(error), error.status_code, error.code, error.details]}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
