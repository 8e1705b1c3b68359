"""What the API tells about one message, in the words of the tests."""

from dataclasses import dataclass
from typing import Any, Protocol

from tests.client import MESSAGES, Answer


class Reader(Protocol):
    def get(self, path: str) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Story:
    """A message and what became of it."""

    message: Any
    attempts: list[Any]
    timeline: list[Any]
    bounces: list[Any]

    @property
    def status(self) -> str:
        return str(self.message["status"])

    @property
    def tries(self) -> list[str]:
        return [attempt["status"] for attempt in self.attempts]

    @property
    def happened(self) -> list[str]:
        """The types of the timeline, without the prefixes that all share."""
        return [item["type"].removeprefix("mail.").removeprefix("message.") for item in self.timeline]

    @property
    def ends(self) -> dict[str, str]:
        """Each recipient's status."""
        return {recipient["email"]: recipient["status"] for recipient in self.message["recipients"]}

    @property
    def wait(self) -> Any:
        """Why the only recipient waits."""
        (recipient,) = self.message["recipients"]
        return recipient["wait"]


def story_of(api: Reader, message_id: str) -> Story:
    path = f"{MESSAGES}/{message_id}"
    rows = [api.get(f"{path}/{part}").rows for part in ("attempts", "timeline", "bounces")]
    return Story(api.get(path).data, *rows)
