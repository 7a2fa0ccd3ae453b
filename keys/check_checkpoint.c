#include "keys/check.h"

#include <string.h>

#include "base/text.h"

enum { FOUND_MAX = 40, HASH = 32, HASH_TEXT = 44 };

/* The content of the next line. Every line ends in a newline: C2SP signed-note, "Format". */
static struct bytes take_line(struct reader *r)
{
    const uint8_t *end = r->left.len > 0 ? memchr(r->left.at, '\n', r->left.len) : NULL;
    struct bytes line = reader_take(r, end != NULL ? (size_t)(end - r->left.at) : SIZE_MAX);

    reader_u8(r);
    return line;
}

static enum rc refuse(enum rc rc, const char *expected, struct bytes found)
{
    AUTO_BUF(shown, 4 * FOUND_MAX);

    found.len = found.len < FOUND_MAX ? found.len : FOUND_MAX;
    text_add_escaped(&shown, found);
    return fault(rc, "C2SP tlog-checkpoint: expected %s, found \"%.*s\"", expected,
                 BYTES_FMT(buf_bytes(&shown)));
}

/* text_read_base64() skips spaces; exactly 44 characters leave no room for any. */
static enum rc read_hash(struct bytes text, const char *what, uint8_t *hash)
{
    AUTO_BUF(octets, HASH);
    struct bytes got;

    if (text.len != HASH_TEXT || text_read_base64(text, &octets) != RC_OK ||
        buf_done(&octets, &got) != RC_OK || got.len != HASH)
        return refuse(RC_MALFORMED, what, text);
    memcpy(hash, got.at, HASH);
    return RC_OK;
}

static enum rc read_journal(struct bytes line, struct keys_finding *finding)
{
    static const char EXPECTED[] = "\"journal <sequence> <base64 of 32 octets>\"";
    struct reader r = READER(line);
    struct bytes sequence = { line.at, 0 };

    if (!bytes_start_with(line, BYTES("journal ")))
        return refuse(RC_MALFORMED, EXPECTED, line);
    reader_take(&r, sizeof "journal " - 1);
    sequence.at = r.left.at;
    while (r.left.len > 0 && reader_u8(&r) != ' ')
        sequence.len++;
    if (text_read_u64(sequence, INT64_MAX, &finding->journal_sequence) != RC_OK)
        return refuse(RC_MALFORMED, EXPECTED, line);
    return read_hash(r.left, EXPECTED, finding->journal_hash);
}

static enum rc read_text(const struct keys_rule *rule, struct bytes text,
                         struct keys_finding *finding)
{
    struct reader r = READER(text);
    struct bytes origin = take_line(&r), size = take_line(&r), root = take_line(&r);
    struct bytes journal = take_line(&r);

    if (r.broken)
        return fault(RC_MALFORMED,
                     "C2SP tlog-checkpoint: expected four lines (origin, size, root, journal), "
                     "the text is cut short");
    if (!reader_done(&r))
        return refuse(RC_MALFORMED, "nothing after the fourth line", r.left);
    if (!bytes_equal_text(origin, rule->origin))
        return refuse(RC_DENIED, rule->origin, origin);
    if (text_read_u64(size, INT64_MAX, &finding->memory.tree_size) != RC_OK)
        return refuse(RC_MALFORMED, "a decimal tree size", size);
    TRY(read_hash(root, "a root hash, base64 of 32 octets", finding->memory.tree_root.at));
    return read_journal(journal, finding);
}

static enum rc check_tree(const struct keys_memory *before, const struct keys_memory *after,
                          const struct keys_question *question)
{
    struct proof_hash root = before->tree_size > 0 ? before->tree_root : journal_proof_empty();

    if (after->tree_size < before->tree_size)
        return fault(RC_DENIED, "C2SP tlog-checkpoint: tree size %llu, expected %llu or more",
                     (unsigned long long)after->tree_size,
                     (unsigned long long)before->tree_size);
    if (question->proof_count > PROOF_NODES_MAX)
        return fault(RC_DENIED, "RFC 9162 2.1.4: a proof of %zu nodes, expected %d at most",
                     question->proof_count, PROOF_NODES_MAX);
    return journal_proof_check_consistency(before->tree_size, &root, after->tree_size,
                                           &after->tree_root, question->proof,
                                           question->proof_count);
}

enum rc keys_check_checkpoint(const struct keys_rule *rule,
                              const struct keys_question *question,
                              const struct keys_memory *memory, struct keys_finding *finding)
{
    struct keys_finding made = *finding;

    TRY(read_text(rule, question->to_be_signed, &made));
    TRY(check_tree(memory, &made.memory, question));
    *finding = made;
    return RC_OK;
}
