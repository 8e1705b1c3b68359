"""Times the claims of one process and explains their statements: `python -m bench.inside.claims CLAIMS ROWS`."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import django


def main() -> None:
    django.setup()
    from apps.delivery.services import claim  # noqa: PLC0415 - needs the settings
    from apps.messages.states import Lane  # noqa: PLC0415

    claims, rows = map(int, sys.argv[1:])
    claimer, room = claim.Claimer(), dict.fromkeys(Lane, rows)
    claim.release(claimer.claim(room))  # plans and connection are made
    seconds, counts = [], set()
    for _ in range(claims):
        began = time.perf_counter()
        holdings = claimer.claim(room)
        seconds.append(time.perf_counter() - began)
        counts.add(len(holdings))
        claim.release(holdings)
    plan = _explained(lambda: claimer.claim(room))
    print(json.dumps({"seconds": seconds, "counts": sorted(counts), "plan": plan}))


def _explained(call: Callable[[], object]) -> str:
    """The plans of all statements that the call makes and that read recipients; what it did is undone."""
    from django.db import connection, transaction  # noqa: PLC0415

    statements: list[tuple[str, Any]] = []

    def listen(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "mail_messages_recipient" in sql:
            statements.append((sql, params))
        return execute(sql, params, many, context)

    lines: list[str] = []
    with transaction.atomic():
        with connection.execute_wrapper(listen):
            call()
        transaction.set_rollback(True)
    with transaction.atomic(), connection.cursor() as cursor:
        for sql, params in statements:
            cursor.execute(f"EXPLAIN {sql}", params)
            lines += [row[0] for row in cursor.fetchall()]
        transaction.set_rollback(True)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
