"""One-time codes with the packages that customers have installed."""

from collections.abc import Callable

from apps.delivery.models import CapturedMessage
from apps.otp.tasks import follow
from tests.clients.conftest import Client
from tests.clients.test_published_clients import UNKNOWN, every_client, refusal
from tests.journeys.rig import SENDER
from tests.otp.conftest import code_in, wrong

FROM = f"Shop <shop@{SENDER}>"


def mailed_code(message_id: str) -> str:
    """The code in the inbox of the capture transport, which holds the mail as a mailbox does."""
    mail = CapturedMessage.objects.across_workspaces().get(message_id=message_id)
    return code_in(bytes(mail.source).decode())


@every_client
def test_a_code_is_sent_and_verified(
    connect: Callable[..., Client], deliver: Callable[[], None], version: str, mount: str
) -> None:
    client = connect(version, mount)
    letter = {
        "to": "ada@example.com",
        "purpose": "login",
        "from_": FROM,
        "expires_in": "10m",
        "code_length": 8,
        "metadata": {"user_ID": "u1"},
        "idempotency_key": "login:u1",
        "subject": "Your code",
        "brand_name": "Shop",
    }
    challenge = client("otp.send", **letter)
    assert (challenge["status"], challenge["idempotencyStatus"]) == ("pending", "created")
    assert client("otp.send", **letter) == challenge | {"idempotencyStatus": "replayed"}
    deliver()
    follow()
    code = mailed_code(challenge["messageId"])
    assert len(code) == 8

    status, name, details = refusal(client, "otp.verify", code=wrong(code), challenge_id=challenge["id"])
    assert (status, name) == (400, "otp_invalid_code")
    assert details == {"attemptsRemaining": 4, "challengeId": challenge["id"]}
    verified = client("otp.verify", code=code, to="ada@example.com", purpose="login")
    assert (verified["verified"], verified["challengeId"]) == (True, challenge["id"])
    assert refusal(client, "otp.verify", code=code, challenge_id=challenge["id"])[:2] == (409, "invalid_state")

    shown = client("otp.challenges.get", challenge["id"])
    assert (shown["status"], shown["deliveryStatus"], shown["attempts"]) == ("verified", "sent", 2)
    assert shown["metadata"] == {"user_ID": "u1"}
    assert client("otp.challenges.list", to="ada@example.com", purpose="login", status="verified")["data"] == [shown]
    events = client("events.list", resource_type="otp", resource_id=challenge["id"])["data"]
    assert [event["type"].removeprefix("mail.otp.") for event in events] == [
        *("verified", "failed_attempt", "sent", "created")
    ]
    assert code not in str([shown, events, client("messages.get", challenge["messageId"])])


@every_client
def test_a_code_is_canceled_and_refusals_are_the_clients_own(
    connect: Callable[..., Client], version: str, mount: str
) -> None:
    client = connect(version, mount)
    first = client("otp.send", to="ada@example.com", purpose="login", from_=FROM)
    assert refusal(client, "otp.send", to="ada@example.com", purpose="login", from_=FROM)[:2] == (429, "rate_limited")
    second = client("otp.send", to="ada@example.com", purpose="reset", from_=FROM)

    assert client("otp.challenges.cancel", first["id"])["status"] == "canceled"
    assert refusal(client, "otp.challenges.cancel", first["id"])[:2] == (409, "invalid_state")

    page = client("otp.challenges.list", limit=1)
    rest = client("otp.challenges.list", limit=1, cursor=page["nextCursor"])
    assert [row["id"] for row in page["data"] + rest["data"]] == [second["id"], first["id"]]
    assert refusal(client, "otp.challenges.get", UNKNOWN)[:2] == (404, "not_found")
    assert refusal(client, "otp.verify", code="123456", challenge_id=UNKNOWN)[:2] == (404, "not_found")
    assert refusal(client, "otp.send", to="ada@example.com", purpose="login")[:2] == (400, "validation_error")
