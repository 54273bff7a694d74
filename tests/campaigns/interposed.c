/* Loaded into a daemon, it makes system calls on the files below a folder fail as it is told to.
 *
 * FAULTS_BELOW names the folder. FAULTS_FILE is shared with whoever tells: `struct orders`, see
 * interposed.py. The nth call of the chosen kind from then on fails, once or for ever; or all syncs
 * do nothing and succeed, as on a disk that lies; or whoever makes the nth call, of any kind, is
 * killed before it is made; or each call that changes something is told to a watcher, and made when
 * that one has seen what is there until then.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPEN, READ, WRITE, SYNC, TRUNCATE, RENAME, UNLINK, MKDIR, KINDS };

struct orders {
    int32_t kind; /* -1: none fails */
    int32_t error;
    int32_t for_ever;
    int32_t lies; /* syncs do nothing */
    int64_t nth;
    int64_t kills_at; /* of the calls of all kinds; 0: nobody is killed */
    int64_t calls[KINDS];
    int64_t failed;
    int64_t all_calls;
    int64_t killed; /* process id */
    int64_t watched; /* whether somebody waits at the two pipes */
};

static struct orders *orders;
static const char *below;
static size_t below_length;

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("FAULTS_FILE");
    below = getenv("FAULTS_BELOW");
    if (!file || !below)
        return;
    below_length = strlen(below);
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int descriptor = real(file, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return;
    void *shared = mmap(0, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (shared != MAP_FAILED)
        orders = shared;
}

static int is_ours(const char *path) {
    return orders && path && !strncmp(path, below, below_length);
}

static int is_ours_open(int descriptor) {
    char link[40], path[4096];
    if (!orders)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return is_ours(path);
}

static void die(void) {
    orders->killed = getpid();
    kill(getpid(), SIGKILL);
    pause();
}

static int fails(enum kind kind) {
    if (__atomic_add_fetch(&orders->all_calls, 1, __ATOMIC_SEQ_CST) == orders->kills_at)
        die();
    int64_t call = __atomic_add_fetch(&orders->calls[kind], 1, __ATOMIC_SEQ_CST);
    if (orders->kind != (int)kind || call < orders->nth || (call > orders->nth && !orders->for_ever))
        return 0;
    __atomic_add_fetch(&orders->failed, 1, __ATOMIC_SEQ_CST);
    errno = orders->error;
    return 1;
}

static void answered_at(const char *pipe, int flags, char *line, size_t length) {
    char path[4096];
    snprintf(path, sizeof path, "%s.%s", getenv("FAULTS_FILE"), pipe);
    int end = syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC);
    if (end < 0)
        return;
    syscall(flags == O_WRONLY ? SYS_write : SYS_read, end, line, length);
    close(end);
}

static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER;

/* Something is about to change: returns when the watcher has seen what there was until now. */
static void tell(const char *call, const char *path) {
    if (!orders->watched)
        return;
    char line[512];
    int length = snprintf(line, sizeof line, "%d %s %.400s\n", getpid(), call, path);
    int before = errno;
    pthread_mutex_lock(&telling);
    answered_at("asks", O_WRONLY, line, length);
    answered_at("answers", O_RDONLY, line, 1);
    pthread_mutex_unlock(&telling);
    errno = before;
}

static void tell_open(const char *call, int descriptor) {
    if (!orders->watched)
        return;
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    tell(call, path);
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

#define BY_DESCRIPTOR(result, name, kind, parameters, arguments) \
    result name parameters { \
        REAL(name); \
        if (is_ours_open(descriptor)) { \
            if (kind != READ) tell_open(#name, descriptor); \
            if (fails(kind)) return -1; \
        } \
        return real arguments; \
    }

BY_DESCRIPTOR(ssize_t, read, READ, (int descriptor, void *data, size_t size), (descriptor, data, size))
BY_DESCRIPTOR(ssize_t, pread, READ, (int descriptor, void *data, size_t size, off_t at), (descriptor, data, size, at))
BY_DESCRIPTOR(ssize_t, pread64, READ, (int descriptor, void *data, size_t size, off64_t at), (descriptor, data, size, at))
BY_DESCRIPTOR(ssize_t, preadv2, READ, (int descriptor, const struct iovec *data, int count, off_t at, int flags), (descriptor, data, count, at, flags))
BY_DESCRIPTOR(ssize_t, preadv64v2, READ, (int descriptor, const struct iovec *data, int count, off64_t at, int flags), (descriptor, data, count, at, flags))
BY_DESCRIPTOR(ssize_t, write, WRITE, (int descriptor, const void *data, size_t size), (descriptor, data, size))
BY_DESCRIPTOR(ssize_t, writev, WRITE, (int descriptor, const struct iovec *data, int count), (descriptor, data, count))
BY_DESCRIPTOR(ssize_t, pwrite, WRITE, (int descriptor, const void *data, size_t size, off_t at), (descriptor, data, size, at))
BY_DESCRIPTOR(ssize_t, pwrite64, WRITE, (int descriptor, const void *data, size_t size, off64_t at), (descriptor, data, size, at))
BY_DESCRIPTOR(ssize_t, pwritev, WRITE, (int descriptor, const struct iovec *data, int count, off_t at), (descriptor, data, count, at))
BY_DESCRIPTOR(ssize_t, pwritev64, WRITE, (int descriptor, const struct iovec *data, int count, off64_t at), (descriptor, data, count, at))
BY_DESCRIPTOR(int, ftruncate, TRUNCATE, (int descriptor, off_t size), (descriptor, size))
BY_DESCRIPTOR(int, ftruncate64, TRUNCATE, (int descriptor, off64_t size), (descriptor, size))

#define SYNCING(name) \
    int name(int descriptor) { \
        REAL(name); \
        if (is_ours_open(descriptor)) { \
            tell_open(#name, descriptor); \
            if (fails(SYNC)) return -1; \
            if (orders->lies) return 0; \
        } \
        return real(descriptor); \
    }

SYNCING(fsync)
SYNCING(fdatasync)
SYNCING(syncfs)

#define BY_PATH(name, kind, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        if (is_ours(path)) { \
            tell(#name, path); \
            if (fails(kind)) return -1; \
        } \
        return real arguments; \
    }

BY_PATH(rename, RENAME, (const char *path, const char *to), (path, to))
BY_PATH(unlink, UNLINK, (const char *path), (path))
BY_PATH(mkdir, MKDIR, (const char *path, mode_t mode), (path, mode))

/* These are told only; none of them is made to fail. */
#define TOLD(name, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        if (is_ours(path)) tell(#name, path); \
        return real arguments; \
    }
#define TOLD_AT(name, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        if (is_ours(path) || (path[0] != '/' && is_ours_open(folder))) tell(#name, path); \
        return real arguments; \
    }
#define TOLD_OPEN(result, name, parameters, arguments) \
    result name parameters { \
        REAL(name); \
        if (is_ours_open(descriptor)) tell_open(#name, descriptor); \
        return real arguments; \
    }

TOLD(link, (const char *path, const char *to), (path, to))
TOLD(rmdir, (const char *path), (path))
TOLD(truncate, (const char *path, off_t size), (path, size))
TOLD(truncate64, (const char *path, off64_t size), (path, size))
TOLD(chmod, (const char *path, mode_t mode), (path, mode))
TOLD_AT(unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
TOLD_AT(renameat, (int folder, const char *path, int other, const char *to), (folder, path, other, to))
TOLD_AT(renameat2, (int folder, const char *path, int other, const char *to, unsigned flags), (folder, path, other, to, flags))
TOLD_AT(linkat, (int folder, const char *path, int other, const char *to, int flags), (folder, path, other, to, flags))
TOLD_AT(mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode))
TOLD_OPEN(int, fchmod, (int descriptor, mode_t mode), (descriptor, mode))
TOLD_OPEN(int, fallocate, (int descriptor, int mode, off_t at, off_t size), (descriptor, mode, at, size))
TOLD_OPEN(int, fallocate64, (int descriptor, int mode, off64_t at, off64_t size), (descriptor, mode, at, size))

#define SETS_FLAGS 0x40086602

int ioctl(int descriptor, unsigned long request, ...) {
    REAL(ioctl);
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (request == SETS_FLAGS && is_ours_open(descriptor))
        tell_open("ioctl", descriptor);
    return real(descriptor, request, argument);
}

#define CHANGES (O_CREAT | O_TRUNC)

#define OPENING(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest); \
        if (is_ours(path)) { \
            if (flags & CHANGES) tell(#name, path); \
            if (fails(OPEN)) return -1; \
        } \
        return real(path, flags, mode); \
    }

OPENING(open)
OPENING(open64)

#define OPENING_AT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest); \
        if (is_ours(path) || (path[0] != '/' && is_ours_open(folder))) { \
            if (flags & CHANGES) tell(#name, path); \
            if (fails(OPEN)) return -1; \
        } \
        return real(folder, path, flags, mode); \
    }

OPENING_AT(openat)
OPENING_AT(openat64)
