"""Lists as CSV: every line is taken or refused with its number and a reason, and nothing in them calculates."""

import io
from collections.abc import Callable

import pytest

from apps.core.errors import Invalid, PayloadTooLarge
from apps.events.models import Event
from apps.suppressions import csv_files
from apps.suppressions.csv_files import Table
from apps.suppressions.models import Reason, Source, Suppression
from apps.suppressions.services import NewSuppression, add
from apps.suppressions.transfer import CHUNK, Chunk, Report, export_rows, import_table
from apps.workspaces.models import Workspace
from tests import stored
from tests.conftest import World
from tests.factories import suppress


def table(content: bytes | str) -> Table:
    raw = content.encode() if isinstance(content, str) else content
    return Table(io.BytesIO(raw), len(raw))


def taken(workspace: Workspace, content: bytes | str, note: Callable[[Chunk], object] = lambda _: None) -> Report:
    return import_table(workspace.pk, table(content), Reason.MANUAL, note=note)


def listed(workspace: Workspace) -> dict[str, str]:
    return dict(Suppression.objects.of(workspace.pk).order_by("pk").values_list("email", "reason"))


@pytest.mark.parametrize(
    "content",
    [
        "email,reason\nAda@EXAMPLE.com,blocked\neve@example.com,\n",
        "\ufeffEmail,Reason\r\nAda@example.com,BLOCKED\r\neve@example.com\r\n",
        "reason;name;email\nblocked;Ada;Ada@example.com\n;Eve;eve@example.com",
        "Ada@example.com,blocked\n\neve@example.com",
        'email\treason\n"Ada@example.com"\tblocked\n eve@example.com \t manual \n,,\n',
        'email,note,reason\nAda@example.com,"a, ""b""",blocked\neve@example.com,=1+1,\n',
    ],
)
def test_is_read_as_people_write_it(workspace: Workspace, content: str) -> None:
    report = taken(workspace, content)

    assert (report.new, report.refused) == (2, [])
    assert listed(workspace) == {"Ada@example.com": "blocked", "eve@example.com": "manual"}
    assert set(Suppression.objects.of(workspace.pk).values_list("source", flat=True)) == {"user"}
    assert Event.objects.of(workspace.pk).filter(type="mail.suppression.created").count() == 2


def test_each_bad_line_is_told_with_its_number_and_why(workspace: Workspace) -> None:
    lines = [
        b"email,reason",
        b"good@example.com,complaint",
        b"nobody,",
        b"a@x.example,=cmd()",
        b"*@example.com,blocked",
        b"example.com,",
        b"\xff\xfe@example.com,",
        b"",
        b'"open@example.com,blocked',
        b"a@b.example\x00,blocked",
        b"b@example.com," + b"x" * 5_000,
        b"<script>alert(1)</script>@example.com,",
        b"last@example.com,hard_bounce",
    ]

    report = taken(workspace, b"\n".join(lines))

    assert listed(workspace) == {"good@example.com": "complaint", "last@example.com": "hard_bounce"}
    assert [(row.line, row.why[:46]) for row in report.refused] == [
        (3, "The address must hold exactly one @, as in nam"),
        (4, "The reason is none of hard_bounce, complaint, "),
        (5, "A suppression is for one address: there are no"),
        (6, "The address must hold exactly one @, as in nam"),
        (7, "It is not UTF-8."),
        (9, "The domain may hold only letters, digits, hyph"),
        (10, "The address holds white space, a control chara"),
        (11, "It is longer than 4,000 bytes."),
        (12, "The part before the @ is empty, has a misplace"),
    ]
    assert report.refused[-1].email == "<script>alert(1)</script>@example.com"


def test_known_and_repeated_addresses_change_nothing(workspace: Workspace) -> None:
    suppress(workspace.pk, "known@example.com")
    content = "email,reason\nKNOWN@example.com,blocked\nnew@example.com,blocked\nNew@example.com,complaint\n"

    first, second = taken(workspace, content), taken(workspace, content)

    assert (first.new, first.known, first.repeated, first.lines) == (1, 1, 1, 3)
    assert (second.new, second.known, second.repeated) == (0, 2, 1)
    assert listed(workspace) == {"known@example.com": "manual", "new@example.com": "blocked"}


def test_a_check_tells_the_same_and_stores_nothing(workspace: Workspace) -> None:
    suppress(workspace.pk, "known@example.com")
    content = "email\nKnown@example.com\nnew@example.com\nnew@example.com\nx\n"
    before = stored.everything()

    trial = import_table(workspace.pk, table(content), Reason.BLOCKED, note=None)

    assert stored.everything() == before
    assert trial == taken(workspace, content)


def test_a_file_is_for_one_workspace(world: World) -> None:
    taken(world.owner.workspace, "email\nada@example.com\n")

    assert listed(world.stranger.workspace) == {}


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        ("email\nada@example.com\n".encode("utf-16"), Invalid),
        (b"", Invalid),
        (b"name,reason\nAda,blocked\n", Invalid),
        (b"\x00\x01\x02", Invalid),
        (b"email\n" + b"a@b.example\n" * 50_001, PayloadTooLarge),
        (b"email\n" + b"x" * 10_000_000, PayloadTooLarge),
    ],
    ids=["utf-16", "empty", "no column", "binary", "50,001 rows", "10 MB"],
)
def test_a_file_that_is_none_is_refused_whole(workspace: Workspace, content: bytes, refusal: type[Exception]) -> None:
    before = stored.everything()

    with pytest.raises(refusal):
        taken(workspace, content)
    assert stored.everything() == before


def test_fifty_thousand_rows_are_read(workspace: Workspace) -> None:
    lines = table(b"email\n" + b"ada@example.com\n" * 50_000).lines()

    assert sum(1 for _ in lines) == 50_000


def test_each_chunk_is_a_transaction_of_its_own(workspace: Workspace) -> None:
    content = "email\n" + "".join(f"r{number}@example.com\n" for number in range(CHUNK + 5))
    chunks = []

    def note(chunk: Chunk) -> None:
        chunks.append(chunk)
        if len(chunks) == 2:
            raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError):
        taken(workspace, content, note)

    assert len(listed(workspace)) == CHUNK
    assert chunks == [Chunk(2, CHUNK + 1, CHUNK), Chunk(CHUNK + 2, CHUNK + 6, 5)]
    assert (taken(workspace, content).known, len(listed(workspace))) == (CHUNK, CHUNK + 5)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_would_calculate_is_written_with_a_quote(start: str) -> None:
    cell = f"{start}1+1"

    assert csv_files.guarded(cell) == f"'{cell}"
    assert csv_files.unguarded(f"'{cell}") == cell
    for plain in ("ada@example.com", "'ada'@example.com", "", "1=1"):
        assert csv_files.guarded(plain) == csv_files.unguarded(plain) == plain


def test_what_is_exported_can_be_imported_again(world: World) -> None:
    ours, theirs = world.owner.workspace, world.stranger.workspace
    emails = ["=cmd@example.com", "+1@example.com", "-x@example.com", "jörg@example.com", "'ada'@example.com"]
    add([NewSuppression(ours.pk, email, Reason.BLOCKED, Source.USER, metadata={"a": '"=1'}) for email in emails])

    content = b"".join(export_rows(Suppression.objects.of(ours.pk)))

    assert content.splitlines()[0] == b"email,reason,source,created_at,message_id,bounce_id,metadata"
    assert b"\n'=cmd@example.com,blocked,user," in content
    assert not any(line.startswith((b"=", b"+", b"-", b"@")) for line in content.splitlines())
    assert taken(theirs, content).refused == []
    assert set(listed(theirs)) == set(emails)


def test_an_export_of_several_chunks_has_every_row_once(workspace: Workspace) -> None:
    emails = [f"r{number:04}@example.com" for number in range(2 * CHUNK)]
    add([NewSuppression(workspace.pk, email, Reason.MANUAL, Source.USER) for email in emails])

    lines = b"".join(export_rows(Suppression.objects.of(workspace.pk))).decode().splitlines()[1:]

    assert sorted(line.partition(",")[0] for line in lines) == emails
