"""How a data key is wrapped, in S3's words."""

from collections.abc import Callable

from s3fs_local.crypto.key_ring import STORE_KEY
from s3fs_local.crypto.wrapped_keys import (
    BucketForm,
    Form,
    RingForm,
    ServiceForm,
    TwoForm,
    form_of,
)
from s3fs_local.rules.encryption import Algorithm, Encryption


def kind_of(wrapped: bytes, find: Callable[[int], bytes | None]) -> Encryption:
    """The encryption of a version whose newest data key this is; `find` knows bucket keys."""
    form = form_of(wrapped)
    if isinstance(form, TwoForm):
        return Encryption(algorithm=Algorithm.DSSE, key=_key_of(form.first))
    if isinstance(form, BucketForm):
        bucket = find(form.number)
        key = "" if bucket is None else _key_of(form_of(bucket))
        return Encryption(algorithm=Algorithm.KMS, key=key, bucket_key=True)
    if isinstance(form, RingForm) and form.name == STORE_KEY:
        return Encryption()
    return Encryption(algorithm=Algorithm.KMS, key=_key_of(form))


def _key_of(form: Form) -> str:
    match form:
        case RingForm():
            return form.name
        case ServiceForm():
            return form.key
        case _:
            return ""
