"""What a document says to paste into a shell, and the shell that it is pasted into."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.journeys.processes import ROOT

PORT_IN_DOCUMENTS = "localhost:8000"
CALL = re.compile(r"\b(?:curl|post) ")
# To the standard error, as what is answered may be read by the block itself.
TELL_STATUS = r'write-out = "%{stderr}%{http_code}\n"'


def blocks(document: str, heading: str) -> list[str]:
    """The blocks for a shell in one section of a document."""
    _, _, rest = (ROOT / document).read_text().partition(f"\n## {heading}\n")
    return re.findall(r"^```sh\n(.*?)^```$", rest.partition("\n## ")[0], re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pasted:
    """How many calls a block makes, the status of each that was answered, and what the block printed."""

    calls: int
    statuses: list[int]
    output: str

    @property
    def succeeded(self) -> bool:
        return len(self.statuses) == self.calls > 0 and all(200 <= status < 300 for status in self.statuses)

    @property
    def last(self) -> Any:
        """The data of the last answer, which a question to the reader may stand before."""
        line = self.output.splitlines()[-1]
        return json.loads(line[line.index("{") :])["data"]


class Shell:
    """A shell in a folder that looks like a clone of ours beside which the platform runs."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        (folder / "README.md").symlink_to(ROOT / "README.md")
        (folder / ".curlrc").write_text(TELL_STATUS)

    def paste(self, beginning: str, block: str, *, typed: str = "") -> Pasted:
        """What a block does when the section's first one was pasted before. The port is all that is changed in them."""
        text = f"{beginning}\n{block}".replace(PORT_IN_DOCUMENTS, f"localhost:{self._port}")
        environment = os.environ | {"CURL_HOME": str(self._folder)}
        done = subprocess.run(
            ["sh", "-c", text],
            cwd=self._folder,
            env=environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Pasted(len(CALL.findall(block)), [int(line) for line in done.stderr.split()], done.stdout)
