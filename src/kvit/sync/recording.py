"""What a run was answered, kept sealed, and a transport that answers a replay from it.

An answer is stored before the plugin sees it, under the organization's data key and bound to its row:
one line of JSON about request and answer, then the body, compressed together.
"""

from __future__ import annotations

import uuid
import zlib
from collections import defaultdict
from typing import Final

import httpx
import msgspec

from kvit.kernel.errors import NotRecorded
from kvit.kernel.sealing import KeyRing, Place
from kvit.sync.models import RecordedAnswer, SyncHistory
from kvit.sync.redaction import Redactor

LARGEST_RECORDED_BYTES: Final = 64 * 1024 * 1024
KEPT_HEADERS: Final = (
    "content-disposition",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "link",
    "location",
    "retry-after",
)
"""Others may hold cookies or tokens; these are masked as well."""

_LEVEL: Final = 1
"""Bank answers shrink to a tenth already; more would cost more time than space."""


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """Everything about one request and its answer but the body."""

    fence: int
    """The claim of the run that asked."""
    method: str
    url: str
    """Masked: a URL may hold a token."""
    status: int
    headers: list[tuple[str, str]]
    is_whole: bool
    """False where the body was too large to be kept."""


class Recorder:
    """Keeps the answers of one claim of a run."""

    def __init__(self, run: SyncHistory, keys: KeyRing, redactor: Redactor) -> None:
        self._run = run
        self._keys = keys
        self._redactor = redactor

    def keep(self, request: httpx.Request, response: httpx.Response) -> None:
        """Store one answer, in one insert; of one larger than 64 MB only that it came."""
        mask = self._redactor.mask
        head = _Head(
            fence=self._run.fence,
            method=request.method,
            url=mask(str(request.url)),
            status=response.status_code,
            headers=[
                (name, mask(value))
                for name, value in response.headers.multi_items()
                if name.lower() in KEPT_HEADERS
            ],
            is_whole=len(response.content) <= LARGEST_RECORDED_BYTES,
        )
        row = RecordedAnswer(run=self._run, uid=uuid.uuid4())
        row.sealed = self._keys.seal(_packed(head, response.content), _place(self._run, row.uid))
        row.save(force_insert=True)


class Replay(httpx.BaseTransport):
    """Answers from what a run was answered; it sends nothing.

    A request is known by its method and masked URL. Its answers come in the order in which they were
    recorded, each once, the last one again and again. What a later claim of the run asked again is answered
    from that claim: the earlier one may have given up over its answer.
    """

    def __init__(self, run: SyncHistory, keys: KeyRing, redactor: Redactor) -> None:
        self._run = run
        self._keys = keys
        self._redactor = redactor
        self._left = self._index()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises NotRecorded where the run holds no answer to this, or one too large to be kept."""
        rows = self._left.get((request.method, self._redactor.mask(str(request.url))))
        if not rows:
            raise NotRecorded
        head, body = self._open(rows.pop(0) if len(rows) > 1 else rows[0])
        if not head.is_whole:
            raise NotRecorded
        return httpx.Response(head.status, headers=head.headers, content=body, request=request)

    def _index(self) -> dict[tuple[str, str], list[int]]:
        """The rows that answer each request, in order."""
        latest: dict[tuple[str, str], int] = {}
        rows: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for pk in self._run.answers.order_by("pk").values_list("pk", flat=True):
            head, _ = self._open(pk)
            asked = (head.method, head.url)
            if latest.setdefault(asked, head.fence) != head.fence:
                latest[asked] = head.fence
                rows[asked].clear()
            rows[asked].append(pk)
        return dict(rows)

    def _open(self, pk: int) -> tuple[_Head, bytes]:
        row = RecordedAnswer.objects.get(pk=pk)
        return _unpacked(self._keys.open(bytes(row.sealed), _place(self._run, row.uid)))


def _packed(head: _Head, body: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL)
    first = packer.compress(msgspec.json.encode(head) + b"\n")
    return first + packer.compress(body if head.is_whole else b"") + packer.flush()


def _unpacked(packed: bytes) -> tuple[_Head, bytes]:
    head, _, body = zlib.decompress(packed).partition(b"\n")
    return msgspec.json.decode(head, type=_Head), body


def _place(run: SyncHistory, uid: uuid.UUID) -> Place:
    return Place("sync_recordedanswer", "sealed", run.organization.uid, str(uid))
