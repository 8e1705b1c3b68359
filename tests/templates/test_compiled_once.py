"""A version is compiled once in a process, whoever sends it how often; every other version is compiled afresh."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from unittest.mock import patch

import pytest

from apps.messages.models import MessageContent
from apps.templates.engine import content
from apps.templates.engine.compiled import compile_part
from apps.templates.models import Template, TemplateVersion
from apps.templates.services import rendering
from apps.templates.services.rendering import content_of, prepare
from apps.workspaces.models import Workspace
from tests.client import SEND_TEMPLATE, TEMPLATES, Api
from tests.templates.making import make_template

Compiled = Callable[[], list[str]]


@pytest.fixture
def compiled() -> Iterator[Compiled]:
    """Which parts have been compiled since it was last asked, with nothing kept from other tests."""
    with (
        patch.object(rendering, "_cache", rendering._Cache()),
        patch.object(content, "compile_part", wraps=compile_part) as compiler,
    ):

        def since() -> list[str]:
            parts = [call.args[0].value for call in compiler.call_args_list]
            compiler.reset_mock()
            return parts

        yield since


def send(api: Api, name: str, **more: Any) -> str:
    """The text that it became."""
    body = {"template": "welcome", "from": "shop@shop.example", "to": "ada@example.com", "data": {"name": name}}
    answer = api.post(SEND_TEMPLATE, body | more)
    assert answer.status == 202, answer
    return str(MessageContent.objects.get(message_id=answer.data["id"]).text)


def make(workspace: Workspace, slug: str = "welcome", word: str = "Hello") -> Template:
    return make_template(workspace, slug, subject="{{ name }}", html="<p>{{ name }}</p>", text=f"{word} {{{{ name }}}}")


def version_of(template: Template) -> TemplateVersion:
    version: TemplateVersion = TemplateVersion.objects.of(template.workspace_id).get(pk=template.active_version_id)
    return version


def test_the_second_render_of_a_version_compiles_nothing(api: Api, workspace: Workspace, compiled: Compiled) -> None:
    make(workspace)
    compiled()

    assert send(api, "Ada") == "Hello Ada"
    assert compiled() == ["subject", "html", "text"]
    assert send(api, "Grace") == "Hello Grace"
    preview = api.post(f"{TEMPLATES}/welcome/preview", {"data": {"name": "Jean"}}).data
    assert preview["text"] == "Hello Jean"
    assert api.post(f"{TEMPLATES}/welcome/diagnostics", {"data": {"name": "Jean"}}).status == 200
    assert compiled() == []


def test_a_new_version_is_compiled_afresh_and_the_old_one_is_still_there(
    api: Api, workspace: Workspace, compiled: Compiled
) -> None:
    first = str(make(workspace).active_version_id)
    send(api, "Ada")
    changed = api.patch(f"{TEMPLATES}/welcome", {"text": "Good day {{ name }}"}).data
    compiled()

    assert send(api, "Ada") == "Good day Ada"
    assert compiled() == ["subject", "html", "text"]
    assert send(api, "Ada", versionId=first) == "Hello Ada"
    assert api.post(f"{TEMPLATES}/welcome/versions/{first}/activate").status == 200
    assert send(api, "Ada") == "Hello Ada"
    assert send(api, "Ada", versionId=changed["activeVersionId"]) == "Good day Ada"
    assert compiled() == []


def test_two_templates_with_the_same_content_are_two(workspace: Workspace, compiled: Compiled) -> None:
    contents = [content_of(version_of(make(workspace, slug))) for slug in ("one", "two")]

    assert contents[0] is not contents[1]
    assert [prepare(workspace.pk, slug)._content for slug in ("one", "two")] == contents


def test_what_has_not_been_used_for_longest_goes_first(workspace: Workspace, compiled: Compiled) -> None:
    first, second, third = (version_of(make(workspace, slug)) for slug in ("one", "two", "three"))
    with patch.object(rendering, "MAX_KEPT", 2):
        for version in (first, second, first, third):
            content_of(version)
        compiled()
        for version in (first, third):
            content_of(version)
        assert compiled() == []
        content_of(second)
        assert compiled() == ["subject", "html", "text"]


def test_what_is_kept_is_bounded_by_its_size(workspace: Workspace, compiled: Compiled) -> None:
    first, second = (version_of(make(workspace, slug)) for slug in ("one", "two"))
    with patch.object(rendering, "MAX_CHARACTERS", content_of(first).size * 2 - 1):
        content_of(second)
        compiled()
        content_of(second)
        assert compiled() == []
        content_of(first)
        assert compiled() == ["subject", "html", "text"]


def test_threads_that_compile_at_once_share_what_was_first(workspace: Workspace, compiled: Compiled) -> None:
    version = version_of(make(workspace))
    barrier = Barrier(4)

    def use() -> object:
        barrier.wait(10)
        return content_of(version).preview({"name": "Ada"})

    with ThreadPoolExecutor(4) as pool:
        outcomes = [future.result() for future in [pool.submit(use) for _ in range(4)]]

    assert outcomes == [outcomes[0]] * 4
    kept = content_of(version)
    assert content_of(version) is kept
    assert rendering._cache._characters == kept.size
