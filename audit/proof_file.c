#include "audit/proof_file.h"

#include <inttypes.h>

#include "base/text.h"

#define MAGIC BYTES("c2sp.org/tlog-proof@v1")

enum { NODES_MAX = 63 }; /* of a tree of at most 2^63 leaves */

enum rc audit_proof_file_write(const struct audit_proof_file *proof, struct buf *text)
{
    struct bytes done;

    buf_add(text, MAGIC);
    buf_addf(text, "\n");
    if (proof->extra.len > 0) {
        buf_addf(text, "extra ");
        text_add_base64(text, proof->extra);
        buf_addf(text, "\n");
    }
    buf_addf(text, "index %" PRIu64 "\n", proof->index);
    for (size_t i = 0; i < proof->count; i++) {
        text_add_base64(text, BYTES_OF(proof->nodes[i].at));
        buf_addf(text, "\n");
    }
    buf_addf(text, "\n");
    buf_add(text, proof->note);
    return buf_done(text, &done);
}

static const char *read_nodes(struct reader *r, struct audit_proof_file *made)
{
    for (;;) {
        struct bytes line = audit_note_take(r, '\n');
        if (r->broken)
            return "no empty line behind the proof";
        if (line.len == 0)
            return NULL;
        if (made->count == NODES_MAX)
            return "more than 63 nodes";
        if (!audit_note_read_hash(line, made->nodes[made->count].at))
            return "a node is not base64 of 32 octets";
        made->count++;
    }
}

static const char *what_is_wrong(struct reader *r, struct buf *room,
                                 struct audit_proof_file *made)
{
    static const struct bytes EXTRA = { (const uint8_t *)"extra ", 6 };
    static const struct bytes INDEX = { (const uint8_t *)"index ", 6 };

    if (!bytes_equal(audit_note_take(r, '\n'), MAGIC))
        return "does not begin with \"c2sp.org/tlog-proof@v1\"";
    struct bytes line = audit_note_take(r, '\n');
    if (bytes_start_with(line, EXTRA)) {
        if (!audit_note_read_base64((struct bytes){ line.at + 6, line.len - 6 }, room) ||
            room->len == 0)
            return "\"extra\" is not followed by base64";
        made->extra = buf_bytes(room);
        line = audit_note_take(r, '\n');
    }
    if (!bytes_start_with(line, INDEX) ||
        text_read_u64((struct bytes){ line.at + 6, line.len - 6 }, INT64_MAX, &made->index) !=
            RC_OK)
        return "no line \"index <number>\"";
    const char *wrong = read_nodes(r, made);
    made->note = r->left;
    return wrong;
}

enum rc audit_proof_file_read(struct bytes text, struct buf *room,
                              struct audit_proof_file *proof)
{
    struct audit_proof_file made = { 0 };
    struct reader r = READER(text);

    buf_reset(room);
    if (text.len > AUDIT_PROOF_FILE_MAX)
        return fault(RC_MALFORMED, "C2SP tlog-proof: over %d octets", AUDIT_PROOF_FILE_MAX);
    const char *wrong = what_is_wrong(&r, room, &made);
    if (wrong != NULL)
        return fault(RC_MALFORMED, "C2SP tlog-proof: %s", wrong);
    *proof = made;
    return RC_OK;
}

enum rc audit_proof_file_check(const struct audit_proof_file *proof,
                               const struct proof_hash *leaf,
                               const struct audit_checkpoint_key *key,
                               const struct audit_witnesses *witnesses,
                               struct audit_checkpoint *checkpoint)
{
    struct audit_checkpoint made;

    TRY(audit_checkpoint_verify(key, proof->note, &made));
    TRY(audit_cosignature_demand(witnesses, proof->note));
    enum rc rc = journal_proof_check_inclusion(proof->index, made.size, leaf, proof->nodes,
                                               proof->count, &made.root);
    if (rc != RC_OK)
        return fault_while(rc, "record %" PRIu64 " of %" PRIu64, proof->index, made.size);
    *checkpoint = made;
    return RC_OK;
}
