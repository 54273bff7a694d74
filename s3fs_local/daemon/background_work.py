"""What a store does by itself while a process has it open, mounted or not."""

import trio

from s3fs_local.daemon.assembly import OpenStore
from s3fs_local.workers.lasting import lasting
from s3fs_local.workers.tending import Tending
from s3fs_local.workers.thrift import Thrift
from s3fs_local.workers.tiering import Tiering
from s3fs_local.workers.upkeep import Upkeep
from s3fs_local.workers.zone_keeper import ZoneKeeper


def start_background_work(nursery: trio.Nursery, store: OpenStore, tending: Tending) -> None:
    """The tasks run in the nursery until it is cancelled; none of them ends it.

    In a store that cannot be written there is nothing to look after.
    """
    filesystem = store.filesystem
    volume = filesystem.volume
    nursery.start_soon(lasting, Thrift(volume.use).run)
    if store.unwritable:
        return
    keeper = ZoneKeeper(
        volume,
        volume.durability.packs,
        store.zoning.care,
        store.zoning.scrubbing,
        filesystem.pack_keeping,
    )
    tiering, upkeep = Tiering(filesystem), Upkeep(filesystem, store.metadata)
    for run in (tiering.run, upkeep.run, tending.run, keeper.run):
        nursery.start_soon(lasting, run)
