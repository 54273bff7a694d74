"""Where the parts of a store lie in its directory."""

from typing import Final

OWNER_LOCK_NAME: Final = "owner.lock"
KEYRING_LOCK_NAME: Final = "keyring.lock"
KEY_RING_NAME: Final = "key-ring.json"
KEY_FILE_NAME: Final = "unlock.key"
METADATA_NAME: Final = "metadata.sqlite"
SCRATCH_NAME: Final = "verify.sqlite"
VERIFIED_NAME: Final = "verified.msgpack"
CLOSED_NAME: Final = "closed.json"
IMAGE_NAME: Final = "metadata.image"
DEFAULT_ZONE: Final = "zones/zone-1"
