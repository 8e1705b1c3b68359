"""Opens the console's pages as an operator's browser would and times each: `python -m bench.inside.pages TIMES PAGES`.

PAGES is JSON, `{name: address}`; it prints `{name: [seconds, ...]}`.
"""

import json
import sys
import time
from typing import Any

import django


def main() -> None:
    django.setup()
    from django.test import Client  # noqa: PLC0415 - needs the settings

    from apps.workspaces.services import create_operator  # noqa: PLC0415

    times, pages = int(sys.argv[1]), json.loads(sys.argv[2])
    browser = Client(headers={"host": "localhost"})
    browser.force_login(create_operator("bench@example.com", password="only-for-the-bench-1"))
    browser.get("/admin/")  # templates are read, connections are made
    print(json.dumps({name: [_timed(browser, path) for _ in range(times)] for name, path in pages.items()}))


def _timed(browser: Any, path: str) -> float:
    began = time.perf_counter()
    response = browser.get(path)
    seconds = time.perf_counter() - began
    if response.status_code != 200:
        raise RuntimeError(f"{path} answered {response.status_code}")
    return seconds


if __name__ == "__main__":
    main()
