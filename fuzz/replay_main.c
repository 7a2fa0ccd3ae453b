/*
 * Runs a fuzz target over its committed corpus without libFuzzer: every file,
 * and for small files every truncation, since a message cut short is the
 * commonest hostile input.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 20, TRUNCATE_BELOW = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

/* A copy of exact size, so that AddressSanitizer sees a read of one byte too many. */
static void run(const uint8_t *at, size_t len)
{
    uint8_t *exact = len > 0 ? malloc(len) : NULL;

    if (exact == NULL && len > 0)
        abort();
    if (len > 0)
        memcpy(exact, at, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static void run_file(FILE *file, const char *path)
{
    static uint8_t content[FILE_MAX + 1];
    size_t len = fread(content, 1, sizeof content, file);

    if (ferror(file) || len > FILE_MAX) {
        fprintf(stderr, "%s: cannot be read, or is larger than %d bytes\n", path, FILE_MAX);
        exit(1);
    }
    for (size_t cut = len < TRUNCATE_BELOW ? 0 : len; cut < len; cut++)
        run(content, cut);
    run(content, len);
}

static int replay(const char *folder)
{
    DIR *dir = opendir(folder);
    int files = 0;

    if (dir == NULL) {
        fprintf(stderr, "%s: no corpus folder\n", folder);
        exit(1);
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char *path = NULL;

        if (entry->d_name[0] == '.')
            continue;
        if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
            abort();
        FILE *file = fopen(path, "rb");
        if (file == NULL) {
            perror(path);
            exit(1);
        }
        run_file(file, path);
        fclose(file);
        free(path);
        files++;
    }
    closedir(dir);
    return files;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    int files = replay(argv[1]);
    if (files == 0) {
        fprintf(stderr, "%s: an empty corpus proves nothing\n", argv[1]);
        return 1;
    }
    printf("%d files and their truncations\n", files);
    return 0;
}
