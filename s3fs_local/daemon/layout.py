"""Where the parts of a store lie in its directory."""

from typing import Final

OWNER_LOCK_NAME: Final = "owner.lock"
KEY_RING_NAME: Final = "key-ring.json"
KEY_FILE_NAME: Final = "unlock.key"
METADATA_NAME: Final = "metadata.sqlite"
SCRATCH_NAME: Final = "verify.sqlite"
DEFAULT_ZONE: Final = "zones/zone-1"
