"""How a file of inbound mail is answered, in the API and in the console."""

from django.http import FileResponse, HttpResponse

from apps.assets import naming
from apps.assets.services import blobs
from apps.core import inert
from apps.inbound.errors import FileGone
from apps.inbound.models import InboundAttachment
from apps.inbound.services.letters import file_of


def served(attachment: InboundAttachment) -> HttpResponse | FileResponse:
    """Raises FileGone, StorageUnavailable."""
    named = (attachment.filename, naming.served_type(attachment.content_type), attachment.size)
    asset = file_of(attachment)
    answer: HttpResponse | FileResponse
    if asset is None or asset.blob is None:
        answer = HttpResponse(headers=inert.download_headers(*named))
    else:
        try:
            answer = inert.download(blobs.open_file(asset.blob), *named)
        except FileNotFoundError:
            raise FileGone from None
    answer["Cache-Control"] = "private, no-store"
    return answer
