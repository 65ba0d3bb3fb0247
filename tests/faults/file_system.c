/* A file system that gives no answer about a kill switch before the file HELD_FILES is gone. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void wait_for(const char *path) {
    const char *name = strrchr(path, '/');
    if (name && !strcmp(name, "/kill-switch"))
        while (access(getenv("HELD_FILES"), F_OK) == 0) usleep(5000);
}

int lstat(const char *path, struct stat *found) {
    wait_for(path);
    return fstatat(AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW);
}

int lstat64(const char *path, struct stat64 *found) {
    wait_for(path);
    return fstatat64(AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW);
}

static int opened(const char *path, int flags, va_list rest) {
    int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0;
    wait_for(path);
    return openat(AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int file = opened(path, flags, rest);
    va_end(rest);
    return file;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int file = opened(path, flags | O_LARGEFILE, rest);
    va_end(rest);
    return file;
}
