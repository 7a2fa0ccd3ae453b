#include "tests/unit/audit/logs.h"

static const uint8_t HASH[AUDIT_HASH] = { 9 };

static struct audit_record full(void)
{
    const struct audit_certificate certificate = { BYTES_OF(HASH), BYTES("\x01\x02"),
                                                   BYTES_OF(HASH), BYTES_OF(HASH) };

    return (struct audit_record){
        .action = AUDIT_SESSION_OPEN,
        .decision = AUDIT_DENIED,
        .wall_ms = 1795348800123,
        .monotonic_ms = 5,
        .correlation = { 1, 2, 3 },
        .source = AUDIT_FROM_DEVICE_DOOR,
        .source_sequence = 77,
        .actor_kind = AUDIT_DEVICE,
        .actor = BYTES("dev-1"),
        .actor_certificate = certificate,
        .device = BYTES("dev-2"),
        .certificate = certificate,
        .target = BYTES("plant/\xc3\xa9"),
        .peer = BYTES("192.0.2.1:5"),
        .tls = BYTES("TLSv1.3"),
        .reason = BYTES("no rule"),
        .policy_version = 3,
        .rule = 9,
        .aggregate = { 5, 1, 2, 4, true },
    };
}

static struct bytes written(const struct audit_record *record, struct buf *buf)
{
    assert_int_equal(audit_record_write(record, buf), RC_OK);
    assert_false(buf->broken);
    return buf_bytes(buf);
}

static void reads_back_what_it_wrote(void **state)
{
    (void)state;
    uint64_t dice = 1;

    for (size_t i = 0; i < 3000; i++) {
        AUTO_BUF(first, AUDIT_RECORD_MAX);
        AUTO_BUF(second, AUDIT_RECORD_MAX);
        struct audit_record record = i == 0 ? full() : logs_record(&dice), back;
        struct bytes bytes = written(&record, &first);
        assert_int_equal(audit_record_read(bytes, &back), RC_OK);
        assert_true(bytes_equal(bytes, written(&back, &second)));
        assert_int_equal(back.action, record.action);
        assert_true(bytes_equal(back.target, record.target));
        assert_true(bytes_equal(back.certificate.fingerprint, record.certificate.fingerprint));
        assert_int_equal(back.aggregate.count, record.aggregate.count);
    }
}

static void refuses_every_truncation(void **state)
{
    (void)state;
    AUTO_BUF(buf, AUDIT_RECORD_MAX);
    struct audit_record record = full(), back;
    struct bytes whole = written(&record, &buf);
    size_t boundaries = 0;

    /* Cut between two fields it is a shorter record; the log's length and commitment tell. */
    for (size_t len = 0; len < whole.len; len++) {
        AUTO_BUF(again, AUDIT_RECORD_MAX);
        struct bytes cut = { whole.at, len };
        if (audit_record_read(cut, &back) != RC_OK)
            continue;
        boundaries++;
        assert_true(bytes_equal(cut, written(&back, &again)));
    }
    assert_int_equal(boundaries, 16);
}

static void reads_nothing_that_it_would_not_write(void **state)
{
    (void)state;
    AUTO_BUF(buf, AUDIT_RECORD_MAX);
    struct audit_record record = full(), back;
    struct bytes whole = written(&record, &buf);

    for (size_t bit = 0; bit < whole.len * 8; bit++) {
        AUTO_BUF(again, AUDIT_RECORD_MAX);
        buf.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (audit_record_read(buf_bytes(&buf), &back) == RC_OK)
            assert_true(bytes_equal(buf_bytes(&buf), written(&back, &again)));
        buf.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static struct audit_record with_target(struct bytes target)
{
    struct audit_record record = full();

    record.target = target;
    return record;
}

static struct audit_record with_certificate(enum audit_action action)
{
    struct audit_record record = full();

    record.action = action;
    return record;
}

static struct audit_record with_actor(enum audit_actor_kind kind, struct bytes id)
{
    struct audit_record record = full();

    record.actor_kind = kind;
    record.actor = id;
    return record;
}

static void refuses_what_no_record_can_have(void **state)
{
    (void)state;
    static uint8_t long_text[AUDIT_TARGET_MAX + 1];
    for (size_t i = 0; i < sizeof long_text; i++)
        long_text[i] = 'a';
    const struct {
        const char *claim;
        struct audit_record record;
        enum rc rc;
    } rows[] = {
        { "longest target", with_target((struct bytes){ long_text, AUDIT_TARGET_MAX }), RC_OK },
        { "one more", with_target(BYTES_OF(long_text)), RC_MALFORMED },
        { "control character", with_target(BYTES("a\nb")), RC_MALFORMED },
        { "no UTF-8", with_target(BYTES("a\xff")), RC_MALFORMED },
        { "a publish has no certificate", with_certificate(AUDIT_PUBLISH), RC_MALFORMED },
        { "no such action", with_certificate((enum audit_action)9), RC_MALFORMED },
        { "longest id", with_actor(AUDIT_LINE, (struct bytes){ long_text, 64 }), RC_OK },
        { "one more", with_actor(AUDIT_LINE, (struct bytes){ long_text, 65 }), RC_MALFORMED },
        { "nobody has no id", with_actor(AUDIT_NOBODY, BYTES("x")), RC_MALFORMED },
        { "somebody has one", with_actor(AUDIT_DEVICE, BYTES("")), RC_MALFORMED },
        { "no such kind", with_actor((enum audit_actor_kind)5, BYTES("x")), RC_MALFORMED },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF(buf, AUDIT_RECORD_MAX);
        if (audit_record_write(&rows[i].record, &buf) != rows[i].rc)
            fail_msg("%s: %s", rows[i].claim, fault_text());
        assert_true(rows[i].rc == RC_OK || buf.len == 0);
    }
}

static void names_every_action_once(void **state)
{
    (void)state;
    size_t count;
    const struct audit_action_row *rows = audit_action_list(&count);

    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(audit_action_get(rows[i].action), &rows[i]);
        assert_ptr_equal(audit_action_by_name(bytes_of_text(rows[i].name)), &rows[i]);
        assert_true(i == 0 || rows[i].action > rows[i - 1].action);
    }
    assert_null(audit_action_get(0));
    assert_null(audit_action_by_name(BYTES("publis")));
}

static void commits_to_the_body_and_hides_it(void **state)
{
    (void)state;
    AUTO_OF(audit_hasher) *hasher = NULL;
    AUTO_BUF(buf, AUDIT_RECORD_MAX);
    AUTO_BUF(entry_bytes, AUDIT_ENTRY_MAX);
    AUTO_BUF(other_bytes, AUDIT_ENTRY_MAX);
    AUTO_BUF(room, AUDIT_RECORD_MAX);
    const uint8_t salt[AUDIT_SALT] = { 1 }, other_salt[AUDIT_SALT] = { 2 };
    struct audit_record record = full(), back;
    struct audit_entry entry, other, erased;

    assert_int_equal(audit_hasher_new(&hasher), RC_OK);
    struct bytes bytes = written(&record, &buf);
    audit_leaf_write(hasher, bytes, salt, &entry_bytes);
    audit_leaf_write(hasher, bytes, other_salt, &other_bytes);
    assert_int_equal(audit_leaf_read(buf_bytes(&entry_bytes), &entry), RC_OK);
    assert_int_equal(audit_leaf_read(buf_bytes(&other_bytes), &other), RC_OK);
    assert_false(bytes_equal(entry.commitment, other.commitment));
    assert_int_equal(audit_leaf_check(hasher, &entry), RC_OK);
    assert_int_equal(audit_leaf_record(&entry, &room, &back), RC_OK);
    assert_true(bytes_equal(back.reason, record.reason));
    for (size_t i = AUDIT_HEAD; i < entry_bytes.len; i++) {
        entry_bytes.at[i] ^= 0x10;
        assert_int_equal(audit_leaf_check(hasher, &entry), RC_DENIED);
        entry_bytes.at[i] ^= 0x10;
    }

    /* Erasing keeps the leaf's hash, when and which action, and nothing else. */
    assert_int_equal(audit_leaf_read(entry.leaf, &erased), RC_OK);
    assert_true(erased.erased);
    struct proof_hash before = audit_leaf_hash(hasher, &entry);
    struct proof_hash after = audit_leaf_hash(hasher, &erased);
    assert_true(bytes_equal(BYTES_OF(before.at), BYTES_OF(after.at)));
    assert_int_equal(audit_leaf_record(&erased, &room, &back), RC_OK);
    assert_int_equal(back.wall_ms, record.wall_ms);
    assert_int_equal(back.reason.len, 0);
    for (size_t len = 0; len < AUDIT_LEAF + AUDIT_SALT; len++)
        if (len != AUDIT_LEAF)
            assert_int_equal(audit_leaf_read((struct bytes){ entry.leaf.at, len }, &other),
                             RC_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_it_wrote),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(reads_nothing_that_it_would_not_write),
        cmocka_unit_test(refuses_what_no_record_can_have),
        cmocka_unit_test(names_every_action_once),
        cmocka_unit_test(commits_to_the_body_and_hides_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
