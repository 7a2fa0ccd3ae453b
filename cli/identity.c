#include "cli/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "pki/name.h"
#include "pki/pem.h"
#include "registry/subject.h"

enum { FILE_NAME_MAX = 128, PEM_MAX = 64 * 1024, SUBJECT_MAX = 512 };

#define SECRET_BUF(name)                                                                       \
    [[gnu::cleanup(pki_software_key_wipe)]] struct buf name = BUF_MAX(PEM_MAX)

/* name + ending, as a text in room. */
static enum rc name_file(const struct cli_identity *identity, const char *ending,
                         struct buf *room, const char **text)
{
    buf_addf(room, "%s%s", identity->name, ending);
    return buf_text(room, text);
}

static enum rc refuse_existing(const struct cli_identity *identity, const char *ending)
{
    AUTO_BUF(room, FILE_NAME_MAX);
    const char *file = NULL;
    struct stat found;

    TRY(name_file(identity, ending, &room, &file));
    return fstatat(identity->dir, file, &found, AT_SYMLINK_NOFOLLOW) == 0
               ? fault(RC_EXISTS, "%s exists, and is not overwritten", file)
               : RC_OK;
}

static enum rc keep_waiting(struct cli_identity *identity, bool replace)
{
    AUTO_BUF(room, FILE_NAME_MAX);
    SECRET_BUF(pem);
    const char *file = NULL;

    TRY(pki_software_key_add_pem(identity->key, &pem));
    TRY(name_file(identity, ".key.new", &room, &file));
    enum rc rc = replace ? file_write(identity->dir, file, buf_bytes(&pem), 0600)
                         : file_create(identity->dir, file, buf_bytes(&pem), 0600);
    identity->waiting = rc == RC_OK;
    return rc == RC_EXISTS
               ? fault(rc, "%s is left from an interrupted run: remove it, then try again",
                       file)
               : rc;
}

enum rc cli_identity_make(int dir, const char *name, bool replace,
                          struct cli_identity *identity)
{
    *identity = (struct cli_identity){ .dir = dir, .name = name };
    TRY(registry_id_check(bytes_of_text(name)));
    if (!replace) {
        TRY(refuse_existing(identity, ".key"));
        TRY(refuse_existing(identity, ".pem"));
    }
    TRY(pki_software_key_make(&identity->key));
    return keep_waiting(identity, replace);
}

enum rc cli_identity_open(int dir, const char *name, struct cli_identity *identity)
{
    AUTO_BUF(room, FILE_NAME_MAX);
    SECRET_BUF(pem);
    const char *file = NULL;

    *identity = (struct cli_identity){ .dir = dir, .name = name };
    TRY(registry_id_check(bytes_of_text(name)));
    TRY(name_file(identity, ".key", &room, &file));
    TRY(file_read(dir, file, &pem));
    enum rc rc = pki_software_key_read(buf_bytes(&pem), &identity->key);
    return rc == RC_OK ? RC_OK : fault_while(rc, "%s", file);
}

enum rc cli_identity_request(const struct cli_identity *identity, struct bytes subject,
                             struct buf *der)
{
    AUTO_BUF(own, SUBJECT_MAX);
    const struct pki_name name = { .common_name = bytes_of_text(identity->name) };

    if (subject.len == 0) {
        TRY(pki_name_write(&own, &name));
        subject = buf_bytes(&own);
    }
    return pki_software_key_request(identity->key, subject, der);
}

enum rc cli_identity_finish(struct cli_identity *identity, struct bytes certificate_pem)
{
    AUTO_BUF(from_room, FILE_NAME_MAX);
    AUTO_BUF(to_room, FILE_NAME_MAX);
    AUTO_BUF(pem_room, FILE_NAME_MAX);
    const char *from = NULL, *to = NULL, *pem = NULL;

    TRY(name_file(identity, ".key.new", &from_room, &from));
    TRY(name_file(identity, ".key", &to_room, &to));
    TRY(name_file(identity, ".pem", &pem_room, &pem));
    if (identity->waiting && renameat(identity->dir, from, identity->dir, to) != 0)
        return fault_errno("rename %s to %s", from, to);
    identity->waiting = false;
    return file_write(identity->dir, pem, certificate_pem, 0644);
}

void cli_identity_close(struct cli_identity *identity)
{
    AUTO_BUF(room, FILE_NAME_MAX);
    const char *file = NULL;

    if (identity->waiting && name_file(identity, ".key.new", &room, &file) == RC_OK)
        unlinkat(identity->dir, file, 0);
    pki_software_key_free(identity->key);
    *identity = (struct cli_identity){ 0 };
}

enum rc cli_identity_read_certificate(int dir, const char *file, struct buf *der)
{
    AUTO_BUF(pem, PEM_MAX);

    TRY(file_read(dir, file, &pem));
    struct bytes text = buf_bytes(&pem);
    enum rc rc = pki_pem_next(&text, "CERTIFICATE", der);
    return rc == RC_NOT_FOUND ? fault(RC_MALFORMED, "%s: no certificate inside", file) : rc;
}
