"""Where metrics are told (mount option `metrics`)."""

from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from s3fs_local.errors import InvalidMountOption


class MetricsAddress(Struct, frozen=True):
    """Where metrics are told: a unix socket, or a port of this machine that no other reaches."""

    path: Path | None = None
    host: str = ""
    port: int = 0


def parse_metrics_address(text: str) -> MetricsAddress:
    """`/run/s3fs.sock`, `127.0.0.1:9461`, `[::1]:9461`, or `9461` (of 127.0.0.1).

    Raises:
        InvalidMountOption: it is none of these. Other machines are not told: put a proxy in
            between.
    """
    if text.startswith("/"):
        return MetricsAddress(path=Path(text))
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    try:
        if port.isascii() and 0 <= int(port) < 1 << 16 and ip_address(host).is_loopback:
            return MetricsAddress(host=host, port=int(port))
    except ValueError:
        pass
    raise InvalidMountOption(
        f"metrics is a path, or a port of the loopback such as 127.0.0.1:9461, not {text!r}"
    )
