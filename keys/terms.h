/* The words of the rules file: names from RFC 5280 and X.520, and what each stands for. */
#pragma once

#include "base/bytes.h"

struct keys_term {
    const char *word;
    struct bytes oid; /* content of the OBJECT IDENTIFIER; empty where there is none */
};

struct keys_terms {
    const struct keys_term *term; /* indexed by the enum (or bit number) of keys/rules.h */
    size_t count;
};

struct keys_terms keys_terms_attribute(void);
struct keys_terms keys_terms_extension(void);
struct keys_terms keys_terms_key_usage(void);          /* by bit number */
struct keys_terms keys_terms_extended_key_usage(void); /* by bit number */
struct keys_terms keys_terms_kind(void);               /* by bit number */
struct keys_terms keys_terms_purpose(void);            /* by enum keys_purpose; 0 is unused */
struct keys_terms keys_terms_presence(void);
struct keys_terms keys_terms_san(void);

/* The index, or count when there is none. */
size_t keys_terms_find_word(struct keys_terms terms, struct bytes word);
size_t keys_terms_find_oid(struct keys_terms terms, struct bytes oid);
