/* What goes back: a status, a few headers, a body; and JSON for what the registry knows. */
#pragma once

#include "registry/answer.h"

struct json_t;
struct broker_crl;

enum { API_HEADERS_MAX = 4, API_ANSWER_MAX = 512 * 1024 };

struct api_answer {
    unsigned status; /* 0: none yet */
    const char *type;
    struct buf body;
    struct broker_crl *crl; /* held (broker/crls.h): it is the body, sent piece by piece */
    struct api_header {
        const char *name;
        char value[128];
    } headers[API_HEADERS_MAX];
    size_t header_count;
    bool may_be_kept; /* by whoever asks again each time whether it is still good */
    bool cached;      /* a header of its own says for how long */
    bool close;       /* the connection ends behind it */
};

/* The code of a refusal as peers see it, and its status. */
const char *api_answer_code(enum rc rc);
unsigned api_answer_status(enum rc rc);

void api_answer_bytes(struct api_answer *answer, unsigned status, const char *type,
                      struct bytes body);
/* crl is the answer's to release from here on. */
void api_answer_crl(struct api_answer *answer, struct broker_crl *crl);
/* json is owned from here on; NULL (no memory) becomes RC_NOMEM, with no answer made. */
enum rc api_answer_json(struct api_answer *answer, unsigned status, struct json_t *json);
/* A value that does not fit is cut. */
void api_answer_header(struct api_answer *answer, const char *name, const char *value);
/* {"error":{...}}; detail "" is left out. */
void api_answer_error(struct api_answer *answer, unsigned status, const char *code,
                      struct bytes correlation, const char *detail);
void api_answer_clear(struct api_answer *answer);

/* New references; NULL without memory. */
struct json_t *api_answer_hex(struct bytes bytes);
struct json_t *api_answer_time(int64_t wall_ms);
struct json_t *api_answer_text(struct bytes text);
struct json_t *api_answer_text_or_null(struct bytes text);
struct json_t *api_answer_number(uint64_t number);
struct json_t *api_answer_subject(const struct registry_subject *subject);
struct json_t *api_answer_certificate(const struct registry_certificate *certificate,
                                      uint64_t log_number);
/* {name: [...], "next": cursor or null}; RC_MALFORMED when a list breaks its form. */
enum rc api_answer_subjects(struct api_answer *to, const char *name,
                            const struct registry_answer *answer);
enum rc api_answer_certificates(struct api_answer *to, const struct registry_answer *answer);
enum rc api_answer_add_certificates(struct json_t *list, const struct registry_answer *answer);
/* index + 1 as JSON: null for 0 */
struct json_t *api_answer_log_index(uint64_t log_number);
