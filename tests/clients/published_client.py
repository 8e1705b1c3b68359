"""Runs in a process of its own with a published client: a call on each line of input, its answer on each of output.

The process knows nothing of this project; the client's folder is its PYTHONPATH.
"""

import json
import os
import sys
from functools import reduce
from pathlib import Path

from stackshift import StackShift, verify_webhook_signature
from stackshift.client import StackShiftAPIError

client = StackShift(
    api_key=os.environ["CLIENT_KEY"], base_url=os.environ["CLIENT_URL"], mail_base_url=os.environ["CLIENT_MAIL_URL"]
)
for line in sys.stdin:
    name, positional, named = json.loads(line)
    # Mail's methods are named without `mail`; bytes come as the name of a file that holds them.
    if name == "verify_webhook_signature":
        call = verify_webhook_signature
    else:
        call = reduce(getattr, name.split("."), client if name.startswith("assets.") else client.mail)
    positional = [Path(item["bytes_of"]).read_bytes() if isinstance(item, dict) else item for item in positional]
    try:
        answer = {"result": call(*positional, **named)}
    except StackShiftAPIError as error:
        answer = {"error": [str(error), error.status_code, error.code, error.details]}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
