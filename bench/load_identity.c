#include "bench/load_identity.h"

#include "base/file.h"
#include "base/own.h"

#include <dirent.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

AUTO_TYPE(BIO, BIO_free_all)

static void clear_one(struct load_identity *one)
{
    X509_free(one->certificate);
    sk_X509_pop_free(one->chain, X509_free);
    EVP_PKEY_free(one->key);
}

void load_identities_clear(struct load_identities *identities)
{
    for (size_t i = 0; i < identities->count; i++)
        clear_one(&identities->all[i]);
    free(identities->all);
    *identities = (struct load_identities){ 0 };
}

static enum rc read_chain(const char *path, struct load_identity *one)
{
    AUTO(BIO) *file = BIO_new_file(path, "r");
    X509 *next;

    if (file == NULL || (one->certificate = PEM_read_bio_X509(file, NULL, NULL, NULL)) == NULL)
        return fault(RC_MALFORMED, "%s has no certificate", path);
    one->chain = sk_X509_new_null();
    while ((next = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL)
        if (sk_X509_push(one->chain, next) == 0)
            return fault(RC_NOMEM, "chain");
    return RC_OK;
}

static enum rc read_key(const char *path, struct load_identity *one)
{
    AUTO(BIO) *file = BIO_new_file(path, "r");

    if (file == NULL || (one->key = PEM_read_bio_PrivateKey(file, NULL, NULL, NULL)) == NULL)
        return fault(RC_MALFORMED, "%s has no key", path);
    return RC_OK;
}

static bool is_certificate(const char *name)
{
    size_t len = strlen(name);
    const char *end = len > 4 ? name + len - 4 : "";

    return len - 4 <= LOAD_ID_MAX && (strcmp(end, ".pem") == 0 || strcmp(end, ".crt") == 0);
}

static enum rc read_one(const char *folder, const char *name, struct load_identity *one)
{
    AUTO_BUF(certificate, 4096);
    AUTO_BUF(key, 4096);
    const char *certificate_path, *key_path;
    size_t id = strlen(name) - 4;

    memcpy(one->id, name, id);
    one->id[id] = 0;
    buf_addf(&certificate, "%s/%s", folder, name);
    TRY(buf_text(&certificate, &certificate_path));
    buf_addf(&key, "%s/%s.key", folder, one->id);
    TRY(buf_text(&key, &key_path));
    TRY(read_chain(certificate_path, one));
    return read_key(access(key_path, R_OK) == 0 ? key_path : certificate_path, one);
}

static int only_certificates(const struct dirent *entry)
{
    return is_certificate(entry->d_name);
}

enum rc load_identities_read(const char *folder, size_t most, struct load_identities *out)
{
    struct dirent **names = NULL;
    int found = scandir(folder, &names, only_certificates, alphasort);
    struct load_identities made = { 0 };
    enum rc rc = found > 0 ? RC_OK : fault(RC_NOT_FOUND, "no certificates in %s", folder);

    made.all = calloc(found > 0 ? (size_t)found : 1, sizeof *made.all);
    for (int i = 0; i < found; i++) {
        if (rc == RC_OK && made.count < most)
            rc = read_one(folder, names[i]->d_name, &made.all[made.count++]);
        free(names[i]);
    }
    free(names);
    if (rc != RC_OK)
        load_identities_clear(&made);
    else
        *out = made;
    return rc;
}
