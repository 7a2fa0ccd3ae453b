#include "cli/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "pki/key.h"

enum { MANIFEST_MAX = 64 * 1024 * 1024, HEX_ROOM = 2 * PKI_HASH_LEN + 1, MODE_MAX = 0777 };

static const char FORMAT[] = "touchmark backup 1";
static const char FILE_NAME[] = "manifest.json";

static enum rc check_made(int failed)
{
    return failed == 0 ? RC_OK : fault(RC_NOMEM, "manifest");
}

enum rc cli_manifest_new(struct bytes place, int64_t now_ms, struct cli_manifest *manifest)
{
    AUTO_BUF(made, 64);
    const char *text = NULL;

    clock_add_rfc3339(&made, now_ms);
    TRY(buf_text(&made, &text));
    manifest->document =
        json_pack("{s:s, s:s, s:o, s:[], s:[]}", "format", FORMAT, "made", text, "place",
                  json_stringn((const char *)place.at, place.len), "folders", "files");
    return manifest->document != NULL
               ? RC_OK
               : fault(RC_MALFORMED, "%.*s: not UTF-8", BYTES_FMT(place));
}

void cli_manifest_clear(struct cli_manifest *manifest)
{
    json_decref(manifest->document);
    manifest->document = NULL;
}

static json_t *row_for(const char *path, const struct stat *like)
{
    return json_pack("{s:s, s:i, s:I, s:I}", "path", path, "mode",
                     (int)(like->st_mode & MODE_MAX), "uid", (json_int_t)like->st_uid, "gid",
                     (json_int_t)like->st_gid);
}

enum rc cli_manifest_add_folder(struct cli_manifest *manifest, const char *path,
                                const struct stat *like)
{
    json_t *row = row_for(path, like);

    if (row == NULL)
        return fault(RC_MALFORMED, "%s: not UTF-8", path);
    return check_made(
        json_array_append_new(json_object_get(manifest->document, "folders"), row));
}

/* A map, since the files can be larger than memory. Nobody shortens a copy meanwhile. */
static enum rc hash_file(int dir, const char *path, uint64_t *size, struct buf *hex)
{
    AUTO_FD fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    uint8_t hash[PKI_HASH_LEN];
    struct stat found;

    if (fd < 0)
        return errno == ENOENT ? fault(RC_NOT_FOUND, "%s is not there", path)
                               : fault_errno("open %s", path);
    if (fstat(fd, &found) != 0)
        return fault_errno("%s", path);
    *size = (uint64_t)found.st_size;
    void *map = found.st_size == 0
                    ? NULL
                    : mmap(NULL, (size_t)found.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return fault_errno("map %s", path);
    enum rc rc = pki_key_hash((struct bytes){ map, (size_t)found.st_size }, hash);
    if (map != NULL)
        munmap(map, (size_t)found.st_size);
    text_add_hex(hex, BYTES_OF(hash));
    return rc;
}

enum rc cli_manifest_add_file(struct cli_manifest *manifest, int dir, const char *path,
                              const struct stat *like)
{
    AUTO_BUF(hex, HEX_ROOM);
    AUTO(json_value) *row = row_for(path, like);
    const char *text = NULL;
    uint64_t size = 0;

    if (row == NULL)
        return fault(RC_MALFORMED, "%s: not UTF-8", path);
    TRY(hash_file(dir, path, &size, &hex));
    TRY(buf_text(&hex, &text));
    TRY(check_made(json_object_set_new(row, "size", json_integer((json_int_t)size))));
    TRY(check_made(json_object_set_new(row, "sha256", json_string(text))));
    return check_made(json_array_append(json_object_get(manifest->document, "files"), row));
}

static json_t *head_of(const char *number_name, uint64_t number, const char *hash_name,
                       struct bytes hash)
{
    AUTO_BUF(hex, HEX_ROOM);
    const char *text = NULL;

    text_add_hex(&hex, hash);
    return buf_text(&hex, &text) == RC_OK
               ? json_pack("{s:I, s:s}", number_name, (json_int_t)number, hash_name, text)
               : NULL;
}

enum rc cli_manifest_set_head(struct cli_manifest *manifest, const char *name,
                              const char *number_name, uint64_t number, const char *hash_name,
                              struct bytes hash)
{
    return check_made(json_object_set_new(manifest->document, name,
                                          head_of(number_name, number, hash_name, hash)));
}

bool cli_manifest_head_is(const struct cli_manifest *manifest, const char *name,
                          const char *number_name, uint64_t number, const char *hash_name,
                          struct bytes hash)
{
    AUTO(json_value) *head = head_of(number_name, number, hash_name, hash);

    return head != NULL && json_equal(head, json_object_get(manifest->document, name));
}

enum rc cli_manifest_write(const struct cli_manifest *manifest, int backup)
{
    AUTO_BUF(text, MANIFEST_MAX);
    struct bytes bytes;

    TRY(cli_show_json(manifest->document, &text));
    TRY(buf_done(&text, &bytes));
    return file_create(backup, FILE_NAME, bytes, 0600);
}

enum rc cli_manifest_read(int backup, struct cli_manifest *manifest)
{
    AUTO_BUF(text, MANIFEST_MAX);

    enum rc rc = file_read(backup, FILE_NAME, &text);
    if (rc != RC_OK)
        return rc == RC_NOT_FOUND
                   ? fault(rc, "no %s: this is no backup, or one that was not finished",
                           FILE_NAME)
                   : rc;
    struct bytes bytes = buf_bytes(&text);
    AUTO(json_value) *document =
        json_loadb((const char *)bytes.at, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    const char *format = json_string_value(json_object_get(document, "format"));
    if (format == NULL || strcmp(format, FORMAT) != 0 ||
        !json_is_array(json_object_get(document, "folders")) ||
        !json_is_array(json_object_get(document, "files")) ||
        !json_is_string(json_object_get(document, "place")))
        return fault(RC_CORRUPT, "%s is not of the format \"%s\"", FILE_NAME, FORMAT);
    manifest->document = TAKE(document);
    return RC_OK;
}

/* Relative, and it stays below: no "..", no "." and no empty part. */
static bool is_below(const char *path)
{
    for (;;) {
        size_t len = strcspn(path, "/");
        if (len == 0 || (len == 1 && path[0] == '.') ||
            (len == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        if (path[len] == '\0')
            return true;
        path += len + 1;
    }
}

enum rc cli_manifest_row(const json_t *row, struct cli_manifest_row *read)
{
    const char *path = json_string_value(json_object_get(row, "path"));
    json_int_t mode = json_integer_value(json_object_get(row, "mode"));
    json_int_t uid = json_integer_value(json_object_get(row, "uid"));
    json_int_t gid = json_integer_value(json_object_get(row, "gid"));

    if (path == NULL || !is_below(path) || mode < 0 || mode > MODE_MAX || uid < 0 ||
        uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX)
        return fault(RC_CORRUPT, "%s has a row that names nothing inside of the place",
                     FILE_NAME);
    *read = (struct cli_manifest_row){ path, (mode_t)mode, (uid_t)uid, (gid_t)gid };
    return RC_OK;
}

static enum rc check_file(const json_t *row, int place)
{
    AUTO_BUF(hex, HEX_ROOM);
    struct cli_manifest_row read;
    const char *text = NULL;
    uint64_t size = 0;

    TRY(cli_manifest_row(row, &read));
    enum rc rc = hash_file(place, read.path, &size, &hex);
    if (rc == RC_NOT_FOUND)
        return fault(RC_CORRUPT, "the backup lacks %s", read.path);
    TRY(rc);
    TRY(buf_text(&hex, &text));
    const char *wanted = json_string_value(json_object_get(row, "sha256"));
    if (wanted == NULL || strcmp(wanted, text) != 0)
        return fault(RC_CORRUPT, "%s is not as it was when the backup was made", read.path);
    return RC_OK;
}

enum rc cli_manifest_check(const struct cli_manifest *manifest, int place)
{
    const json_t *row = NULL;
    size_t i = 0;

    json_array_foreach(json_object_get(manifest->document, "files"), i, row)
        TRY(check_file(row, place));
    return RC_OK;
}
