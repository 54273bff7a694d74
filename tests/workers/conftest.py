"""The engine's store in memory, here too."""

from tests.engine.conftest import store as store  # noqa: PLC0414 - a fixture, exported by name
from tests.engine.conftest import (
    store_with_locks as store_with_locks,  # noqa: PLC0414 - the same
)
