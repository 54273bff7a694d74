"""The life of a daemon: open the store, mount it, serve, unmount, make everything durable."""

import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import NoReturn

import msgspec
import trio

from s3fs_local import errors
from s3fs_local.control.activity import sample_of
from s3fs_local.control.commands import carry_out
from s3fs_local.control.context import Context
from s3fs_local.control.protocol import SOCKET_NAME
from s3fs_local.control.receiving import receive
from s3fs_local.control.requests import Remount, Request, Unmount
from s3fs_local.control.results.activity import ActivitySample
from s3fs_local.control.results.store import Done, Status, Unmounted
from s3fs_local.control.server import Outlet, listening_aside, listening_socket, serve
from s3fs_local.daemon.assembly import OpenStore, open_store
from s3fs_local.daemon.background_work import start_background_work
from s3fs_local.daemon.config import (
    MountOptions,
    changed_option,
    parse_mount_options,
    parse_remount,
)
from s3fs_local.daemon.description import describe, unsaved_row
from s3fs_local.daemon.inspectors import READ_ONLY_MOUNT, inspect_tending, register_inspectors
from s3fs_local.daemon.launch import MountPlan
from s3fs_local.daemon.log_setup import LOG_NAME, check_log_format, log_to_file, log_to_stderr
from s3fs_local.daemon.readiness import Readiness
from s3fs_local.daemon.receiving import make_room
from s3fs_local.daemon.saving import SAVE_SECONDS_MAX, why_unsaved
from s3fs_local.daemon.store_file import read_store_file
from s3fs_local.daemon.unmounting import detach, refuse_if_mounted_yet, unsaved_changes
from s3fs_local.daemon.verdict_watch import VerdictWatch
from s3fs_local.daemon.writability import check_writable, why_unwritable
from s3fs_local.engine.filesystem import Presentation
from s3fs_local.engine.inspections import Inspections
from s3fs_local.engine.operation_log import operation_log
from s3fs_local.engine.views import StatusText
from s3fs_local.fuse import session
from s3fs_local.fuse.invalidator import Invalidator
from s3fs_local.fuse.kernel_mount import Mounting
from s3fs_local.fuse.mount_point import Mount, mount_at, write_back
from s3fs_local.fuse.operations import Operations
from s3fs_local.fuse.reader_gate import ReaderGate
from s3fs_local.rules.inode import Caller
from s3fs_local.system.heap import prepare_heap, spare_what_stays
from s3fs_local.system.turns import keep_turns_short
from s3fs_local.workers.lasting import lasting
from s3fs_local.workers.tending import Tending

log = logging.getLogger(__name__)

FAREWELL_SECONDS_MAX = 5.0
"""How long a client may take to read the last answer."""
DETACH_SECONDS_MAX = 60.0
"""How long a client may take to unmount, where it has to do that itself."""
DETACHED_LOOK_SECONDS = 0.02
_FINAL = "a sync that failed is final, so copy elsewhere what you need of it"


def mount_and_serve(plan: MountPlan, *, ready_fd: int | None) -> None:
    """The store was mounted until somebody unmounted it, and all is durable.

    Raises:
        S3fsLocalError: it could not be mounted, or not everything could be made durable.
        KeyboardInterrupt: Ctrl-C came before the mount was ready; nothing is mounted.
    """
    prepare_heap()
    readiness = Readiness(ready_fd)
    try:
        options = parse_mount_options(plan.options)
        check_log_format(options.log)
        record = read_store_file(plan.store)
        if not options.read_only:
            check_writable(plan.store, record)
        if ready_fd is None or why_unwritable(plan.store, record):
            log_to_stderr(options.log)
        else:
            log_to_file(plan.store / LOG_NAME, options.log)
        with errors.alone():
            trio.run(_live, plan, options, readiness)
    except KeyboardInterrupt:
        log.info("interrupted before the mount was ready")
        raise
    except errors.S3fsLocalError as error:
        _end_badly(error, readiness)


def _end_badly(error: errors.S3fsLocalError, readiness: Readiness) -> NoReturn:
    if readiness.is_ready:
        log.critical("ended: %s: %s", type(error).__name__, error)
    else:
        readiness.failed(error)
    raise error


async def _live(plan: MountPlan, options: MountOptions, readiness: Readiness) -> None:
    # The control server outlives the store, to tell whoever asked for the unmount how it went.
    await trio.to_thread.run_sync(make_room, plan.store)
    async with trio.open_nursery() as nursery:
        desk = _Desk(plan, nursery)
        try:
            async with open_store(
                plan.store, plan.unlocking, mount_point=str(plan.mount_point)
            ) as store:
                if store.unwritable and readiness.is_awaited:
                    log_to_file(store.own / LOG_NAME, options.log)
                await _serve(
                    nursery, store, desk, partial(_mounted, store, plan, options, readiness)
                )
                readiness.stopping()
            kept = "everything else" if store.parting.discarded else "everything"
        except errors.S3fsLocalError as error:
            desk.failure = error
        desk.store_closed.set()
        async with desk.detaching:  # the kernel may yet be letting go of what it has cached
            pass
        nursery.cancel_scope.deadline = trio.current_time() + FAREWELL_SECONDS_MAX
    if desk.failure is not None:
        raise desk.failure
    log.info("unmounted %s, %s is durable", plan.mount_point, kept)


async def _serve(
    nursery: trio.Nursery, store: OpenStore, desk: "_Desk", mounted: Callable[[], Awaitable[None]]
) -> None:
    """Answers the control socket while the mount is served; then no command uses the store."""
    desk.store = store
    accepting = trio.CancelScope()
    if store.unwritable:
        listener = listening_aside(store.path)
        served = partial(serve, listener, desk.answer_own, accepting=accepting)
    else:
        listener = listening_socket(store.path)
        served = partial(serve, listener, desk.answer, accepting=accepting, receive=desk.receive)
    await nursery.start(served)
    try:
        try:
            await mounted()
        except Exception as failure:  # what commands are told now; the rest is told at the end
            desk.ended_by = _in_words(failure)
            log.critical("the mount ends: %s", desk.ended_by)
            raise
        desk.kernel_hung_up.set()
        with suppress(OSError):  # its disk may be gone, or read-only
            (store.path / SOCKET_NAME).unlink(missing_ok=True)
    finally:
        accepting.cancel()
        await desk.close()


def _in_words(failure: Exception) -> str:
    if isinstance(failure, ExceptionGroup):
        return "; ".join(map(repr, errors.leaves(failure)))
    return repr(failure)


async def _mounted(
    store: OpenStore, plan: MountPlan, options: MountOptions, readiness: Readiness
) -> None:
    """Serves the mount until it is gone."""
    filesystem = store.filesystem
    volume = filesystem.volume
    if options.writeback_cache and volume.settings.object_lock:
        raise errors.InvalidMountOption(
            "writeback_cache is not for a store with Object Lock: the kernel would accept writes to"
            " files that are locked meanwhile, and lose them"
        )
    register_inspectors(store, mount_point=plan.mount_point)
    if options.read_only and not filesystem.replica.is_replica and not store.unwritable:
        volume.read_only_reason = READ_ONLY_MOUNT
    if options.snapdirname is not None:
        volume.settings = msgspec.structs.replace(volume.settings, snapdirname=options.snapdirname)
    if store.recovered_files:
        log.warning("recovered unclosed content of %d files", store.recovered_files)

    def turn_read_only(bug: Exception) -> None:
        volume.read_only_reason = f"a bug was met ({type(bug).__name__}); see {LOG_NAME}"

    filesystem.presentation = _presentation(options)
    invalidator = Invalidator()
    volume.invalidation = invalidator
    filesystem.views.status_texts |= {
        b"status.json": StatusText(lambda: _json(_status(store, plan))),
        # The names in it are those of everybody who uses the mount.
        b"oplog": StatusText(lambda: _lines(operation_log(filesystem)), private=True),
    }
    tending = Tending(filesystem)
    volume.inspections.add("storage classes", lambda: inspect_tending(tending))
    gate = ReaderGate()
    operations = Operations(
        filesystem,
        gate,
        turn_read_only,
        enable_acl=options.acl,
        enable_writeback_cache=options.writeback_cache,
    )
    async with trio.open_nursery() as nursery:
        start_background_work(nursery, store, tending)
        if not store.unwritable:
            nursery.start_soon(lasting, store.following.run)
        if options.metrics is not None:
            # Brings a web server along, which few need.
            from s3fs_local.daemon.metrics_server import serve_metrics  # noqa: PLC0415

            measure = partial(_measured, store, plan)
            where = await nursery.start(serve_metrics, options.metrics, measure)
            log.info("metrics are told at %s", where)

        def announce() -> None:
            store.parting.is_patient = True
            watch = _announce(plan, readiness, volume.inspections)
            nursery.start_soon(lasting, watch.run)

        await session.serve(
            operations,
            gate,
            _mounting(plan, options),
            invalidator=invalidator,
            on_ready=announce,
        )
        nursery.cancel_scope.cancel()


def _mounting(plan: MountPlan, options: MountOptions) -> Mounting:
    return Mounting(
        mount_point=plan.mount_point,
        store=plan.store,
        allow_other=options.allow_other,
        read_only=options.read_only,
        nonempty=options.nonempty,
        kernel_flags=options.kernel_flags,
    )


def _presentation(options: MountOptions) -> Presentation:
    return Presentation(
        snapdir_visible=options.snapdir == "visible",
        lists_lock_attributes=options.xattr_list,
        writeback_cache=options.writeback_cache,
        waits_for_archives=options.archived == "wait",
    )


def _announce(plan: MountPlan, readiness: Readiness, inspections: Inspections) -> VerdictWatch:
    """Whoever waits for the mount has it; what looks after its verdict is returned."""
    spare_what_stays()
    keep_turns_short()
    log.info("mounted %s on %s", plan.store, plan.mount_point)
    mounted = f"{plan.store} is mounted on {plan.mount_point}"
    readiness.ready(mounted)
    return VerdictWatch(inspections, lambda verdict: readiness.works(f"{mounted}, and {verdict}"))


def _json(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=4) + b"\n"


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _status(store: OpenStore, plan: MountPlan) -> Status:
    return describe(store, mount_point=plan.mount_point, daemon_pid=os.getpid())


def _measured(store: OpenStore, plan: MountPlan) -> tuple[Status, ActivitySample]:
    return _status(store, plan), sample_of(store.filesystem)


class _Desk:
    """Answers the control socket while the store is open, and says goodbye after."""

    def __init__(self, plan: MountPlan, nursery: trio.Nursery) -> None:
        self._plan = plan
        self._nursery = nursery  # outlives the store
        self.store: OpenStore | None = None
        self.failure: errors.S3fsLocalError | None = None
        self.ended_by = f"{LOG_NAME} says by whom"
        self._running: dict[trio.CancelScope, trio.Event] = {}
        self.kernel_hung_up = trio.Event()
        self.store_closed = trio.Event()
        self.detaching = trio.Lock()
        """Held while the mount is taken away here: no answer can be given before that returns."""

    async def answer(self, request: Request, caller: Caller, outlet: Outlet) -> object:
        """What came of the request. Raises S3fsLocalError."""
        if isinstance(request, Unmount):
            return await self._unmount(request, caller, outlet)
        if isinstance(request, Remount):
            return await self._remount(request, caller)
        store = self.store
        if store is None:
            raise errors.DaemonUnreachable("the store is being unmounted")
        store.filesystem.volume.use.note()
        context = Context(
            filesystem=store.filesystem,
            caller=caller,
            outlet=outlet,
            describe=lambda: _status(store, self._plan),
            zoning=store.zoning,
            following=store.following,
        )
        with trio.CancelScope() as scope:
            self._running[scope] = done = trio.Event()
            try:
                return await carry_out(request, context)
            finally:
                del self._running[scope]
                done.set()
        raise errors.DaemonUnreachable(
            f"the store was unmounted before the command was done: {self.ended_by}"
        )

    async def answer_own(self, request: Request, caller: Caller, outlet: Outlet) -> object:
        """The same, where no directory keeps other users away from the socket."""
        if caller.uid not in {0, os.geteuid()}:
            raise errors.NotPermitted("the store belongs to another user")
        return await self.answer(request, caller, outlet)

    async def receive(self, stream: trio.SocketStream, caller: Caller) -> None:
        """A source of replication speaks."""
        store = self.store
        if store is None:
            return
        with trio.CancelScope() as scope:
            self._running[scope] = done = trio.Event()
            try:
                await receive(
                    stream, caller, store.filesystem, bytes.fromhex(store.record.store_id)
                )
            finally:
                del self._running[scope]
                done.set()

    async def _unmount(self, request: Unmount, caller: Caller, outlet: Outlet) -> object:
        if request.mount_point != bytes(self._plan.mount_point):
            raise errors.NotMounted(
                f"the store is mounted on {self._plan.mount_point}; "
                "this is a bind mount of it, for umount(8)"
            )
        store = self.store
        if store is None or store.unwritable:
            await self._detach(request, caller, outlet)
            return msgspec.to_builtins(Unmounted())
        if request.discards_unsaved:
            store.parting.discards = True
        else:
            await self._check_saved(store, may_touch=not request.by_caller)
        try:
            await self._detach(request, caller, outlet)
        except errors.S3fsLocalError:
            if request.discards_unsaved:
                store.parting.discards = False
            raise
        return msgspec.to_builtins(Unmounted(unsaved_row(store.parting.discarded)))

    async def _check_saved(self, store: OpenStore, *, may_touch: bool) -> None:
        """All that programs have done so far is durable, also what only the kernel had yet.

        Where we may not touch the mount point, whoever asks has told the kernel to send it.

        Raises:
            UnsavedChanges: it cannot be now; the mount is as it was.
        """
        mount_point, durability = self._plan.mount_point, store.filesystem.volume.durability
        if may_touch:
            with trio.move_on_after(SAVE_SECONDS_MAX):
                await trio.to_thread.run_sync(write_back, mount_point, abandon_on_cancel=True)
        failure = await why_unsaved(durability, self._nursery)
        if failure is not None:
            why = f"{failure}; {_FINAL}" if durability.failure is not None else str(failure)
            refusal = unsaved_changes(mount_point, durability.unsaved(), why)
            log.error("%s", refusal)
            raise refusal

    async def _detach(self, request: Unmount, caller: Caller, outlet: Outlet) -> None:
        """The mount is gone, and the store closed. Raises what kept it from that."""
        self.ended_by = f"process {caller.pid} of user {caller.uid} unmounted it"
        log.info("process %d of user %d unmounts it", caller.pid, caller.uid)
        mount = mount_at(self._plan.mount_point)
        if request.by_caller:
            await outlet.progress("unmount", done=0)
            await self._await_detached(mount)
        else:
            async with self.detaching:
                if not self._is_detached(mount):  # by whom asked at the same time
                    await trio.to_thread.run_sync(detach, self._plan.mount_point, self._waiting())
        with trio.move_on_after(session.HANG_UP_SECONDS_MAX):
            await self.kernel_hung_up.wait()
        if mount is not None and not self.kernel_hung_up.is_set() and self.store is not None:
            await self.store.filesystem.volume.durability.settle()
            look = partial(refuse_if_mounted_yet, self._plan.mount_point, mount.device)
            await trio.to_thread.run_sync(look)
        await self.store_closed.wait()
        if self.failure is not None:
            raise self.failure

    async def _remount(self, request: Remount, caller: Caller) -> object:
        store = self.store
        if store is None:
            raise errors.DaemonUnreachable("the store is being unmounted")
        if caller.uid not in {0, os.geteuid()}:
            raise errors.NotPermitted("only root and whoever mounted it may do this")
        others = parse_remount(request.options).others
        changed = changed_option(parse_mount_options(self._plan.options), others)
        if changed is not None:
            raise errors.InvalidMountOption(
                f"{changed} is not changed while the store is mounted: unmount it, then mount anew"
            )
        volume = store.filesystem.volume
        if request.read_only is not None:
            log.info("process %d of user %d remounts it", caller.pid, caller.uid)
        if request.read_only is False:
            if volume.read_only_reason not in {"", READ_ONLY_MOUNT}:
                raise errors.StoreReadOnly(volume.read_only_reason)
            volume.read_only_reason = ""
        elif request.read_only and not volume.keeps_nothing:
            await volume.durability.settle()
            if not store.filesystem.replica.is_replica and not volume.read_only_reason:
                volume.read_only_reason = READ_ONLY_MOUNT
        return msgspec.to_builtins(Done())

    def _waiting(self) -> list[int]:
        """The threads that wait for an answer to a system call."""
        store = self.store
        return [] if store is None else [one.pid for one in store.filesystem.activity.running()]

    async def _await_detached(self, mount: Mount | None) -> None:
        """Whoever asked has taken the mount away, or cannot: theirs may be another namespace."""
        with trio.move_on_after(DETACH_SECONDS_MAX):
            while not self._is_detached(mount):
                with trio.move_on_after(DETACHED_LOOK_SECONDS):
                    await self.kernel_hung_up.wait()

    def _is_detached(self, mount: Mount | None) -> bool:
        is_elsewhere = mount is not None and mount_at(self._plan.mount_point) != mount
        return self.kernel_hung_up.is_set() or is_elsewhere

    async def close(self) -> None:
        """No command uses the store any more; those that ran were cancelled."""
        self.store = None
        running = list(self._running.items())
        with trio.CancelScope(shield=True):
            for scope, _ in running:
                scope.cancel()
            for _, done in running:
                await done.wait()
