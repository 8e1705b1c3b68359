"""How long an operator waits for a page beside a million messages: `python -m bench.console [all]`, for every page."""

import json
import statistics
import sys

from bench import databases, history, processes
from bench.databases import Database
from bench.table import Figure, render

TIMES, SHOWN = 3, 8
LIMIT_SECONDS = 1.0
BIG = {
    "messages": "mail_messages/message",
    "contents": "mail_messages/messagecontent",
    "recipients": "mail_messages/recipient",
    "attempts": "mail_messages/attempt",
    "bounces": "mail_messages/bounce",
    "events": "events/event",
    "idempotency keys": "keys/idempotencykey",
    "the log": "admin/logentry",
}
SMALL = {
    "domains": "domains/domain",
    "API keys": "keys/apikey",
    "suppressions": "suppressions/suppression",
    "workspaces": "workspaces/workspace",
    "usage counts": "workspaces/usagecount",
    "destinations": "delivery/destination",
    "workers": "delivery/drain",
    "captured mail": "delivery/capturedmessage",
}
FILTERS = {
    "messages": ("status__exact=sent", "status__exact=failed", "status__exact=queued"),
    "recipients": (
        *("queue=due", "queue=deferred", "queue=sending", "status__exact=failed", "status__exact=suppressed"),
        *("lane__exact=0", "wait_code__exact=retry", "wait_code__exact=quarantine"),
    ),
    "attempts": ("status__exact=failed", "status__exact=ambiguous"),
    "bounces": ("type__exact=hard", "type__exact=soft", "source__exact=dsn"),
    "events": ("type__exact=mail.message.failed", "type__exact=mail.domain.failed"),
    "the log": ("action_flag__exact=2", "action_flag__exact=3"),
}
SEARCHED = ("messages", "recipients", "attempts", "bounces")


def main(*, show_all: bool = False) -> list[Figure]:
    with processes.folder() as folder, databases.postgres() as database:
        env = processes.environment(database.url, folder)
        processes.migrate(env)
        processes.answer("bench.inside.queue_messages", 1, env=env)
        processes.answer("bench.inside.pages", 1, "{}", env=env)  # makes the operator, whom the log names
        history.write(database)
        pages = _pages(database)
        seconds = processes.answer("bench.inside.pages", TIMES, json.dumps(pages), env=env)
    return _figures({name: max(taken) for name, taken in seconds.items()}, len(pages) if show_all else SHOWN)


def _pages(database: Database) -> dict[str, str]:
    """Each list, each filter, each kind of search, and places deep in the tables."""
    pages = {"the index": "/admin/"}
    for name, path in (BIG | SMALL).items():
        pages[name] = f"/admin/{path}/"
    for name, path in BIG.items():
        pages[f"{name}, any time"] = f"/admin/{path}/?when=any"
        for query in FILTERS.get(name, ()):
            pages[f"{name}, {query}"] = f"/admin/{path}/?{query}"
    return pages | _of_workspaces(database) | _deep(database) | _searches(database)


def _of_workspaces(database: Database) -> dict[str, str]:
    pages = {}
    for slug in ("bench", history.SMALL):
        [(pk,)] = database.query(f"SELECT id FROM workspaces_workspace WHERE slug = '{slug}'")
        for name, path in BIG.items():
            if name not in {"contents", "the log"}:
                pages[f"{name} of workspace {slug}"] = f"/admin/{path}/?workspace={pk}"
                pages[f"{name} of workspace {slug}, any time"] = f"/admin/{path}/?workspace={pk}&when=any"
    return pages


def _deep(database: Database) -> dict[str, str]:
    """Behind nine tenths of the rows, where page numbers would have skipped them all."""
    place = history.MESSAGES // 10
    [(pk,)] = database.query(f"SELECT id FROM mail_messages_message ORDER BY id OFFSET {place} LIMIT 1")
    deep = {f"{name}, deep": f"/admin/{path}/?when=any&before={pk}" for name, path in BIG.items() if name != "the log"}
    turned = {f"{name}, deep, newer": f"/admin/{BIG[name]}/?when=any&after={pk}" for name in SEARCHED}
    return deep | turned


def _searches(database: Database) -> dict[str, str]:
    place = history.MESSAGES // 3
    [(pk,)] = database.query(f"SELECT id FROM mail_messages_message ORDER BY id OFFSET {place} LIMIT 1")
    terms = {
        "an id": str(pk),
        "a rare address": "reader399999@host49.example",
        "a frequent address": history.POPULAR,
        "an unknown address": "nobody@nowhere.example",
        "a part of a subject": "order 99",
        "what nothing holds": "elephant",
    }
    pages = {}
    for name in SEARCHED:
        for what, term in terms.items():
            pages[f"{name} with {what}"] = f"/admin/{BIG[name]}/?q={term.replace(' ', '+')}"
    for name in ("recipients", "attempts", "bounces", "events"):
        pages[f"{name} by message"] = f"/admin/{BIG[name]}/?message_id={pk}"
    pages["events with an id"] = f"/admin/{BIG['events']}/?q={pk}"
    return pages


def _figures(slowest: dict[str, float], shown: int) -> list[Figure]:
    part = "console, PostgreSQL"
    by_time = sorted(slowest.items(), key=lambda page: -page[1])
    goal = f"< {LIMIT_SECONDS:g} s"
    what = f"{len(slowest)} pages beside {history.MESSAGES:,} messages, median"
    return [
        Figure(part, what, f"{statistics.median(slowest.values()) * 1e3:.0f} ms"),
        *(
            Figure(part, name, f"{seconds * 1e3:,.0f} ms", goal, seconds < LIMIT_SECONDS)
            for name, seconds in by_time[:shown]
        ),
    ]


if __name__ == "__main__":
    print(render(main(show_all=sys.argv[1:] == ["all"])))
