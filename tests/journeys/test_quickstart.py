"""One command from nothing to a platform that works, and back to nothing that runs."""

import json
import os
import re
import shlex
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import ONLY_ON
from tests.journeys.documents import Shell, blocks
from tests.journeys.processes import ROOT, Tree, manage, wait_until
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

    def inbox(self, address: str) -> dict[str, EmailMessage]:
        """The mail in an inbox of the console, by subject."""
        rows = self._ask("SELECT source FROM delivery_capturedmessage WHERE inbox = ?", address)
        mails = [message_from_bytes(source, _class=EmailMessage, policy=policy.default) for (source,) in rows]
        return {str(mail["Subject"]): mail for mail in mails}

    def default_sender(self) -> str:
        ((sender,),) = self._ask("SELECT default_sender FROM workspaces_workspace WHERE slug = 'demo'")
        return str(sender)

    def forget_default_sender(self) -> None:
        """As of a database that an earlier release has made."""
        self._ask("UPDATE workspaces_workspace SET default_sender = ''")

    def _ask(self, statement: str, *values: str) -> list[Any]:
        with closing(sqlite3.connect(self.var / "stackshift.sqlite3")) as database, database:
            return database.execute(statement, values).fetchall()


@pytest.fixture
def quickstart(tmp_path: Path) -> Iterator[Quickstart]:
    made = Quickstart(tmp_path)
    yield made
    for tree in made.trees:
        tree.clear_away()


@pytest.mark.timeout(180)
def test_quickstart_from_an_empty_folder_twice_and_what_the_documents_say_to_paste(
    quickstart: Quickstart, tmp_path: Path
) -> None:
    first = quickstart.start()
    sent = pasted(curl_line(first))
    assert sent["success"] is True
    api = LiveApi(f"http://127.0.0.1:{quickstart.port}", key_in(curl_line(first)))
    wait_until(lambda: api.get(f"/v1/mail/messages/{sent['data']['id']}").data["status"] == "sent", "it is captured")
    assert story_of(api, sent["data"]["id"]).attempts[0]["transport"] == "capture"
    assert stat.S_IMODE(quickstart.var.stat().st_mode) == 0o700
    shell = Shell(tmp_path, quickstart.port)
    paste_the_readme(shell, quickstart)
    paste_about_templates(shell, quickstart)
    accepted = ids_of(api)

    assert first.terminate() == 0
    assert first.pids() == []
    quickstart.forget_default_sender()

    second = quickstart.start()
    assert curl_line(second) == curl_line(first)
    assert quickstart.default_sender() == "Demo <hello@demo.example>"
    assert ids_of(api) >= accepted >= {sent["data"]["id"]}
    assert pasted(curl_line(second))["success"] is True
    assert second.terminate() == 0
    assert second.pids() == []


# With nothing in its environment it is SQLite that it works on, whatever the other tests work on.
setattr(test_quickstart_from_an_empty_folder_twice_and_what_the_documents_say_to_paste, ONLY_ON, "sqlite")


def paste_the_readme(shell: Shell, quickstart: Quickstart) -> None:
    """Every way to send, as the README shows it."""
    beginning, template, code, verify, later, batch, file = blocks("README.md", "Other ways to send")

    for block in (template, code):
        done = shell.paste(beginning, block)
        assert done.succeeded, done
    asked = done.last
    wait_until(lambda: code_in(quickstart), "the code is in the inbox")
    done = shell.paste(beginning, verify, typed=f"{code_in(quickstart)}\n")
    assert (done.succeeded, done.last["id"], done.last["status"]) == (True, asked["id"], "verified"), done
    done = shell.paste(beginning, later)
    assert (done.succeeded, done.last["status"]) == (True, "scheduled"), done
    done = shell.paste(beginning, batch)
    assert (done.succeeded, done.last["messageCount"], done.last["failedCount"]) == (True, 2, 1), done
    done = shell.paste(beginning, file)
    assert done.succeeded, done

    expected = {"Welcome, Ada", "For Ada", "A file"}
    wait_until(lambda: quickstart.inbox("ada@example.com").keys() >= expected, "all of it is captured")
    inbox = quickstart.inbox("ada@example.com")
    assert str(inbox["Welcome, Ada"]["From"]) == quickstart.default_sender() == "Demo <hello@demo.example>"
    (attached,) = inbox["A file"].iter_attachments()
    assert attached.get_filename() == "Lies mich ☕.md"
    assert attached.get_payload(decode=True) == (ROOT / "README.md").read_bytes()


def paste_about_templates(shell: Shell, quickstart: Quickstart) -> None:
    """From nothing to a mail, as docs/templates.md shows it."""
    beginning, create, preview, test, send = blocks("docs/templates.md", "From nothing to a mail")

    done = [shell.paste(beginning, block) for block in (create, preview, test, send)]

    assert [pasted.succeeded for pasted in done] == [True] * 4, done
    assert done[1].last["missingVariables"] == ["url"]
    wait_until(lambda: "Your receipt, Ada" in quickstart.inbox("you@example.com"), "the test is captured")
    wait_until(lambda: "Your receipt, Ada" in quickstart.inbox("ada@example.com"), "the mail is captured")


def code_in(quickstart: Quickstart) -> str:
    """The code that the inbox shows, or nothing yet."""
    for mail in quickstart.inbox("ada@example.com").values():
        body = mail.get_body(("plain",))
        if body is not None and (found := re.search(r"^\s*(\d{6})\s*$", body.get_content(), re.MULTILINE)):
            return found[1]
    return ""


def ids_of(api: LiveApi) -> set[str]:
    return {message["id"] for message in api.get("/v1/mail/messages").rows}


def curl_line(tree: Tree) -> str:
    (line,) = [line for line in tree.output.splitlines() if line.startswith("curl ")]
    return line


def key_in(line: str) -> str:
    return next(word for word in shlex.split(line) if word.startswith("Authorization:")).rpartition(" ")[2]


def pasted(line: str) -> Any:
    """What the line answers when a shell runs it."""
    return json.loads(subprocess.run(line, shell=True, check=True, capture_output=True).stdout)
