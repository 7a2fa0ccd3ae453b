/* Plain structs as tables of fields: one way to write and to read them, strictly. Private to
 * the door's messages. */
#pragma once

#include "registry/subject.h"

enum registry_field_kind {
    REGISTRY_FIELD_U8,
    REGISTRY_FIELD_U16,
    REGISTRY_FIELD_U32,
    REGISTRY_FIELD_U64,     /* also of an int64_t */
    REGISTRY_FIELD_FLAG,    /* bool: 0 or 1 */
    REGISTRY_FIELD_CHOICE,  /* an enum from 0 to most, in an octet */
    REGISTRY_FIELD_OCTETS,  /* uint8_t[most] */
    REGISTRY_FIELD_BYTES,   /* struct bytes: u32 length, at most so many; borrowed when read */
    REGISTRY_FIELD_ID,      /* char[REGISTRY_ID_MAX + 1]: u8 length; empty or an id */
    REGISTRY_FIELD_TEXT,    /* char[most + 1]: u8 length; printable */
    REGISTRY_FIELD_GROUPS,  /* struct registry_groups: u8 count, each as an id */
    REGISTRY_FIELD_SUBJECT, /* u32 length, 0 for none (kind 0), and its own form */
    REGISTRY_FIELD_CERTIFICATE, /* likewise */
    REGISTRY_FIELD_PROPOSAL,    /* likewise (number 0) */
    REGISTRY_FIELD_IDS,         /* as bytes, and each of registry_ids_next() has passed */
};

struct registry_field {
    const char *name;
    enum registry_field_kind kind;
    size_t at; /* offset in the struct */
    size_t most;
};

struct registry_fields {
    const struct registry_field *at;
    size_t count;
};
#define REGISTRY_FIELDS(table)                                                                 \
    {                                                                                          \
        (table), sizeof(table) / sizeof *(table)                                               \
    }

/* The fields of each of several messages, by number; none for one that is not there. */
struct registry_bodies {
    const struct registry_fields *of;
    size_t count;
};
struct registry_fields registry_bodies_get(struct registry_bodies bodies, size_t number);

/* A value over its bound breaks out. */
void registry_fields_write(struct registry_fields fields, const void *from, struct buf *out);
/* RC_MALFORMED names the field. to is zeroed by the caller, and worthless on failure; r goes on
 * behind the fields. */
enum rc registry_fields_read(struct registry_fields fields, struct reader *r, void *to);
