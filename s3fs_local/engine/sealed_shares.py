"""The shares of a pack, each compared with what all of them together give: for `verify`.

A share says itself what it should be, and whoever alters it can alter that, too. So the computed
ones are computed anew, and nothing is believed that the others do not bear out.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from s3fs_local.errors import StorageError
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.packs.shares import (
    Kind,
    agreeing_with,
    checked_run,
    prefix_of,
    run_from,
    share_of,
)


class Judged(Struct, frozen=True):
    """What the zones have of a pack that lies as shares."""

    shares: int  # how many there should be
    whole: tuple[bool | None, ...]  # by zone; None: it has none


class _Share(Struct, frozen=True):
    zone: int
    number: int
    kind: Kind | None  # None: it is damaged
    run: bytes = b""


def judge(zones: Sequence[ObjectStore], pack_id: int, store_id: bytes) -> Judged | None:
    """The shares that these zones have; None where they have none. Blocks."""
    shares = [
        share
        for zone, store in enumerate(zones)
        for share in _shares_in(zone, store, pack_id, store_id)
    ]
    kinds = Counter(share.kind for share in shares if share.kind is not None)
    if not shares:
        return None
    kind = max(kinds, key=lambda each: kinds[each], default=None)
    good = _agreeing([share for share in shares if kind is not None and share.kind == kind])
    whole: list[bool | None] = [None] * len(zones)
    for share in shares:
        whole[share.zone] = whole[share.zone] is not False and share in good
    return Judged(0 if kind is None else kind.coding.shares, tuple(whole))


def _shares_in(zone: int, store: ObjectStore, pack_id: int, store_id: bytes) -> list[_Share]:
    found = []
    try:
        names = list(store.list(prefix_of(pack_id)))
    except StorageError:
        return []
    for name in names:
        named = share_of(name)
        if named is None:
            continue
        try:
            data = store.read(name, 0, store.length(name))
            kind, run = checked_run(data, store_id=store_id, pack_id=pack_id, number=named[1])
        except KeyError:
            continue
        except StorageError:
            found.append(_Share(zone, named[1], None))
        else:
            found.append(_Share(zone, named[1], kind, run))
    return found


def _agreeing(shares: list[_Share]) -> list[_Share]:
    """Those that are what as many of them as suffice give; none where no choice gives the pack."""
    runs = {share.number: share.run for share in shares}
    kind = shares[0].kind if shares else None
    if kind is None:
        return []
    for number in runs:
        data = agreeing_with(number, runs, kind)
        if data is not None:
            return [share for share in shares if run_from(data, kind, share.number) == share.run]
    return []
