"""Every state that the console shows has the colour of its meaning."""

from itertools import chain

import pytest
from django.contrib import admin
from django.db.models import Model

from apps.batches.states import BatchStatus
from apps.core.admin import TONES, ConsoleAdmin, pill
from apps.messages.states import BounceType
from apps.otp.states import Status as OtpStatus
from apps.protocols.sender_records import CheckStatus
from apps.scheduled.states import Status as ScheduledStatus
from tests.journeys.processes import ROOT

STYLES = ROOT / "static" / "console.css"
# These are read off other rows, or have no choices in their tables.
READ_OFF = (*BatchStatus.values, *BounceType.values, *CheckStatus)


def statuses(model: type[Model]) -> list[str]:
    """What a model's status may be."""
    fields = [field for field in model._meta.fields if field.name == "status"]
    return [str(value) for field in fields for value, _ in field.flatchoices]


def shown() -> set[str]:
    models = [model for model, page in admin.site._registry.items() if isinstance(page, ConsoleAdmin)]
    return {*chain.from_iterable(map(statuses, models)), *READ_OFF}


def test_every_state_has_a_tone() -> None:
    states = shown()

    assert {*OtpStatus.values, *ScheduledStatus.values, "ready", "open", "archived", "suspended"} <= states
    assert states - TONES.keys() == set()


def test_every_tone_is_one_that_the_style_sheet_knows() -> None:
    styles = STYLES.read_text()

    assert {tone for tone in TONES.values() if f".pill.{tone} {{" not in styles} == {"quiet"}


@pytest.mark.parametrize(
    ("state", "html"),
    [
        ("scheduled", '<span class="pill open">Scheduled</span>'),
        ("partially_failed", '<span class="pill waiting">Partially failed</span>'),
        ("canceled", '<span class="pill quiet">Canceled</span>'),
    ],
)
def test_a_state_is_shown_in_its_tone(state: str, html: str) -> None:
    assert pill(state) == html
