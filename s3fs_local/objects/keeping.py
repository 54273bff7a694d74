"""Having zones keep objects that grow no more in a special way: see `rules/keeping.py`."""

from collections.abc import Mapping
from functools import partial

from s3fs_local.errors import StorageError
from s3fs_local.objects.interface import Keeper
from s3fs_local.objects.reading import LISTING_SECONDS_MAX, gather
from s3fs_local.objects.zone import Zone
from s3fs_local.rules.keeping import Keeping


def keeper_of(zone: Zone) -> Keeper | None:
    """The zone, if it can keep objects in special ways."""
    store: object = zone.store
    return store if isinstance(store, Keeper) else None


def keep_in_zones(wanted: Mapping[Zone, Mapping[str, Keeping]]) -> dict[Zone, dict[str, str]]:
    """Each zone keeps its objects as told, as far as it can; says why where it cannot. Blocks.

    What is not there, and zones that take too long, are left out.
    """
    asked = {zone: partial(_keep_in, zone, names) for zone, names in wanted.items()}
    found = gather(asked, LISTING_SECONDS_MAX, as_errand=True)
    return {zone: said for zone, said in found.items() if not isinstance(said, Exception)}


def _keep_in(zone: Zone, names: Mapping[str, Keeping]) -> dict[str, str]:
    said = {}
    keeper = keeper_of(zone)
    for name, keeping in names.items():
        try:
            said[name] = "it cannot" if keeper is None else keeper.keep(name, keeping)
        except KeyError:
            continue
        except StorageError as error:
            said[name] = str(error)
    return said
