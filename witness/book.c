#include "witness/book.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/file.h"
#include "base/text.h"

enum { LOG_FILE_MAX = 16 * 1024, KEY_FILE_MAX = 4096, SECRET_MODE = 0600, FOLDER_MODE = 0700 };

static const char NAME[] = "name", KEY[] = "key.pem";

/* ---- Making one ---- */

static void wipe(struct buf *buf)
{
    if (buf->at != NULL)
        explicit_bzero(buf->at, buf->len);
    buf_clear(buf);
}

static enum rc make_folder(int dir, const char *name)
{
    AUTO_FD made = -1;

    return file_make_dir(dir, name, FOLDER_MODE, &made);
}

enum rc witness_book_make(int dir, struct bytes name)
{
    AUTO_OF(audit_cosigner) *cosigner = NULL;
    [[gnu::cleanup(wipe)]] struct buf pem = BUF_MAX(KEY_FILE_MAX);

    TRY(audit_cosigner_new(name, &cosigner));
    TRY(audit_cosigner_write(cosigner, &pem));
    TRY(make_folder(dir, "logs"));
    TRY(make_folder(dir, "states"));
    TRY(make_folder(dir, "evidence"));
    TRY(file_create(dir, KEY, buf_bytes(&pem), SECRET_MODE));
    return file_create(dir, NAME, name, SECRET_MODE);
}

/* An origin may have slashes. */
static enum rc name_file(struct bytes origin, char file[64 + 1])
{
    AUTO_BUF(hex, 64);
    uint8_t hash[EVP_MAX_MD_SIZE];

    if (EVP_Digest(origin.at, origin.len, hash, NULL, EVP_sha256(), NULL) != 1)
        return fault(RC_CRYPTO, "an origin's hash");
    text_add_hex(&hex, (struct bytes){ hash, 32 });
    memcpy(file, hex.at, 64);
    file[64] = '\0';
    return RC_OK;
}

enum rc witness_book_add_log(int dir, struct bytes origin, struct bytes pem)
{
    AUTO_OF(audit_checkpoint_key) *key = NULL;
    AUTO_BUF(content, LOG_FILE_MAX);
    AUTO_FD logs = -1;
    struct bytes bytes;
    char file[64 + 1];

    if (!audit_note_is_name(origin))
        return fault(RC_MALFORMED,
                     "an origin is 1 to %d printable characters without space and plus",
                     AUDIT_ORIGIN_MAX);
    TRY(audit_checkpoint_key_read(pem, &key));
    TRY(name_file(origin, file));
    buf_add(&content, origin);
    buf_addf(&content, "\n");
    buf_add(&content, pem);
    TRY(buf_done(&content, &bytes));
    TRY(file_open_dir(dir, "logs", &logs));
    return file_create(logs, file, bytes, SECRET_MODE);
}

/* ---- Opening one ---- */

static enum rc read_state(int states, struct witness_log *log)
{
    AUTO_BUF(note, AUDIT_NOTE_MAX);
    struct audit_checkpoint checkpoint;
    enum rc rc = file_read(states, log->file, &note);

    if (rc == RC_NOT_FOUND) {
        log->root = journal_proof_empty();
        return RC_OK;
    }
    if (rc == RC_OK)
        rc = audit_checkpoint_verify(log->key, buf_bytes(&note), &checkpoint);
    if (rc == RC_OK && !bytes_equal_text(checkpoint.origin, log->origin))
        rc = fault(RC_CORRUPT, "of another log");
    if (rc != RC_OK)
        return fault_while(RC_CORRUPT, "what was last signed of %s", log->origin);
    log->begun = true;
    log->size = checkpoint.size;
    log->root = checkpoint.root;
    return RC_OK;
}

static enum rc read_log(int logs, int states, const char *file, struct witness_log *log)
{
    AUTO_BUF(content, LOG_FILE_MAX);
    struct bytes bytes;

    TRY(file_read(logs, file, &content));
    TRY(buf_done(&content, &bytes));
    struct reader r = READER(bytes);
    struct bytes origin = audit_note_take(&r, '\n');
    if (r.broken || !audit_note_is_name(origin))
        return fault(RC_CORRUPT, "logs/%s: no origin in its first line", file);
    memcpy(log->origin, origin.at, origin.len);
    log->origin[origin.len] = '\0';
    TRY(name_file(origin, log->file));
    if (strcmp(log->file, file) != 0)
        return fault(RC_CORRUPT, "logs/%s: its name is not the SHA-256 of %s", file,
                     log->origin);
    TRY(audit_checkpoint_key_read(r.left, &log->key));
    return read_state(states, log);
}

static enum rc read_logs(struct witness_book *book)
{
    AUTO_FD logs = -1;
    AUTO_FD states = -1;
    AUTO_FD listed = -1;
    enum rc rc = RC_OK;

    TRY(file_open_dir(book->dir, "logs", &logs));
    TRY(file_open_dir(book->dir, "states", &states));
    TRY(file_open_dir(book->dir, "logs", &listed));
    DIR *list = fdopendir(listed);
    if (list == NULL)
        return fault_errno("list logs");
    (void)TAKE_FD(listed);
    for (struct dirent *one = readdir(list); rc == RC_OK && one != NULL; one = readdir(list)) {
        if (strlen(one->d_name) != 64)
            continue;
        if (book->count == WITNESS_LOGS_MAX)
            rc = fault(RC_LIMIT, "more than %d logs", WITNESS_LOGS_MAX);
        else
            rc = read_log(logs, states, one->d_name, &book->logs[book->count++]);
    }
    closedir(list);
    return rc;
}

static enum rc read_key(struct witness_book *book)
{
    [[gnu::cleanup(wipe)]] struct buf pem = BUF_MAX(KEY_FILE_MAX);
    AUTO_BUF(name, AUDIT_NAME_MAX);
    struct bytes bytes;

    TRY(file_read(book->dir, NAME, &name));
    TRY(buf_done(&name, &bytes));
    TRY(file_read(book->dir, KEY, &pem));
    return audit_cosigner_read(bytes, buf_bytes(&pem), &book->cosigner);
}

enum rc witness_book_open(int dir, struct witness_book **book)
{
    AUTO_OF(witness_book) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "a witness");
    made->dir = dir;
    TRY(read_key(made));
    TRY(read_logs(made));
    *book = TAKE(made);
    return RC_OK;
}

void witness_book_close(struct witness_book *book)
{
    if (book == NULL)
        return;
    for (size_t i = 0; i < book->count; i++)
        audit_checkpoint_key_free(book->logs[i].key);
    audit_cosigner_free(book->cosigner);
    free(book);
}

/* ---- Using it ---- */

struct witness_log *witness_book_find(struct witness_book *book, struct bytes origin)
{
    for (size_t i = 0; i < book->count; i++)
        if (bytes_equal_text(origin, book->logs[i].origin))
            return &book->logs[i];
    return NULL;
}

enum rc witness_book_keep(struct witness_book *book, struct witness_log *log,
                          const struct audit_checkpoint *checkpoint, struct bytes note)
{
    AUTO_FD states = -1;

    TRY(file_open_dir(book->dir, "states", &states));
    TRY(file_write(states, log->file, note, SECRET_MODE));
    log->begun = true;
    log->size = checkpoint->size;
    log->root = checkpoint->root;
    return RC_OK;
}

void witness_book_keep_evidence(struct witness_book *book,
                                const struct audit_checkpoint *checkpoint, struct bytes note)
{
    AUTO_FD folder = -1;
    AUTO_BUF(name, 128);
    const char *text = NULL;

    buf_addf(&name, "%" PRIu64 "-", checkpoint->size);
    text_add_hex(&name, BYTES_OF(checkpoint->root.at));
    if (book->evidence >= WITNESS_EVIDENCE_MAX || buf_text(&name, &text) != RC_OK ||
        file_open_dir(book->dir, "evidence", &folder) != RC_OK)
        return;
    if (file_create(folder, text, note, SECRET_MODE) == RC_OK)
        book->evidence++;
}
