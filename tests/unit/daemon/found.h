/* What a search of the audit log finds, record by record. */
#pragma once

#include "tests/unit/daemon/authority_world.h"

/* Newest first, one page. Borrowed for the call. */
static inline unsigned each_found(struct world *w, const struct audit_query *query,
                                  void (*each)(const struct audit_record *record, void *with),
                                  void *with)
{
    struct audit_page page;
    struct audit_hit hit;
    unsigned count = 0;
    AUTO_BUF(asked, AUDIT_QUERY_MAX);
    AUTO_TOLD(told);

    audit_query_write(query, &asked);
    struct registry_question q = { .query = buf_bytes(&asked) };
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_LIST, q, &told), RC_OK);
    assert_int_equal(audit_page_read(told.answer.query, &page), RC_OK);
    for (; audit_page_next(&page, &hit) == RC_OK; count++)
        if (each != NULL)
            each(hit.record, with);
    audit_page_clear(&page);
    return count;
}

static inline unsigned count_found(struct world *w, struct audit_query query)
{
    query.most = 500;
    return each_found(w, &query, NULL, NULL);
}
