"""When soft bounces suppress an address: the policy, as data. What it is for stands in docs/suppressions.md."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """So many bounces `within` this time, with no delivery in between, that one of the `rules` has read."""

    bounces: int
    within: timedelta
    rules: frozenset[str]


# Rules (apps.protocols.reply_rules) that speak of a mailbox which takes no mail. Never one of policy, reputation,
# content or the way there: those are about us or the world. Nor `mailbox_rate`: who gets too much mail is alive.
REPEATED = Policy(
    bounces=5,
    within=timedelta(days=30),
    rules=frozenset({"mailbox_full", "mailbox_full_now", "mailbox_full_and_inactive", "disabled_text"}),
)
