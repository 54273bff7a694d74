"""A zone in a bucket of S3, or of anything that speaks its language.

An object of ours that was put is one of theirs. One that grows cannot be: S3 has no append. Its
bytes wait in memory until a `sync`, which puts them as a *piece* beside it, named for the offset of
its first byte, and returns when S3 has it. A long object is put piece by piece even without a sync.
When the object is closed its pieces become one object, and go; readers take either.

    packs/01/…01.pack                        what was put whole, or joined
    packs/01/…01.pack.piece-0000000000001000 what follows from byte 4096 on
    packs/01/…01.pack.piece-00000000000002000 and from 8192 on, by another process

Every PUT carries a checksum that S3 verifies. boto3 retries what may be retried, with backoff and
jitter. What was appended and not synced is lost with the process: other zones have it.

A PUT that failed may have arrived, or arrive yet. So a piece that was tried keeps its bytes, and is
tried again as it is. And a piece is put only where nothing is (where the server knows conditions).
Whoever goes on with an object first puts an empty piece where the process that had it before would
put its next one, and names its own with one more zero. So the former one, which may live on another
machine, is refused, instead of acknowledging what the later one does not know of.

An answer counts only if it says what S3 says. What stands between, such as a portal that wants a
login, answers 200 to anything: an empty listing, a PUT that is nowhere.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from s3fs_local.errors import StoreFull, ZoneUnavailable
from s3fs_local.objects.lanes import ThreadLane
from s3fs_local.objects.names import check_name, is_name
from s3fs_local.objects.s3_keeping import ARCHIVED, CHECKSUM, BucketKeeping, code_of
from s3fs_local.rules.keeping import OFF, Keeping

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

logger = logging.getLogger(__name__)

PIECE_BYTES_MAX: Final = 8 << 20
"""An object that grew by so much since its last piece is put without being asked."""
PART_BYTES: Final = 16 << 20
"""Larger objects are put in parts of this size (multipart upload)."""
CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 10
ATTEMPTS: Final = 8
"""Some seconds' patience where nobody listens: botocore waits 50 ms first, then twice as long."""
BODY_ATTEMPTS: Final = 3
LOOKS_MAX: Final = 8
"""How often a reader looks anew for an object whose pieces are joined between list and get."""

_PIECE: Final = ".piece-"
DIGITS: Final = 16
"""Of the offset in the name of a piece, where the process puts it that made the object."""
_ROOM: Final = 1 << 60  # S3 does not say
_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_FULL: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_STALE: Final = frozenset(
    {"ExpiredToken", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId"}
    | {"SignatureDoesNotMatch"}
)
"""What S3 says to credentials that were exchanged since we read them."""
_REDIRECTS: Final = "its endpoint redirects to no region: is the URL right, http or https?"
"""Of such an answer botocore asks itself where to go, for ever (S3RegionRedirectorv2)."""
_TAKEN: Final = frozenset({"PreconditionFailed", "412"})
_NO_CONDITIONS: Final = frozenset({"NotImplemented", "501"})


class _NotFromS3(BotoCoreError):
    """Somebody else answered, or only half an answer came."""

    fmt = (
        "the answer to {operation} lacks what S3 says: is there a proxy or portal in between"
        " that answers in its place?"
    )


class S3Place(Struct, frozen=True):
    """Where a zone lies in S3."""

    bucket: str
    prefix: str = ""  # without a slash at either end
    endpoint: str = ""  # "" = AWS
    region: str = ""
    profile: str = ""
    credentials_file: str = ""
    storage_class: str = ""  # of packs: "" = as ours, "off" = the bucket's default


class _Piece(Struct, frozen=True):
    """A run of bytes of an object, as S3 has it."""

    key: str
    start: int
    length: int

    @property
    def end(self) -> int:
        """The offset after it."""
        return self.start + self.length


def client_of(place: S3Place) -> "S3Client":
    """A client for the place: path-style, credentials by AWS's usual chain or the named file."""
    session = boto3.Session(profile_name=place.profile or None)
    if place.credentials_file:
        session._session.set_config_variable(  # noqa: SLF001 - boto3 offers no other way
            "credentials_file", place.credentials_file
        )
    config = Config(
        s3={"addressing_style": "path"},
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        request_checksum_calculation="when_required",
    )
    return session.client(
        "s3",
        endpoint_url=place.endpoint or None,
        region_name=place.region or session.region_name or "us-east-1",
        config=config,
    )


class S3Appender:
    """Grows one object, piece by piece."""

    can_grow = True  # what could not be put waits

    def __init__(self, objects: "S3Objects", name: str, length: int, *, former: int) -> None:
        """Of an object that was made for it, or else whose pieces have names of `former` digits."""
        self._objects = objects
        self._name = name
        self._put = length  # what S3 has
        self._waiting = bytearray()
        self._tried = 0  # so many of them were tried as one piece, and failed
        self._former = former
        self._owns_end = not former  # nobody else puts a piece there any more
        self._grew = not former
        self._mutex = Lock()  # around _waiting; a sync may run beside an append

    @property
    def length(self) -> int:
        """See `Appender`."""
        return self._put + len(self._waiting)

    def append(self, data: bytes | bytearray | memoryview) -> int:
        """See `Appender`; the bytes may wait in memory for the next sync."""
        with self._mutex:
            if self._waiting and len(self._waiting) + len(data) > PIECE_BYTES_MAX:
                self._put_waiting()
            offset = self.length
            self._waiting += data
        return offset

    def read_waiting(self, start: int, length: int) -> bytes | None:
        """Up to so many bytes from `start`, if none of them was put yet."""
        with self._mutex:
            begin = start - self._put
            return bytes(self._waiting[begin : begin + length]) if begin >= 0 else None

    def waiting(self, start: int, end: int) -> bytes:
        """Bytes [start, end) of the object, as far as they were not put yet."""
        with self._mutex:
            return bytes(self._waiting[max(0, start - self._put) : max(0, end - self._put)])

    def sync(self) -> None:
        """See `Appender`; what could not be put still waits, so it may be tried again."""
        with self._mutex:
            self._put_waiting()

    def _put_waiting(self) -> None:
        if not self._owns_end:
            self._objects.put_piece(self._name, self._put, b"", digits=self._former)
            self._owns_end = self._grew = True
        digits = self._former + 1 if self._former else DIGITS
        while self._waiting:
            self._tried = length = self._tried or len(self._waiting)
            piece = bytes(self._waiting[:length])
            self._objects.put_piece(self._name, self._put, piece, digits=digits)
            self._put += length
            del self._waiting[:length]
            self._tried = 0

    def close(self) -> None:
        """See `Appender`; its pieces are joined, if nothing keeps them from it."""
        with suppress(StoreFull, ZoneUnavailable):
            if self._waiting:
                self.sync()
            if self._grew:
                self._objects.join_later(self._name)


class S3Objects:
    """An `ObjectStore` in a bucket. Any thread may call."""

    def __init__(self, place: S3Place, client: "S3Client | None" = None) -> None:
        """For a bucket that exists.

        Raises:
            ZoneUnavailable: it does not, or does not answer.
        """
        self.place = place
        self._is_given_client = client is not None
        self._join_mutex = Lock()  # or two who join would put it twice
        self._joining = ThreadLane(f"s3-{place.bucket}")
        self._growing: WeakValueDictionary[str, S3Appender] = WeakValueDictionary()
        self._deleted: set[str] = set()  # names that are not joined any more
        self._uploading: set[str] = set()  # keys that are put in parts now
        self._told_of_refusals = False
        self._has_conditions = True  # until the server says that it knows none
        self._root = f"{place.prefix}/" if place.prefix else ""
        try:
            # Any: its stubs cannot say that some arguments are there only sometimes.
            self._client: Any = client or client_of(place)
            self._client.head_bucket(Bucket=place.bucket)
            self._keeping = BucketKeeping(self._client, place.bucket, place.storage_class)
        except (ClientError, BotoCoreError, ValueError) as error:  # ValueError: of the endpoint
            raise ZoneUnavailable(f"the bucket {place.bucket}: {error}") from error
        except RecursionError as error:
            raise ZoneUnavailable(f"the bucket {place.bucket}: {_REDIRECTS}") from error

    @contextmanager
    def _errors_of(self, name: str) -> Iterator[None]:
        """What S3 says leaves the block as the errors of the `ObjectStore` contract."""
        try:
            yield
        except ClientError as error:
            code = code_of(error)
            if code in _MISSING:
                raise KeyError(name) from error
            if code in _FULL:
                raise StoreFull(f"no space left for {name}: {error}") from error
            if code in _STALE:
                self._read_credentials_anew()
            raise ZoneUnavailable(f"{name}: {error}") from error
        except BotoCoreError as error:
            raise ZoneUnavailable(f"{name}: {error}") from error
        except RecursionError as error:
            raise ZoneUnavailable(f"{name}: {_REDIRECTS}") from error

    def _read_credentials_anew(self) -> None:
        """Those that somebody wrote into the file since are used from now on."""
        if not self._is_given_client:
            with suppress(BotoCoreError):
                self._client = self._keeping.client = client_of(self.place)

    @property
    def locks_objects(self) -> bool:
        """See `Keeper`."""
        return self._keeping.locks_objects

    @property
    def has_classes(self) -> bool:
        """See `Keeper`."""
        return self._keeping.has_classes

    def keep(self, name: str, wanted: Keeping) -> str:
        """See `Keeper`; what still lies in pieces is joined first."""
        check_name(name)
        with self._errors_of(name):
            self.join(name)
            return self._keeping.keep(self._key(name), wanted)

    def bring_back(self) -> int:
        """See `Keeper`."""
        with self._errors_of(self._root):
            return self._keeping.bring_back(self._root)

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        check_name(name)
        self._deleted.discard(name)
        with self._errors_of(name):
            former = self._pieces(name)
            self._put_whole(name, data)
            self._delete_keys([piece.key for piece in former if piece.key != self._key(name)])

    def create(self, name: str) -> S3Appender:
        """See `ObjectStore`; the empty object is there at once."""
        check_name(name)
        with self._errors_of(name):
            if self._pieces(name):
                raise FileExistsError(name)
            self._deleted.discard(name)
            self.put_piece(name, 0, b"")
        return self._growing_one(name, 0, former=0)

    def append_to(self, name: str) -> S3Appender:
        """See `ObjectStore`."""
        check_name(name)
        with self._errors_of(name):
            keys = dict(self._keys(name))
        pieces = self._pieces_among(name, keys)
        if not pieces:
            raise KeyError(name)
        digits = (len(key.removeprefix(name + _PIECE)) for key in keys if name + _PIECE in key)
        return self._growing_one(name, pieces[-1].end, former=max(digits, default=DIGITS))

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See `ObjectStore`."""
        check_name(name)
        if not length:
            self.length(name)
            return b""
        growing = self._growing.get(name)
        waits = None if growing is None else growing.read_waiting(offset, length)
        if waits:
            return waits
        for _ in range(LOOKS_MAX):
            with self._errors_of(name):
                pieces = self._pieces(name)
            if not pieces:
                break
            with suppress(KeyError), self._errors_of(name):  # joined meanwhile: look again
                return self._read_pieces(name, pieces, offset, length)
        raise KeyError(name)

    def _read_pieces(self, name: str, pieces: Sequence[_Piece], offset: int, length: int) -> bytes:
        parts = []
        for piece in pieces:
            start, end = max(offset, piece.start), min(offset + length, piece.end)
            if start < end:
                parts.append(self._get(piece, start - piece.start, end - piece.start))
        growing = self._growing.get(name)
        if growing is not None:
            parts.append(growing.waiting(max(offset, pieces[-1].end), offset + length))
        return b"".join(parts)

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """See `ObjectStore`; a network always makes wait."""
        check_name(name)
        del offset, length
        return None

    def length(self, name: str) -> int:
        """See `ObjectStore`."""
        check_name(name)
        with self._errors_of(name):
            pieces = self._pieces(name)
        if not pieces:
            raise KeyError(name)
        growing = self._growing.get(name)
        return pieces[-1].end if growing is None else max(growing.length, pieces[-1].end)

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore`."""
        with self._errors_of(prefix):
            keys = [key for key, _ in self._keys(prefix)]
        names = {key.partition(_PIECE)[0] for key in keys}
        return iter(sorted(name for name in names if is_name(name) and name.startswith(prefix)))

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        check_name(name)
        with self._errors_of(name), suppress(KeyError):
            self._deleted.add(name)
            self._growing.pop(name, None)
            keys = [key for key, _ in self._keys(name) if key.partition(_PIECE)[0] == name]
            self._delete_keys([self._root + key for key in keys])

    def sweep(self) -> int:
        """See `ObjectStore`: uploads in parts, kept and charged until somebody ends them."""
        ended = 0
        with self._errors_of(self._root):
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.place.bucket, Prefix=self._root):
                for upload in page.get("Uploads", []):
                    key = upload["Key"]
                    if is_name(key.removeprefix(self._root)) and key not in self._uploading:
                        self._abort(key, upload["UploadId"])
                        ended += 1
        return ended

    def _abort(self, key: str, upload: str) -> None:
        """Nothing of the upload is kept, unless it has ended otherwise."""
        try:
            self._client.abort_multipart_upload(Bucket=self.place.bucket, Key=key, UploadId=upload)
        except ClientError as error:
            if code_of(error) != "NoSuchUpload":
                raise

    def read_anew(self) -> None:
        """See `ObjectStore`; nothing is ever open."""

    def free_bytes(self) -> tuple[int, int]:
        """See `ObjectStore`; S3 does not say, but it must answer."""
        try:
            with self._errors_of(f"the bucket {self.place.bucket}"):
                self._client.head_bucket(Bucket=self.place.bucket)
        except KeyError as error:
            raise ZoneUnavailable(f"there is no bucket {self.place.bucket}") from error
        return _ROOM, _ROOM

    def put_piece(self, name: str, start: int, data: bytes, *, digits: int = DIGITS) -> None:
        """The bytes follow those before `start`, durably, unless the object was deleted.

        Raises:
            ZoneUnavailable: others do; or as always.
        """
        if name in self._deleted:
            return
        key = f"{self._key(name)}{_PIECE}{start:0{digits}x}"
        with self._errors_of(name):
            replaces_empty = not start and data and digits == DIGITS  # that of `create`
            if replaces_empty or not self._has_conditions:
                self._put_key(key, data)
                return
            try:
                self._put_key(key, data, IfNoneMatch="*")
            except ClientError as error:
                if code_of(error) in _NO_CONDITIONS:
                    self._has_conditions = False
                    self._put_key(key, data)
                elif code_of(error) not in _TAKEN:
                    raise
                elif not self._is_there(key, data):
                    raise ZoneUnavailable(
                        f"{name}: another process wrote there: is the store open on another"
                        " machine, too? Only one may have it"
                    ) from error

    def _is_there(self, key: str, data: bytes) -> bool:
        """Whether a PUT arrived whose answer was lost."""
        answer = self._client.get_object(Bucket=self.place.bucket, Key=key)
        return bool(answer["Body"].read() == data)

    def join_later(self, name: str) -> None:
        """The object will be joined, in a thread, unless something keeps it from that."""

        def join() -> None:
            with suppress(StoreFull, ZoneUnavailable, KeyError):
                self.join(name)

        self._joining.submit(join)

    def join(self, name: str) -> None:
        """The object is one of theirs; until it is, and after, readers find the same bytes."""
        with self._join_mutex, self._errors_of(name):
            pieces = self._pieces(name)
            if [piece.key for piece in pieces] == [self._key(name)]:
                return
            data = b"".join([self._get(piece, 0, piece.length) for piece in pieces])
            if not pieces or name in self._deleted:
                return
            self._put_whole(name, data)
            if name in self._deleted:
                self._delete_keys([self._key(name)])
            self._delete_keys([piece.key for piece in pieces if piece.key != self._key(name)])

    def _growing_one(self, name: str, length: int, *, former: int) -> S3Appender:
        appender = S3Appender(self, name, length, former=former)
        self._growing[name] = appender
        return appender

    def _key(self, name: str) -> str:
        return self._root + name

    def _keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys below the root, with their sizes."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.place.bucket, Prefix=self._root + prefix
        )
        for page in pages:
            for entry in _entries(page):
                yield entry["Key"].removeprefix(self._root), entry["Size"]

    def _pieces(self, name: str) -> Sequence[_Piece]:
        """The runs that make up the object, in order; the whole one first, then what follows it."""
        return self._pieces_among(name, dict(self._keys(name)))

    def _pieces_among(self, name: str, keys: Mapping[str, int]) -> Sequence[_Piece]:
        whole: list[_Piece] = []
        rest: list[_Piece] = []
        for key, size in keys.items():
            if key == name:
                whole = [_Piece(self._key(name), 0, size)]
            elif key.startswith(name + _PIECE):
                start = int(key.removeprefix(name + _PIECE), 16)
                rest.append(_Piece(self._root + key, start, size))
        pieces = whole
        for piece in sorted(rest, key=lambda each: (each.start, each.length)):
            end = pieces[-1].end if pieces else 0
            if piece.start == end and (piece.length or not pieces):
                pieces = [*pieces, piece]
        return pieces

    def _get(self, piece: _Piece, start: int, end: int) -> bytes:
        """Bytes [start, end) of it; of a whole one S3's checksum is compared."""
        if start >= end:
            return b""
        is_whole = (start, end) == (0, piece.length)
        wanted = {} if is_whole else {"Range": f"bytes={start}-{end - 1}"}
        for attempt in range(1, BODY_ATTEMPTS + 1):
            answer = self._asked_for(piece.key, wanted)
            try:
                data: bytes = answer["Body"].read()
            except BotoCoreError:  # which boto3 does not retry
                if attempt == BODY_ATTEMPTS:
                    raise
            else:
                if len(data) == end - start:
                    return data
        raise _NotFromS3(operation="GetObject")

    def _asked_for(self, key: str, wanted: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = self._client.get_object(
                Bucket=self.place.bucket, Key=key, **wanted
            )
        except ClientError as error:
            if code_of(error) == ARCHIVED:
                self._keeping.ask_back(key)
            raise
        return answer

    def _put_whole(self, name: str, data: bytes) -> None:
        if len(data) <= PART_BYTES:
            self._put_key(self._key(name), data)
        else:
            key = self._key(name)
            self._uploading.add(key)
            try:
                self._put_parts(key, data)
            finally:
                self._uploading.discard(key)

    def _put_key(self, key: str, data: bytes, **condition: str) -> None:
        answer = self._client.put_object(
            Bucket=self.place.bucket,
            Key=key,
            Body=data,
            ChecksumAlgorithm=CHECKSUM,
            **self._class_of(key),
            **condition,
        )
        _said(answer, "ETag", "PutObject")

    def _class_of(self, key: str) -> dict[str, str]:
        is_pack = (
            key.removeprefix(self._root).startswith(("packs/", "shares/")) and _PIECE not in key
        )
        storage_class = self.place.storage_class
        is_chosen = storage_class not in {"", OFF}
        return {"StorageClass": storage_class} if is_pack and is_chosen else {}

    def _put_parts(self, key: str, data: bytes) -> None:
        bucket = self.place.bucket
        begun = self._client.create_multipart_upload(
            Bucket=bucket, Key=key, ChecksumAlgorithm=CHECKSUM, **self._class_of(key)
        )
        upload = _said(begun, "UploadId", "CreateMultipartUpload")
        parts = []
        try:
            for number, start in enumerate(range(0, len(data), PART_BYTES), 1):
                answer = self._client.upload_part(
                    Bucket=bucket,
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    Body=data[start : start + PART_BYTES],
                    ChecksumAlgorithm=CHECKSUM,
                )
                tag = _said(answer, "ETag", "UploadPart")
                part = {"ETag": tag, "PartNumber": number}
                if "ChecksumCRC32" in answer:
                    part["ChecksumCRC32"] = answer["ChecksumCRC32"]
                parts.append(part)
            answer = self._client.complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )
            _said(answer, "ETag", "CompleteMultipartUpload")
        except (ClientError, BotoCoreError):
            with suppress(ClientError, BotoCoreError):
                self._abort(key, upload)
            raise

    def _delete_keys(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), 1000):
            answer = self._client.delete_objects(
                Bucket=self.place.bucket,
                Delete={"Objects": [{"Key": key} for key in keys[start : start + 1000]]},
            )
            if not answer.get("Deleted") and not answer.get("Errors"):
                raise _NotFromS3(operation="DeleteObjects")
            for refusal in answer.get("Errors", []):
                self._note_refusal(refusal)

    def _note_refusal(self, refusal: Mapping[str, str]) -> None:
        """Whoever may not delete goes on: what is left over does no harm. Others try again."""
        told = f"{refusal.get('Key')}: {refusal.get('Code')} {refusal.get('Message', '')}"
        if refusal.get("Code") != "AccessDenied":
            raise ZoneUnavailable(told)
        if not self._told_of_refusals:
            logger.warning("the bucket %s refuses to delete, as %s", self.place.bucket, told)
        self._told_of_refusals = True


def _entries(page: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What the page of a listing has, which tells how many they are. Raises _NotFromS3."""
    entries: list[Mapping[str, Any]] = page.get("Contents", [])
    is_cut = page.get("IsTruncated") and not page.get("NextContinuationToken")
    is_whole = page.get("KeyCount", len(entries)) == len(entries)
    if (
        not page.get("Name")
        or is_cut
        or not is_whole
        or not all("Size" in each for each in entries)
    ):
        raise _NotFromS3(operation="ListObjectsV2")
    return entries


def _said(answer: Mapping[str, Any], what: str, operation: str) -> Any:  # noqa: ANN401  boto3's
    """What S3 always says to it. Raises _NotFromS3."""
    said = answer.get(what)
    if not said:
        raise _NotFromS3(operation=operation)
    return said
