"""What a claim costs beside a million finished recipients: `python -m bench.claim [plan]`, which shows the plan."""

import statistics
import sys

from bench import databases, processes
from bench.databases import Database
from bench.table import Figure, render

FINISHED, DUE, WORKSPACES = 1_000_000, 2_000, 20
CLAIMS, ROWS = 50, 100
LIMIT_MS = 10
INDEX = "recipient_due"
# One row that the platform itself has made is the pattern of all others, so that a new column is no news here.
COPY_WORKSPACES = f"""
INSERT INTO workspaces_workspace
SELECT made.* FROM workspaces_workspace w CROSS JOIN generate_series(2, {WORKSPACES}) AS number
CROSS JOIN LATERAL jsonb_populate_record(
    w, jsonb_build_object('id', gen_random_uuid(), 'slug', 'bench-' || number)
) AS made
"""
COPY_RECIPIENTS = """
INSERT INTO mail_messages_recipient
SELECT made.* FROM (SELECT r AS pattern FROM mail_messages_recipient AS r LIMIT 1) AS first
CROSS JOIN generate_series(1, {count}) AS number
JOIN (SELECT id, row_number() OVER () AS place FROM workspaces_workspace) AS w ON w.place = number % {workspaces} + 1
CROSS JOIN LATERAL jsonb_populate_record(
    first.pattern,
    jsonb_build_object('id', md5('{status}' || number), 'status', '{status}', 'workspace_id', w.id, {changes})
) AS made
"""
FINISHED_ROW = "'next_attempt_at', NULL, 'finished_at', now(), 'attempt_count', 1"
DUE_ROW = "'next_attempt_at', now() - number * interval '1 millisecond'"


def fill(database: Database) -> None:
    """Makes all recipients from the one that is there."""
    database.query(COPY_WORKSPACES)
    for status, count, changes in (("queued", DUE, DUE_ROW), ("sent", FINISHED, FINISHED_ROW)):
        values = {"status": status, "count": count, "changes": changes, "workspaces": WORKSPACES}
        database.query(COPY_RECIPIENTS.format_map(values))
    database.settle()


def main(*, show_plan: bool = False) -> list[Figure]:
    with processes.folder() as folder, databases.postgres() as database:
        env = processes.environment(database.url, folder)
        processes.migrate(env)
        processes.answer("bench.inside.queue_messages", 1, env=env)
        fill(database)
        found = processes.answer("bench.inside.claims", CLAIMS, ROWS, env=env)
    if show_plan:
        print(found["plan"])
    if found["counts"] != [ROWS]:
        raise RuntimeError(f"claims of {found['counts']} rows, not of {ROWS}")
    milliseconds = [seconds * 1e3 for seconds in found["seconds"]]
    median = statistics.median(milliseconds)
    scans = [line.strip() for line in found["plan"].splitlines() if "Seq Scan on mail_messages_recipient" in line]
    is_served = INDEX in found["plan"] and not scans
    part = "claim, PostgreSQL"
    what = f"{ROWS} of {DUE:,} due rows beside {FINISHED:,} others"
    return [
        Figure(part, f"{what}, median of {CLAIMS}", f"{median:.1f} ms", f"< {LIMIT_MS} ms", median < LIMIT_MS),
        Figure(part, "the slowest of them", f"{max(milliseconds):.1f} ms"),
        Figure(part, "found by", INDEX if is_served else "another way: show the plan", INDEX, is_served),
    ]


if __name__ == "__main__":
    print(render(main(show_plan=sys.argv[1:] == ["plan"])))
