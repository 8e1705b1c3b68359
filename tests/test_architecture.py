"""The shape of the code: imports point one way, files and functions stay short, tenancy is left only by name."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
LAYERS = [
    {"protocols"},
    {"core"},
    {"workspaces"},
    {"keys"},
    {"events"},
    {"domains", "suppressions", "reputation", "templates", "assets"},
    {"messages"},
    {"delivery", "tracking"},
    {"otp", "batches", "scheduled", "inbound", "analytics"},
    {"webhooks"},
    {"console"},
]
LEVEL = {app: level for level, layer in enumerate(LAYERS) for app in layer}
CEILING = {"webhooks": "events"}  # sees nothing above this app: events reach it as rows
FRAMEWORKS = {"django", "rest_framework", "django_q", "django_filters", "drf_spectacular"}

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 50
SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc"}

# Who may reach into every workspace, and for what.
ACROSS_WORKSPACES = {
    "apps/workspaces/tenancy.py": "defines it",
    "apps/domains/management/commands/check_domain.py": "an operator asks about a name, whoever has it",
    "apps/domains/services/checking.py": "a job that looks at the domains of every workspace",
    "apps/domains/services/records.py": "the records of several domains at once, each of which the caller has",
    "apps/domains/services/registry.py": "bulk inserts, each row naming its workspace",
    "apps/domains/services/sending.py": "keys for the delivery of many workspaces' mail at once",
    "apps/assets/services/attaching.py": "delivery asks for the assets of many workspaces' mail at once",
    "apps/assets/services/blobs.py": "the sweep looks for what nothing refers to, whoever it belongs to",
    "apps/assets/services/links.py": "an address names an asset, and its signature vouches for it",
    "apps/assets/services/sessions.py": "an address names an upload, and its signature vouches for it",
    "apps/assets/services/sweeping.py": "a job that removes what has expired in every workspace",
    "apps/templates/admin.py": "the console's pages of one version, whoever it belongs to",
    "apps/suppressions/services.py": "bulk inserts for several workspaces, each row naming its own",
    "apps/inbound/api/log_entries.py": "a mail server's log names a message, whoever it belongs to",
    "apps/inbound/services/domains.py": "a mail server names a domain, whoever it belongs to",
    "apps/inbound/services/matching.py": "a report names a message, whoever it belongs to",
    "apps/batches/admin.py": "the console counts the items of many workspaces' batches at once",
    "apps/messages/api/filters.py": "a subquery that is bound to the outer row's workspace",
    "apps/messages/lists.py": "the console looks for an address in every workspace",
    "apps/messages/services/interventions.py": "an operator stops or frees what waits, whoever it belongs to",
    "apps/scheduled/services/dispatch.py": "a job that looks for the workspaces in which mail is due",
    "apps/otp/admin.py": "the console offers the purposes in use, whoever's they are",
    "apps/otp/services/follow.py": "a tick that follows the challenges of every workspace",
    "apps/webhooks/services/claiming.py": "the sender takes endpoints that are due, whoever's they are",
    "apps/webhooks/services/fan_out.py": "a job that looks at the new events of every workspace",
    "apps/webhooks/services/pace.py": "what waits for one endpoint, whose row the caller has",
    "apps/webhooks/services/purge.py": "a job that takes away what deleted endpoints left in every workspace",
    "apps/webhooks/services/recording.py": "the sender records what it was given a claim on",
    "apps/messages/services/outcomes.py": "one transaction records what became of many workspaces' mail",
}
# The console and the delivery engine work across workspaces by their nature.
ACROSS_WORKSPACES_FOLDERS = ("apps/console/", "apps/delivery/")


class Module(NamedTuple):
    app: str
    path: str
    text: str
    tree: ast.Module


class Import(NamedTuple):
    name: str
    line: int
    is_deferred: bool


@cache
def modules() -> list[Module]:
    found = []
    for path in sorted((ROOT / "apps").rglob("*.py")):
        relative = path.relative_to(ROOT)
        if "migrations" not in relative.parts and len(relative.parts) > 2:
            text = path.read_text()
            found.append(Module(relative.parts[1], str(relative), text, ast.parse(text)))
    return found


def imports(tree: ast.Module) -> Iterator[Import]:
    """Every import at any depth, so that one hidden in a function counts too."""
    top = set(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, node not in top)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(f"{node.module}.{alias.name}", node.lineno, node not in top)


def layer_errors() -> Iterator[str]:
    for module in modules():
        for name, line, _ in imports(module.tree):
            package, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if module.app == "protocols" and package in FRAMEWORKS:
                yield f"{module.path}:{line} protocols is pure and imports {name}"
            if package != "apps" or other == module.app:
                continue
            ceiling = LEVEL[CEILING[module.app]] + 1 if module.app in CEILING else LEVEL[module.app]
            if LEVEL[other] >= ceiling:
                yield f"{module.path}:{line} {module.app} may not import {other}"


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_app_has_a_level() -> None:
    assert {module.app for module in modules()} - set(LEVEL) == set()


def test_imports_point_down() -> None:
    assert list(layer_errors()) == []


def test_apps_import_nothing_from_the_project_or_the_tests() -> None:
    outside = {"stackshift_mail", "tests", "bench"}

    found = [
        f"{module.path}:{line} {name}"
        for module in modules()
        for name, line, _ in imports(module.tree)
        # `quickstart` starts the platform and so reads its environment.
        if name.partition(".")[0] in outside and module.app != "console"
    ]

    assert found == []


def test_no_service_knows_a_door() -> None:
    found = [
        f"{module.path}:{line} {name}"
        for module in modules()
        if "/services" in module.path
        for name, line, _ in imports(module.tree)
        if name.startswith("apps.") and {"api", "admin", "tasks"} & set(name.split("."))
    ]

    assert found == []


def test_no_import_hides_in_a_function() -> None:
    found = [
        f"{module.path}:{line} {name}"
        for module in modules()
        for name, line, is_deferred in imports(module.tree)
        if is_deferred and "noqa: PLC0415" not in module.text.splitlines()[line - 1]
    ]

    assert found == []


def test_files_are_short() -> None:
    long = {module.path: module.text.count("\n") for module in modules()}

    assert {path: lines for path, lines in long.items() if lines > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    found = [
        f"{module.path}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for module in modules()
        for node in functions(module.tree)
        if node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]

    assert found == []


def test_names_of_modules_say_something() -> None:
    assert [module.path for module in modules() if set(Path(module.path).with_suffix("").parts) & SAY_NOTHING] == []


def test_only_the_listed_files_reach_across_workspaces() -> None:
    found = {
        module.path
        for module in modules()
        if "across_workspaces(" in module.text and not module.path.startswith(ACROSS_WORKSPACES_FOLDERS)
    }

    assert found - set(ACROSS_WORKSPACES) == set()


def test_modules_say_what_they_are_for() -> None:
    exempt = {"__init__.py", "urls.py", "apps.py"}

    missing = [m.path for m in modules() if Path(m.path).name not in exempt and not ast.get_docstring(m.tree)]

    assert missing == []
