"""Which key service the settings name at the moment."""

from collections.abc import Callable

from s3fs_local.crypto.key_service import KeyService
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import KeyServiceUnavailable

MakeKeyService = Callable[[str, str], KeyService]
"""From an endpoint and a region, each "" for what the environment says."""
_AWS_ITSELF = "aws"


def no_key_service(endpoint: str, region: str) -> KeyService:
    """For a store that is put together without one."""
    raise KeyServiceUnavailable(f"there is no way to ask the key service {endpoint} {region}")


class ServiceFinder:
    """Makes the service anew only when the settings change."""

    def __init__(self, volume: Volume, make: MakeKeyService) -> None:
        self._volume = volume
        self._make = make
        self._named = ("", "")
        self._service: KeyService | None = None

    def __call__(self) -> KeyService | None:
        """The service; None where the settings name none."""
        settings = self._volume.settings
        named = (settings.kms, settings.kms_region)
        if named != self._named:
            self._named = named
            endpoint = "" if settings.kms == _AWS_ITSELF else settings.kms
            self._service = self._make(endpoint, settings.kms_region) if settings.kms else None
        return self._service
