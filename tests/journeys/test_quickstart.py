"""One command from nothing to a platform that works, and back to nothing that runs."""

import json
import os
import shlex
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import ONLY_ON
from tests.journeys.processes import Tree, manage, wait_until
from tests.journeys.rig import LiveApi, free_port
from tests.journeys.story import story_of

NOT_OURS = ("DATABASE_URL", "SECRET_KEY", "FIELD_KEYS", "DJANGO_SETTINGS_MODULE")


class Quickstart:
    """`manage.py quickstart` with an environment that says where and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.var, self._logs, self.port = folder / "var", folder, free_port()
        given = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        self._environment = given | {"STACKSHIFT_VAR": str(self.var), "PORT": str(self.port), "WEB_WORKERS": "1"}
        self.trees: list[Tree] = []

    def start(self) -> Tree:
        tree = Tree(manage("quickstart"), self._environment, self._logs / f"quickstart-{len(self.trees)}.log")
        self.trees.append(tree)
        wait_until(lambda: "Ctrl-C stops everything." in tree.output, "it says that it is ready")
        return tree


@pytest.fixture
def quickstart(tmp_path: Path) -> Iterator[Quickstart]:
    made = Quickstart(tmp_path)
    yield made
    for tree in made.trees:
        tree.clear_away()


@pytest.mark.timeout(180)
def test_quickstart_from_an_empty_folder_twice(quickstart: Quickstart) -> None:
    first = quickstart.start()
    sent = pasted(curl_line(first))
    assert sent["success"] is True
    api = LiveApi(f"http://127.0.0.1:{quickstart.port}", key_in(curl_line(first)))
    wait_until(lambda: api.get(f"/v1/mail/messages/{sent['data']['id']}").data["status"] == "sent", "it is captured")
    assert story_of(api, sent["data"]["id"]).attempts[0]["transport"] == "capture"
    assert stat.S_IMODE(quickstart.var.stat().st_mode) == 0o700

    assert first.terminate() == 0
    assert first.pids() == []

    second = quickstart.start()
    assert curl_line(second) == curl_line(first)
    assert [message["id"] for message in api.get("/v1/mail/messages").rows] == [sent["data"]["id"]]
    assert pasted(curl_line(second))["success"] is True
    assert second.terminate() == 0
    assert second.pids() == []


# With nothing in its environment it is SQLite that it works on, whatever the other tests work on.
setattr(test_quickstart_from_an_empty_folder_twice, ONLY_ON, "sqlite")


def curl_line(tree: Tree) -> str:
    (line,) = [line for line in tree.output.splitlines() if line.startswith("curl ")]
    return line


def key_in(line: str) -> str:
    return next(word for word in shlex.split(line) if word.startswith("Authorization:")).rpartition(" ")[2]


def pasted(line: str) -> Any:
    """What the line answers when a shell runs it."""
    return json.loads(subprocess.run(line, shell=True, check=True, capture_output=True).stdout)
