#include "base/file.h"
#include "bench/load_identity.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

AUTO_TYPE(BIO, BIO_free_all)
AUTO_TYPE(X509, X509_free)
AUTO_TYPE(EVP_PKEY, EVP_PKEY_free)

enum { YEAR_S = 365 * 86400, PATH_BYTES_MAX = 4096 };

struct authority {
    X509 *certificate;
    EVP_PKEY *key;
    long serial;
};

struct wanted {
    const char *name;
    const char *usage; /* extended key usage; NULL: a CA */
    const char *names; /* subject alternative names, or NULL */
};

static bool add_extension(X509 *to, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, to, NULL, NULL, 0);
    X509_EXTENSION *made = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = made != NULL && X509_add_ext(to, made, -1) == 1;
    X509_EXTENSION_free(made);
    return ok;
}

static bool add_extensions(X509 *to, X509 *issuer, const struct wanted *wanted)
{
    bool ca = wanted->usage == NULL;

    return add_extension(to, issuer, NID_basic_constraints,
                         ca ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
           add_extension(to, issuer, NID_key_usage,
                         ca ? "critical,keyCertSign" : "critical,digitalSignature") &&
           add_extension(to, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(to, issuer, NID_authority_key_identifier, "keyid") &&
           (ca || add_extension(to, issuer, NID_ext_key_usage, wanted->usage)) &&
           (wanted->names == NULL ||
            add_extension(to, issuer, NID_subject_alt_name, wanted->names));
}

static enum rc make_one(struct authority *by, const struct wanted *wanted, X509 **certificate,
                        EVP_PKEY **key)
{
    AUTO(X509) *made = X509_new();
    AUTO(EVP_PKEY) *own = EVP_EC_gen("P-256");
    X509 *issuer = by->certificate != NULL ? by->certificate : made;

    if (made == NULL || own == NULL)
        return fault(RC_NOMEM, "certificate");
    X509_NAME *name = X509_get_subject_name(made);
    bool ok = X509_set_version(made, 2) == 1 &&
              ASN1_INTEGER_set(X509_get_serialNumber(made), ++by->serial) == 1 &&
              X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
                                         bytes_of_text(wanted->name).at, -1, -1, 0) == 1 &&
              X509_set_issuer_name(made, X509_get_subject_name(issuer)) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(made), -60) != NULL &&
              X509_gmtime_adj(X509_getm_notAfter(made), YEAR_S) != NULL &&
              X509_set_pubkey(made, own) == 1 && add_extensions(made, issuer, wanted) &&
              X509_sign(made, by->key != NULL ? by->key : own, EVP_sha256()) > 0;
    if (!ok)
        return fault(RC_CRYPTO, "certificate of %s", wanted->name);
    *certificate = TAKE(made);
    *key = TAKE(own);
    return RC_OK;
}

/* NULL for what does not go into the file. */
static enum rc write_pem(const char *folder, const char *name, X509 *certificate, EVP_PKEY *key)
{
    AUTO_BUF(path, PATH_BYTES_MAX);
    const char *text;

    buf_addf(&path, "%s/%s", folder, name);
    TRY(buf_text(&path, &text));
    AUTO(BIO) *file = BIO_new_file(text, "w");
    if (file == NULL || (certificate != NULL && PEM_write_bio_X509(file, certificate) != 1) ||
        (key != NULL &&
         PEM_write_bio_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) != 1))
        return fault(RC_IO, "cannot write %s", text);
    return RC_OK;
}

static enum rc make_client(struct authority *by, const char *folder, size_t number)
{
    AUTO(X509) *certificate = NULL;
    AUTO(EVP_PKEY) *key = NULL;
    AUTO_BUF(name, LOAD_ID_MAX);
    AUTO_BUF(file, PATH_BYTES_MAX);
    const char *id, *path;

    buf_addf(&name, "bench-%05zu", number);
    TRY(buf_text(&name, &id));
    buf_addf(&file, "clients/%s.pem", id);
    TRY(buf_text(&file, &path));
    TRY(make_one(by, &(struct wanted){ id, "clientAuth", NULL }, &certificate, &key));
    return write_pem(folder, path, certificate, key);
}

static enum rc make_server(struct authority *by, const char *folder)
{
    AUTO(X509) *certificate = NULL;
    AUTO(EVP_PKEY) *key = NULL;
    const struct wanted wanted = { "localhost", "serverAuth", "IP:127.0.0.1,DNS:localhost" };

    TRY(make_one(by, &wanted, &certificate, &key));
    TRY(write_pem(folder, "server.pem", certificate, NULL));
    return write_pem(folder, "server.key", NULL, key);
}

static enum rc make_clients_folder(const char *folder)
{
    AUTO_FD top = -1;
    AUTO_FD clients = -1;

    TRY(file_open_dir(AT_FDCWD, folder, &top));
    return file_make_dir(top, "clients", 0755, &clients);
}

enum rc load_identities_make(const char *folder, size_t count)
{
    AUTO(X509) *certificate = NULL;
    AUTO(EVP_PKEY) *key = NULL;
    struct authority by = { 0 };

    TRY(make_clients_folder(folder));
    TRY(make_one(&by, &(struct wanted){ .name = "Bench CA" }, &certificate, &key));
    TRY(write_pem(folder, "ca.pem", certificate, NULL));
    by.certificate = certificate;
    by.key = key;
    TRY(make_server(&by, folder));
    for (size_t i = 0; i < count; i++)
        TRY(make_client(&by, folder, i));
    return RC_OK;
}
