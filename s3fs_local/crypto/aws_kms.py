"""AWS KMS through boto3: any endpoint that speaks its API, credentials by boto3's own chain."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from s3fs_local.crypto.key_service import MadeKey
from s3fs_local.crypto.sealing import KEY_BYTES
from s3fs_local.errors import (
    DataDamaged,
    EncryptionError,
    KeyDisabled,
    KeyMissing,
    KeyNotPermitted,
    KeyServiceUnavailable,
    S3fsLocalError,
)

ATTEMPTS: Final = 3
CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 3
"""A request fails after some 15 seconds at the latest, far sooner where nobody listens."""
COOL_SECONDS: Final = 5.0
"""After a failure nobody else waits for this long: all that ask are told at once."""

_ERRORS: Final[dict[str, type[S3fsLocalError]]] = {
    "DisabledException": KeyDisabled,
    "KMSInvalidStateException": KeyDisabled,
    "NotFoundException": KeyMissing,
    "InvalidKeyUsageException": KeyMissing,
    "ValidationException": KeyMissing,  # an id that no key can have
    "InvalidArnException": KeyMissing,
    "AccessDeniedException": KeyNotPermitted,
    "UnrecognizedClientException": KeyNotPermitted,
    "InvalidClientTokenId": KeyNotPermitted,
    "InvalidSignatureException": KeyNotPermitted,
    "ExpiredTokenException": KeyNotPermitted,
    "InvalidCiphertextException": DataDamaged,
    "IncorrectKeyException": DataDamaged,
}
_NO_CREDENTIALS: Final = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "NoRegionError"}
)


class AwsKms:
    """A `KeyService`. The client is made at the first request: boto3 takes long to import."""

    def __init__(
        self, *, endpoint: str, region: str, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """For an endpoint and region; "" = as boto3 finds them."""
        self._endpoint = endpoint
        self._region = region
        self._seconds = seconds
        self._mutex: Final = threading.Lock()
        self._client: Any = None
        self._failed_at = -COOL_SECONDS
        self.problem = ""

    def make(self, key: str, context: Mapping[str, str]) -> MadeKey:
        """See `KeyService`."""

        def request(client: Any) -> MadeKey:  # noqa: ANN401  boto3 makes its classes as it runs
            answer = client.generate_data_key(
                KeyId=key, NumberOfBytes=KEY_BYTES, EncryptionContext=dict(context)
            )
            made = MadeKey(_bytes_in(answer, "Plaintext"), _bytes_in(answer, "CiphertextBlob"))
            if len(made.plain) != KEY_BYTES:
                raise _NoAnswerOfAKms("Plaintext")
            return made

        made: MadeKey = self._ask(request, about=f"the key {key!r}")
        return made

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyService`."""

        def request(client: Any) -> bytes:  # noqa: ANN401  as above
            answer = client.decrypt(CiphertextBlob=blob, EncryptionContext=dict(context))
            return _bytes_in(answer, "Plaintext")

        plain: bytes = self._ask(request, about="a data key")
        if len(plain) != KEY_BYTES:
            raise DataDamaged("the key service unwrapped something that is no data key")
        return plain

    def _ask(self, request: Callable[[Any], Any], *, about: str) -> Any:  # noqa: ANN401  boto3's
        if self.problem and self._seconds() - self._failed_at < COOL_SECONDS:
            raise KeyServiceUnavailable(self.problem)
        try:
            answer = request(self._connected())
        except Exception as error:
            raise self._translated(error, about) from error
        self.problem = ""
        return answer

    def _connected(self) -> Any:  # noqa: ANN401  boto3 makes its classes as it runs
        with self._mutex:
            if self._client is None:
                self._client = _make_client(self._endpoint, self._region)
            return self._client

    def _translated(self, error: Exception, about: str) -> Exception:
        """The error as one of ours; a bug stays what it is."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  slow to import

        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "")
            message = error.response.get("Error", {}).get("Message", "")
            kind = _ERRORS.get(code.removeprefix("KMS."))
            if kind is not None:
                self.problem = ""  # it answers
                if kind is KeyNotPermitted:  # credentials may have been exchanged: read them anew
                    self._client = None
                return kind(f"KMS.{code}: {message or about}")
        elif isinstance(error, EncryptionError) or not isinstance(
            error, BotoCoreError | OSError | _NoAnswerOfAKms
        ):
            return error
        elif type(error).__name__ in _NO_CREDENTIALS:
            self._client = None
            return KeyNotPermitted(f"the key service cannot be asked: {error}")
        self._failed_at = self._seconds()
        self.problem = f"the key service does not answer: {error}"
        return KeyServiceUnavailable(self.problem)


class _NoAnswerOfAKms(Exception):
    """Somebody else answered, such as a portal that wants a login."""

    def __init__(self, lacks: str) -> None:
        super().__init__(f"its answer has no {lacks}: is there a proxy or portal in between?")


def _bytes_in(answer: Mapping[str, Any], name: str) -> bytes:
    found = answer.get(name)
    if not isinstance(found, bytes) or not found:
        raise _NoAnswerOfAKms(name)
    return found


def _make_client(endpoint: str, region: str) -> Any:  # noqa: ANN401  as above
    import boto3  # noqa: PLC0415  stores without a key service need not wait for it
    from botocore.config import Config  # noqa: PLC0415

    make: Callable[..., Any] = boto3.session.Session().client
    return make(
        "kms",
        endpoint_url=endpoint or None,
        region_name=region or None,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        ),
    )
