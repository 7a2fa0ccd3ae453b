#include "daemon/programs.h"

#include <assert.h>
#include <link.h>
#include <string.h>

enum { PATH_BYTES_MAX = 4096 };

static enum rc own_folder(struct buf *folder)
{
    char path[PATH_BYTES_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);

    if (len <= 0 || len == sizeof path)
        return fault_errno("read /proc/self/exe");
    while (len > 1 && path[len - 1] != '/')
        len--;
    buf_add(folder, (struct bytes){ (const uint8_t *)path, (size_t)len - 1 });
    return RC_OK;
}

static bool is_there(const char *folder, const char *program)
{
    AUTO_BUF(path, 2 * PATH_BYTES_MAX);
    const char *text = NULL;

    buf_addf(&path, "%s/%s", folder, program);
    return buf_text(&path, &text) == RC_OK && access(text, X_OK) == 0;
}

static enum rc find_folder(const char *program, struct daemon_programs *programs)
{
    AUTO_BUF(own, PATH_BYTES_MAX);
    const char *beside = NULL;

    TRY(own_folder(&own));
    TRY(buf_text(&own, &beside));
    bool here = is_there(beside, program);
    buf_addf(&programs->folder_text, "%s%s", beside, here ? "" : "/../libexec/touchmark");
    TRY(buf_text(&programs->folder_text, &programs->folder));
    if (!here && !is_there(programs->folder, program))
        return fault(RC_NOT_FOUND, "%s is neither in %s nor in %s", program, beside,
                     programs->folder);
    return RC_OK;
}

/* The programs are linked as we are, so their loader is ours: what PT_INTERP says. */
static int find_loader(struct dl_phdr_info *object, size_t size, void *found)
{
    (void)size;
    for (size_t i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_INTERP)
            *(const char **)found =
                (const char *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
    return 1; /* the first object is the program itself */
}

static enum rc allow(struct daemon_programs *programs, const char *folder, const char *file)
{
    struct buf *text = &programs->texts[programs->count];
    struct sandbox_path *path = &programs->paths[programs->count];

    assert(programs->count < DAEMON_PROGRAMS_PATHS_MAX);
    *text = BUF_MAX(2 * PATH_BYTES_MAX);
    programs->count++;
    *path = (struct sandbox_path){ .access = SANDBOX_EXECUTE };
    buf_addf(text, "%s%s%s", folder, *folder == '\0' ? "" : "/", file);
    return buf_text(text, &path->path);
}

enum rc daemon_programs_find(const struct daemon_table *table, struct daemon_programs *programs)
{
    const char *loader = NULL;

    programs->folder_text = BUF_MAX(2 * PATH_BYTES_MAX);
    TRY(find_folder(table->processes[0].program, programs));
    for (size_t i = 0; i < table->process_count; i++)
        TRY(allow(programs, programs->folder, table->processes[i].program));
    dl_iterate_phdr(find_loader, &loader);
    return loader == NULL ? RC_OK : allow(programs, "", loader);
}

void daemon_programs_clear(struct daemon_programs *programs)
{
    buf_clear(&programs->folder_text);
    for (size_t i = 0; i < programs->count; i++)
        buf_clear(&programs->texts[i]);
    programs->count = 0;
}
