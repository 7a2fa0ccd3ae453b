/* Durable appends in groups of 1, 10, 100 and 1000, against hashing, writing and syncing the
 * same bytes. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "journal/journal.h"

enum { BODY = 200, STORED = BODY + 22, CHAINED = STORED + 32, AROUND_GROUP = 72 };

struct cost {
    double cpu_us, wall_us;
};

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s: %s\n", what, fault_reason());
    exit(1);
}

static double seconds(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static struct cost now(void)
{
    struct rusage used;
    struct timespec time;

    must(getrusage(RUSAGE_SELF, &used) == 0, "getrusage");
    must(clock_gettime(CLOCK_MONOTONIC, &time) == 0, "clock");
    return (struct cost){ (seconds(&used.ru_utime) + seconds(&used.ru_stime)) * 1e6,
                          (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3 };
}

static struct cost since(const struct cost *start, unsigned entries)
{
    struct cost end = now();

    return (struct cost){ (end.cpu_us - start->cpu_us) / entries,
                          (end.wall_us - start->wall_us) / entries };
}

/* The least it can cost: one hash an entry, one pwrite and one fdatasync a group. */
static struct cost run_floor(int dir, unsigned group, unsigned entries)
{
    size_t size = (size_t)group * STORED + AROUND_GROUP;
    uint8_t *bytes = calloc(1, size + CHAINED), hash[EVP_MAX_MD_SIZE];
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int fd = openat(dir, "floor", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    off_t offset = 0;

    must(bytes != NULL && sha256 != NULL && context != NULL && fd >= 0, "floor");
    must(EVP_DigestInit_ex2(context, sha256, NULL) == 1, "SHA-256");
    struct cost start = now();
    for (unsigned done = 0; done < entries; done += group) {
        for (unsigned i = 0; i < group; i++)
            must(EVP_DigestInit_ex2(context, NULL, NULL) == 1 &&
                     EVP_DigestUpdate(context, bytes + (size_t)i * STORED, CHAINED) == 1 &&
                     EVP_DigestFinal_ex(context, hash, NULL) == 1,
                 "SHA-256");
        must(pwrite(fd, bytes, size, offset) == (ssize_t)size && fdatasync(fd) == 0, "write");
        offset += (off_t)size;
    }
    struct cost cost = since(&start, entries);
    close(fd);
    EVP_MD_CTX_free(context);
    EVP_MD_free(sha256);
    free(bytes);
    must(unlinkat(dir, "floor", 0) == 0, "remove");
    return cost;
}

static struct cost run_ours(int dir, unsigned group, unsigned entries)
{
    const struct journal_limits limits = { 64 * 1024 * 1024, UINT64_MAX };
    const struct clock clock = clock_system();
    AUTO_OF(journal) *journal = NULL;
    uint8_t body[BODY] = { 0 };

    must(journal_open(dir, &limits, &clock, NULL, &journal) == RC_OK, "open");
    struct cost start = now();
    for (unsigned done = 0; done < entries; done += group) {
        for (unsigned i = 0; i < group; i++)
            must(journal_append(journal, 1, BYTES_OF(body), NULL) == RC_OK, "append");
        must(journal_commit(journal) == RC_OK, "commit");
    }
    struct cost cost = since(&start, entries);
    must(journal_trim(journal, UINT64_MAX) == RC_OK, "trim");
    return cost;
}

static void print(unsigned group, const char *what, const char *unit, double ours,
                  double floor_)
{
    printf("{\"bench\":\"journal.append.%u%s\",\"ours\":%.3f,\"unit\":\"%s\",\"floor\":%.3f,"
           "\"ratio_floor\":%.2f}\n",
           group, what, ours, unit, floor_, ours / floor_);
}

/* In turn, several times over, and the least of each: other work on the machine only adds. */
static void measure(int dir, unsigned group)
{
    unsigned entries = group == 1 ? 500 : group * 100;
    struct cost ours = { 1e9, 1e9 }, floor_ = ours;

    for (unsigned round = 0; round < 5; round++) {
        struct cost a = run_floor(dir, group, entries), b = run_ours(dir, group, entries);
        floor_.cpu_us = a.cpu_us < floor_.cpu_us ? a.cpu_us : floor_.cpu_us;
        floor_.wall_us = a.wall_us < floor_.wall_us ? a.wall_us : floor_.wall_us;
        ours.cpu_us = b.cpu_us < ours.cpu_us ? b.cpu_us : ours.cpu_us;
        ours.wall_us = b.wall_us < ours.wall_us ? b.wall_us : ours.wall_us;
    }
    print(group, "", "cpu_us/op", ours.cpu_us, floor_.cpu_us);
    print(group, ".wall", "wall_us/op", ours.wall_us, floor_.wall_us);
}

static void remove_folder(int dir, const char *path)
{
    DIR *files = fdopendir(dir);

    must(files != NULL, "list the folder");
    for (const struct dirent *file; (file = readdir(files)) != NULL;)
        if (file->d_type == DT_REG)
            must(unlinkat(dir, file->d_name, 0) == 0, "remove");
    closedir(files);
    must(rmdir(path) == 0, "remove the folder");
}

/* In the working directory, or in the folder named: a memory file system syncs nothing. */
int main(int argc, char **argv)
{
    static const unsigned groups[] = { 1, 10, 100, 1000 };
    char path[] = "journal.XXXXXX";
    int base = AT_FDCWD, dir = -1;

    must(argc < 2 || file_open_dir(AT_FDCWD, argv[1], &base) == RC_OK, "open the folder");
    must(base == AT_FDCWD || fchdir(base) == 0, "enter the folder");
    must(mkdtemp(path) != NULL && file_open_dir(AT_FDCWD, path, &dir) == RC_OK,
         "make a folder");
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        measure(dir, groups[i]);
    remove_folder(dir, path);
    return 0;
}
