/* The table of routes: what is served, for whom, what is asked and what it is called. The one
 * truth behind requests, OpenAPI and tests. */
#pragma once

#include "api/api.h"
#include "audit/hold.h"
#include "audit/query.h"

struct api_request;

enum {
    API_LIST_MOST = 500,
    API_BODY_SMALL = 4 * 1024,
    API_BODY_REQUEST = 32 * 1024,       /* JSON with a CSR in PEM */
    API_BODY_EST = 16 * 1024,           /* a CSR in base64, from anybody with a token to try */
    API_BODY_POLICY = 12 * 1024 * 1024, /* REGISTRY_POLICY_MAX with room for JSON's escapes */
    API_BODY_LARGE = 128 * 1024,        /* of what is longer there are few at a time */
    API_BODY_IDS = 48 * 1024,           /* REGISTRY_IDS_MAX of the longest */
    API_QUERY_MAX = 4096,               /* octets, as sent */
    API_PATH_MAX = 512,
    API_FIELDS_MAX = 32, /* of one route */
};

/* Where a field stands in a request. */
enum api_place { API_IN_PATH, API_IN_QUERY, API_IN_BODY };

/* What it must be, and so what it is stored as (input.c has a row for each). */
enum api_type {
    API_ID,          /* char[REGISTRY_ID_MAX + 1] */
    API_LABEL,       /* char[REGISTRY_LABEL_MAX + 1] */
    API_WHY,         /* likewise, and not blank */
    API_GROUPS,      /* struct registry_groups */
    API_IDS,         /* struct bytes: as registry_ids_add() makes them */
    API_STATE,       /* enum registry_state */
    API_KIND,        /* enum registry_kind: device, operator, line */
    API_HOLDER,      /* enum registry_kind: operator, line */
    API_ROLE,        /* enum registry_role */
    API_REASON,      /* uint8_t: CRLReason by its name in RFC 5280 5.3.1 */
    API_FINGERPRINT, /* struct registry_fingerprint, in hexadecimal */
    API_COUNT,       /* uint16_t: 1 to API_LIST_MOST */
    API_SECONDS,     /* uint32_t, at least 1 */
    API_NUMBER,      /* uint64_t, below 2^63 */
    API_VERSION,     /* uint64_t: a number from 1, or "active" as 0 */
    API_FLAG,        /* bool: 1 or 0 */
    API_TEXT,        /* struct bytes: any text */
    API_HASH,        /* struct bytes: 32 octets in hexadecimal */
    API_CORRELATION, /* struct bytes: 16 octets in hexadecimal */
    API_CURSOR,      /* struct bytes: in hexadecimal, of an earlier answer */
    API_CSR,         /* struct bytes: DER of a PEM certificate request */
    API_TIME,        /* int64_t: milliseconds of RFC 3339 */
    API_SERIAL,      /* struct bytes: 1 to 20 octets in hexadecimal */
    API_TOPIC,       /* struct bytes: an MQTT topic filter */
    API_NETWORK,     /* struct audit_network */
    API_ACTIONS,     /* struct audit_action_set: names and families, "a,b.*" */
    API_DECISIONS,   /* uint8_t: bits of enum audit_decision, by names "a,b" */
    API_SOURCES,     /* uint8_t: likewise of enum audit_source */
    API_ACTORS,      /* uint8_t: likewise of enum audit_actor_kind */
    API_RULE,        /* uint32_t: a number from 1, or "none" as AUDIT_RULE_NONE */
    API_INDEX,       /* uint64_t: of a record, and one more; 0: not given */
    API_NAME,        /* struct bytes: letters, digits, '.', '-' */
    API_TYPES
};

struct api_field {
    const char *name;
    enum api_place place;
    enum api_type type;
    bool required; /* in the path all are */
    size_t at;     /* offset in struct api_input */
    const char *meaning;
};

/* What a request says, once it passed. Borrows from itself: not to be copied. */
struct api_input {
    struct registry_question question;
    struct audit_query audit;
    struct audit_hold hold;
    uint64_t number, other;
    bool wait;
    struct bytes name;
    /* What the above borrows from. */
    struct buf texts, der, ids;
    uint8_t octets[512];
    size_t octets_len;
    void *json;
};

struct api_route {
    const char *method, *path; /* "/v1/devices/{id}/revoke"; {name...}: all the rest */
    enum api_service service;
    enum registry_right right; /* REGISTRY_RIGHT_NONE: anybody's */
    bool token;                /* a one-time token stands for the right */
    bool tagged;               /* it has an ETag; who names that in If-None-Match is told 304 */
    size_t body_max;           /* 0: none is taken */
    const char *body_type;     /* media type; NULL: application/json */
    enum registry_ask ask;     /* what is asked of the authority; 0: nothing, or several */
    enum registry_kind kind;   /* into the question before its fields; 0: not */
    enum registry_state state; /* likewise */
    const struct api_field *fields;
    size_t field_count;
    /* RC_OK: it has answered (answer.h), or has asked and will be called back. */
    enum rc (*handle)(struct api_request *request);
    /* Of an api_ask(): writes the authority's yes. */
    enum rc (*told)(struct api_request *request, const struct registry_answer *answer);
    unsigned status;  /* of a yes; 0: 200 */
    const char *name; /* OpenAPI's operationId */
    const char *summary;
    const char *answers; /* a schema of schema.c, or a media type */
};

const struct api_route *api_routes(size_t *count);

/*
 * The route for this path as sent (without its query), in services. RC_OK; RC_NOT_FOUND: no
 * such path; RC_DENIED: there is, but not with this method: allow has those that there are,
 * "GET, HEAD, POST". HEAD is served by GET. Path parameters are read later, by
 * api_input_read().
 */
enum rc api_route_find(struct bytes method, struct bytes path, unsigned services,
                       const struct api_route **route, struct buf *allow);

/*
 * The value of {name} in a path that matches. RC_NOT_FOUND when the pattern has none.
 */
enum rc api_route_parameter(const struct api_route *route, struct bytes path, const char *name,
                            struct bytes *value);

/* Percent-decoding, strict: RC_MALFORMED for a bad escape, a control character, a zero, what
 * is no UTF-8. Appends. */
enum rc api_route_decode(struct bytes text, struct buf *out);

/*
 * Read path, query (without '?') and body into *input, which is zeroed by the caller and
 * cleared with api_input_clear(), also on failure. RC_MALFORMED names the field.
 */
enum rc api_input_read(const struct api_route *route, struct bytes path, struct bytes query,
                       struct bytes body, struct api_input *input);
void api_input_clear(struct api_input *input);
