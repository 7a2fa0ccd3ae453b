#include "journal/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"

enum { DIGITS = 20 };

static void close_files(DIR *files)
{
    if (files != NULL)
        closedir(files);
}
AUTO_TYPE(DIR, close_files)

static bool read_name(struct bytes name, uint64_t *first)
{
    struct reader r = READER(name);
    struct bytes digits = reader_take(&r, DIGITS);

    if (r.broken || !bytes_equal_text(r.left, ".segment"))
        return false;
    while (digits.len > 1 && digits.at[0] == '0')
        digits = (struct bytes){ digits.at + 1, digits.len - 1 };
    return text_read_u64(digits, UINT64_MAX, first) == RC_OK && *first > 0;
}

enum rc journal_folder_add(struct segment_list *list, struct segment_place place)
{
    if (list->count == list->room) {
        size_t room = list->room > 0 ? list->room * 2 : 16;
        struct segment_place *at = reallocarray(list->at, room, sizeof *at);
        if (at == NULL)
            return fault(RC_NOMEM, "list of %zu segments", room);
        list->at = at;
        list->room = room;
    }
    list->at[list->count++] = place;
    return RC_OK;
}

static int by_first(const void *a, const void *b)
{
    uint64_t x = ((const struct segment_place *)a)->first;
    uint64_t y = ((const struct segment_place *)b)->first;

    return (x > y) - (x < y);
}

enum rc journal_folder_list(int dir, struct segment_list *list)
{
    /* A duplicate would share the caller's read position. */
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fault_errno("open the journal's folder");
    AUTO(DIR) *files = fdopendir(fd);
    if (files == NULL) {
        own_close(&fd);
        return fault_errno("list the journal's folder");
    }
    for (;;) {
        struct segment_place place = { 0 };
        errno = 0;
        const struct dirent *file = readdir(files);
        if (file == NULL)
            break;
        if (read_name(bytes_of_text(file->d_name), &place.first))
            TRY(journal_folder_add(list, place));
    }
    if (errno != 0)
        return fault_errno("list the journal's folder");
    if (list->count > 1)
        qsort(list->at, list->count, sizeof list->at[0], by_first);
    return RC_OK;
}

void journal_folder_drop_first(struct segment_list *list)
{
    list->count--;
    memmove(list->at, list->at + 1, list->count * sizeof list->at[0]);
}

enum rc journal_folder_find(const struct segment_list *list, uint64_t sequence, size_t *index)
{
    size_t low = 0, high = list->count; /* all below low start at or before sequence */

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->at[middle].first <= sequence)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return fault(RC_NOT_FOUND, "journal entry %" PRIu64 " was trimmed away", sequence);
    *index = low - 1;
    return RC_OK;
}

void journal_folder_clear(struct segment_list *list)
{
    free(list->at);
    *list = (struct segment_list){ 0 };
}
