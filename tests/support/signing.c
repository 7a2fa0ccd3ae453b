#include "tests/support/signing.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "keys/ceremony.h"
#include "keys/signer.h"
#include "keys/worker.h"
#include "tests/support/check.h"
#include "tests/support/tbs.h"

static int64_t example_hour(void *with)
{
    (void)with;
    return TBS_NOW_S * 1000;
}

static int64_t passing_ms(void *with)
{
    struct clock real = clock_system();

    (void)with;
    return clock_monotonic_ms(&real);
}

static struct secret secret_of(const char *text)
{
    struct secret secret = { 0 };

    assert_int_equal(secret_set(&secret, bytes_of_text(text)), RC_OK);
    return secret;
}

void signing_make(struct signing *s)
{
    struct secret so = secret_of("87654321"), user = secret_of("1234");
    AUTO_OF(keys_ceremony) *ceremony = NULL;

    *s = (struct signing){ .ask = -1, .clock = { example_hour, passing_ms, NULL } };
    softhsm_make(&s->hsm);
    memcpy(s->journal, s->hsm.dir, strlen(s->hsm.dir));
    memcpy(s->journal + strlen(s->hsm.dir), "/journal", sizeof "/journal");
    assert_int_equal(mkdir(s->journal, 0700), 0);
    s->rules = tbs_example_rules();
    assert_int_equal(keys_ceremony_create(SOFTHSM_MODULE, "issuing", &so, &user, &ceremony),
                     RC_OK);
    for (size_t i = 0; i < s->rules->count; i++)
        assert_int_equal(keys_ceremony_make_key(ceremony, s->rules->rule[i].name,
                                                s->rules->rule[i].public_key),
                         RC_OK);
}

static enum rc be_worker(const struct signing *s, int fd)
{
    struct secret pin = secret_of("1234");
    AUTO_OF(loop) *loop = NULL;
    AUTO_OF(keys_token) *token = NULL;
    AUTO_OF(keys_worker) *worker = NULL;

    TRY(loop_new(&s->clock, &loop));
    TRY(keys_token_open(SOFTHSM_MODULE, "issuing", &pin, &token));
    TRY(keys_worker_add_keys(token, s->rules));
    TRY(keys_worker_open(loop, &s->clock, token, s->rules, fd, &worker));
    return loop_run(loop);
}

static enum rc be_signer(const struct signing *s, const int workers[], int fd)
{
    const struct journal_limits limits = { 1024 * 1024, 64LL * 1024 * 1024 };
    struct journal_recovery recovery;
    AUTO_OF(loop) *loop = NULL;
    AUTO_OF(journal) *journal = NULL;
    AUTO_OF(keys_signer) *signer = NULL;
    AUTO_FD dir = -1;

    TRY(loop_new(&s->clock, &loop));
    TRY(file_open_dir(AT_FDCWD, s->journal, &dir));
    TRY(journal_open(dir, &limits, &s->clock, &recovery, &journal));
    TRY(keys_signer_new(loop, &s->clock, journal, s->rules, &signer));
    for (int i = 0; i < SIGNING_WORKERS; i++)
        TRY(keys_signer_add_worker(signer, workers[i]));
    TRY(keys_signer_serve(signer, fd));
    TRY(loop_run(loop));
    return keys_signer_outcome(signer);
}

static _Noreturn void leave(enum rc rc)
{
    if (rc == RC_OK)
        _exit(0);
    _exit(rc == RC_CLOSED ? SIGNING_ENDED_CLOSED
                          : (rc == RC_CORRUPT ? SIGNING_ENDED_CORRUPT : 1));
}

void signing_start(struct signing *s)
{
    int asking[SIGNING_WORKERS], answering = -1;
    AUTO_BUF(unused, 16);

    for (int i = 0; i < SIGNING_WORKERS; i++) {
        assert_int_equal(link_pair(&asking[i], &answering), RC_OK);
        s->workers[i] = fork();
        assert_true(s->workers[i] >= 0);
        if (s->workers[i] == 0) {
            for (int j = 0; j <= i; j++)
                close(asking[j]);
            leave(be_worker(s, answering));
        }
        close(answering);
        assert_int_equal(link_ask_and_wait(asking[i], keys_protocol_worker(), KEYS_WORK_READY,
                                           BYTES(""), -1, 20000, &unused),
                         RC_OK);
    }
    assert_int_equal(link_pair(&s->ask, &answering), RC_OK);
    s->signer = fork();
    assert_true(s->signer >= 0);
    if (s->signer == 0) {
        close(s->ask);
        leave(be_signer(s, asking, answering));
    }
    close(answering);
    for (int i = 0; i < SIGNING_WORKERS; i++)
        close(asking[i]);
}

static void end(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

void signing_stop(struct signing *s)
{
    if (s->ask >= 0)
        close(s->ask);
    s->ask = -1;
    end(&s->signer);
    for (int i = 0; i < SIGNING_WORKERS; i++)
        end(&s->workers[i]);
}

int signing_wait(struct signing *s)
{
    int status = 0;

    assert_int_equal(waitpid(s->signer, &status, 0), s->signer);
    s->signer = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void signing_remove(struct signing *s)
{
    signing_stop(s);
    free(s->rules);
    softhsm_remove(&s->hsm);
}

void signing_certificate(const struct signing *s, unsigned number, struct buf *tbs)
{
    AUTO_BUF(serial, 64);
    const char *hex = NULL;
    struct tbs pieces = { 0 };

    buf_addf(&serial, "0210 40000000 00000000 00000000 %08x", number);
    assert_int_equal(buf_text(&serial, &hex), RC_OK);
    tbs_fill_device(&pieces, keys_rules_find(s->rules, BYTES("devices")), "dev-1");
    tbs_set_hex(&pieces, TBS_SERIAL, hex);
    buf_reset(tbs);
    tbs_build(&pieces, tbs);
    tbs_clear(&pieces);
}

enum rc signing_ask(const struct signing *s, enum keys_request request, const char *key,
                    const struct bytes *items, size_t count, struct buf *room,
                    struct keys_answers *answers)
{
    struct keys_ask ask = { .count = count, .correlation = { 0xc0, 0xde } };

    memcpy(ask.key, key, strlen(key));
    memcpy(ask.items, items, count * sizeof *items);
    return keys_client_sign_and_wait(s->ask, request, &ask, 20000, room, answers);
}

bool signing_verifies_by(const struct keys_rule *rule, struct bytes message,
                         struct bytes signature)
{
    const uint8_t *at = rule->public_key;
    EVP_PKEY *public_key = d2i_PUBKEY(NULL, &at, sizeof rule->public_key);
    EVP_MD_CTX *verify = EVP_MD_CTX_new();

    assert_non_null(public_key);
    bool good =
        EVP_DigestVerifyInit(verify, NULL, EVP_sha256(), NULL, public_key) == 1 &&
        EVP_DigestVerify(verify, signature.at, signature.len, message.at, message.len) == 1;
    EVP_MD_CTX_free(verify);
    EVP_PKEY_free(public_key);
    return good;
}

bool signing_verifies(const struct signing *s, const char *key, struct bytes message,
                      struct bytes signature)
{
    return signing_verifies_by(keys_rules_find(s->rules, bytes_of_text(key)), message,
                               signature);
}
