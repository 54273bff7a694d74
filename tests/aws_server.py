"""A real HTTP server on this machine that speaks AWS's S3 and KMS: moto, in a process of its own.

A separate process, so that it can be stopped and brought back on the same port, as an outage is.
"""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config

REGION = "eu-central-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What programs under test need in their environment; moto takes any."""

_SERVER = """
import sys
from moto.core.exceptions import JsonRESTError
from moto.kms.models import KmsBackend
from moto.kms.utils import _deserialize_ciphertext_blob
from moto.server import ThreadedMotoServer

def check(key):
    # moto keeps the state and the policy of a key, but lets every call use it; AWS does not.
    if key.key_state == "Disabled":
        raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
    if key.key_state == "PendingDeletion":
        raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    if '"Deny"' in key.policy:
        raise JsonRESTError("AccessDeniedException", f"no policy allows it on {key.arn}")

generate, decrypt = KmsBackend.generate_data_key, KmsBackend.decrypt

def checked_generate(self, key_id, *args, **kwargs):
    check(self.describe_key(key_id))
    return generate(self, key_id, *args, **kwargs)

def checked_decrypt(self, ciphertext_blob, *args, **kwargs):
    key = self.keys.get(_deserialize_ciphertext_blob(ciphertext_blob).key_id)
    if key is not None:
        check(key)
    return decrypt(self, ciphertext_blob, *args, **kwargs)

KmsBackend.generate_data_key, KmsBackend.decrypt = checked_generate, checked_decrypt
server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]), verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class _Raw:
    """The body of an answer that no server gave."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> list[bytes]:
        """All of it."""
        return [self._body]


def answer_of(request: Any, status: int, code: str) -> AWSResponse:  # noqa: ANN401 - boto3's
    """What S3 would answer, for a client that is told so before it sends the request."""
    body = f"<Error><Code>{code}</Code><Message>scripted</Message></Error>".encode()
    headers: Any = {"Content-Type": "application/xml"}  # it takes any mapping
    return AWSResponse(request.url, status, headers, _Raw(body))


class AwsServer:
    """The server; `url` stays the same over `stop` and `start`, what it held does not."""

    def __init__(self) -> None:
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        """The endpoint for boto3."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """It answers, on the same port as before."""
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _SERVER, str(self._port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.strip().isdigit(), "moto did not start"
        self._port = int(line)

    def stop(self) -> None:
        """Nobody listens on the port: connections are refused."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.communicate()

    def client(self, service: str) -> Any:  # noqa: ANN401  boto3 makes its classes as it runs
        """A boto3 client of the service, of the test's own."""
        make: Callable[..., Any] = boto3.client
        return make(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106  moto takes any
            config=Config(retries={"max_attempts": 1}),
        )

    def make_key(self) -> str:
        """The id of a new KMS key."""
        key_id: str = self.client("kms").create_key()["KeyMetadata"]["KeyId"]
        return key_id

    def make_bucket(self, name: str, *, object_lock: bool = False) -> str:
        """The name of a new S3 bucket."""
        client = self.client("s3")
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):  # asked again, if slowly told
            client.create_bucket(
                Bucket=name,
                CreateBucketConfiguration={"LocationConstraint": REGION},
                ObjectLockEnabledForBucket=object_lock,
            )
        return name
