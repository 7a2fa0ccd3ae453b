#include "daemon/authority_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/events.h"
#include "pki/pem.h"

/*
 * When the last operator is lost, root puts ID.csr into authority.recover and starts the
 * authority (docs/recovery.md). It goes the way of all requests (authority_enrol.c), but for
 * its right, which is the folder's: ID becomes an administrator, or gets another certificate if
 * he is one. The certificate is on disk before it is registered, and worth nothing until then.
 */
enum { FILE_BYTES_MAX = 32 * 1024, RECOVERIES_MAX = 8 };
static const char ENDING[] = ".csr";

static enum rc name_file(const struct daemon_authority_request *request, const char *ending,
                         struct buf *name, const char **text)
{
    buf_addf(name, "%s%s", request->question.id, ending);
    return buf_text(name, text);
}

/* The CA that signed it, for whoever wants the chain. */
static enum rc add_issuer(const struct daemon_authority *authority, struct buf *pem)
{
    const struct pki_certificate *issuer =
        &authority->issuer_of[REGISTRY_OPERATOR]->certificate;
    struct reader r = READER(buf_bytes(&authority->authorities));
    struct pki_certificate one;

    while (r.left.len > 0) {
        struct bytes der = reader_sized32(&r, PKI_CERTIFICATE_MAX);
        TRY(pki_certificate_read(der, &one));
        if (bytes_equal(BYTES_OF(one.fingerprint), BYTES_OF(issuer->fingerprint)))
            pki_pem_add(pem, "CERTIFICATE", der);
    }
    return RC_OK;
}

enum rc daemon_authority_recover_keep(struct daemon_authority_request *request)
{
    const struct daemon_authority *authority = request->authority;
    AUTO_BUF(pem, FILE_BYTES_MAX);
    AUTO_BUF(name, REGISTRY_ID_MAX + 8);
    const char *file = NULL;

    pki_pem_add(&pem, "CERTIFICATE", buf_bytes(&request->certificate));
    TRY(add_issuer(authority, &pem));
    TRY(name_file(request, ".pem", &name, &file));
    return file_write(authority->setup.recover, file, buf_bytes(&pem), 0644);
}

static void ended(struct daemon_authority_request *request, enum rc rc)
{
    struct daemon_authority *authority = request->authority;
    AUTO_BUF(name, REGISTRY_ID_MAX + 8);
    const char *file = NULL;

    if (name_file(request, rc == RC_OK ? ENDING : ".pem", &name, &file) == RC_OK)
        unlinkat(authority->setup.recover, file, 0);
    if (authority->setup.log == NULL)
        return;
    if (rc == RC_OK)
        log_write(authority->setup.log, DAEMON_EVENT_AUTHORITY_RECOVERED,
                  LOG_TEXT_FIELD("operator", request->question.id));
    else
        log_fault(authority->setup.log, DAEMON_EVENT_AUTHORITY_NOT_RECOVERED, rc);
}

static enum rc read_request(struct daemon_authority *authority, const char *file,
                            struct daemon_authority_request *request)
{
    AUTO_BUF(text, FILE_BYTES_MAX);
    struct bytes id = { (const uint8_t *)file, strlen(file) - strlen(ENDING) };

    TRY(registry_id_copy(id, request->question.id));
    TRY(file_read(authority->setup.recover, file, &text));
    struct bytes left = buf_bytes(&text);
    TRY(pki_pem_next(&left, "CERTIFICATE REQUEST", &request->body));
    request->ask = REGISTRY_ASK_OPERATOR_ADD;
    request->ended = ended;
    request->question.kind = REGISTRY_OPERATOR;
    request->question.role = REGISTRY_ADMIN;
    request->question.der = buf_bytes(&request->body);
    return RC_OK;
}

/* ---- Done already, in a life that ended before it removed the request ---- */

struct left {
    const char *id;
    struct registry_leaf leaf;
    int64_t now_ms;
    bool good; /* it is an administrator's of this id, now */
};

static enum rc look_up_left(struct store_txn *txn, void *with)
{
    struct left *left = with;
    struct registry_certificate certificate;
    struct registry_subject subject;
    enum registry_verdict verdict;

    TRY(registry_certificate_look_up(txn, &left->leaf, left->now_ms, &verdict, &certificate,
                                     &subject));
    left->good = verdict == REGISTRY_ACCEPTED && subject.kind == REGISTRY_OPERATOR &&
                 subject.role == REGISTRY_ADMIN && strcmp(subject.id, left->id) == 0;
    return RC_OK;
}

static enum rc read_left(struct daemon_authority_request *request, struct buf *der,
                         struct pki_certificate *certificate)
{
    AUTO_BUF(pem, FILE_BYTES_MAX);
    AUTO_BUF(name, REGISTRY_ID_MAX + 8);
    const char *file = NULL;

    TRY(name_file(request, ".pem", &name, &file));
    TRY(file_read(request->authority->setup.recover, file, &pem));
    struct bytes left = buf_bytes(&pem);
    TRY(pki_pem_next(&left, "CERTIFICATE", der));
    return pki_certificate_read(buf_bytes(der), certificate);
}

/* The certificate that lies here is for the key of the request, and good. */
static bool is_done(struct daemon_authority_request *request)
{
    struct daemon_authority *authority = request->authority;
    AUTO_BUF(der, PKI_CERTIFICATE_MAX);
    struct pki_certificate certificate;
    struct pki_request csr;
    struct left left = { .id = request->question.id, .now_ms = request->now_ms };

    if (read_left(request, &der, &certificate) != RC_OK ||
        pki_request_read(authority->verifier, request->question.der, &csr) != RC_OK ||
        !bytes_equal(BYTES_OF(csr.key_hash), BYTES_OF(certificate.key_hash)) ||
        pki_key_hash(certificate.issuer, left.leaf.issuer_hash) != RC_OK)
        return false;
    memcpy(left.leaf.fingerprint.at, certificate.fingerprint, sizeof left.leaf.fingerprint.at);
    memcpy(left.leaf.key_hash, certificate.key_hash, sizeof left.leaf.key_hash);
    left.leaf.serial = certificate.serial;
    return store_read(authority->setup.store, look_up_left, &left) == RC_OK && left.good;
}

static void recover(struct daemon_authority *authority, const char *file)
{
    struct daemon_authority_request *request = daemon_authority_request_new(authority);
    enum rc rc =
        request == NULL ? fault(RC_NOMEM, "a request") : read_request(authority, file, request);

    if (rc == RC_OK && is_done(request)) {
        ended(request, RC_OK);
        daemon_authority_forget(request);
        return;
    }
    if (rc == RC_OK) {
        daemon_authority_enrol(request);
        return;
    }
    rc = fault_while(rc, "authority.recover: %s", file);
    if (authority->setup.log != NULL)
        log_fault(authority->setup.log, DAEMON_EVENT_AUTHORITY_NOT_RECOVERED, rc);
    if (request != NULL)
        daemon_authority_forget(request);
}

void daemon_authority_recover(struct daemon_authority *authority)
{
    AUTO_FD dir = -1;
    unsigned found = 0;

    if (authority->setup.recover < 0 || authority->recovered)
        return;
    authority->recovered = true;
    dir = openat(authority->setup.recover, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = dir < 0 ? NULL : fdopendir(dir);
    if (list == NULL)
        return;
    (void)TAKE_FD(dir); /* closedir() closes it */
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list)) {
        size_t len = strlen(one->d_name);
        if (len > strlen(ENDING) && strcmp(one->d_name + len - strlen(ENDING), ENDING) == 0 &&
            found++ < RECOVERIES_MAX)
            recover(authority, one->d_name);
    }
    closedir(list);
}
