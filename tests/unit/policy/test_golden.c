/*
 * The cases of tests/golden/policy/ and the examples of docs/policy-language.md, judged by the
 * engine; what is not as written is told by file and line. tests/golden/policy/README.md says
 * how a case is written.
 */
#include "tests/support/check.h"
#include "tests/support/policy_words.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "policy/policy.h"

enum {
    FILE_MAX = 1 << 20,
    TEXT_MAX = 1 << 18,
    CASES_MIN = 1250,
    TEXTS = POLICY_GROUPS_MAX,
    WHY_MAX = 4096
};

enum fence { OUTSIDE, IN_POLICY, IN_CASES, IN_GRAMMAR };

struct golden {
    const char *name;
    struct bytes left;
    unsigned line;
    bool document; /* policies and cases are fenced blocks, the rest is prose */
    enum fence fence;

    struct buf text; /* of the policy */
    bool compiled, judged;
    struct policy *policy;
    struct policy_errors errors;
    enum rc rc;
    size_t errors_met;

    struct buf id, groups[POLICY_GROUPS_MAX], texts[TEXTS]; /* that facts borrow */
    size_t text_count;
    struct bytes group_list[POLICY_GROUPS_MAX];
    struct policy_facts facts;
    struct policy_session session;
    bool bound;
    struct bytes target_groups[POLICY_GROUPS_MAX]; /* of who is revoked */
    size_t target_group_count;

    size_t cases;
};

#define MUST(g, holds, ...)                                                                    \
    do {                                                                                       \
        if (!(holds)) {                                                                        \
            print_error("%s:%u: ", (g)->name, (g)->line);                                      \
            fail_msg(__VA_ARGS__);                                                             \
        }                                                                                      \
    } while (0)

/* ---- How a case is written ---- */

static struct bytes cut(struct bytes *text, char end)
{
    const uint8_t *at = text->len > 0 ? memchr(text->at, end, text->len) : NULL;
    size_t len = at == NULL ? text->len : (size_t)(at - text->at);
    size_t used = len + (at != NULL);
    struct bytes first = { text->at, len };

    *text = (struct bytes){ text->at + used, text->len - used };
    return first;
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && text.at[0] == ' ')
        text = (struct bytes){ text.at + 1, text.len - 1 };
    return text;
}

static bool take(struct bytes *text, const char *word)
{
    size_t len = strlen(word);

    if (!bytes_start_with(*text, bytes_of_text(word)) ||
        (text->len > len && text->at[len] != ' '))
        return false;
    *text = trim((struct bytes){ text->at + len, text->len - len });
    return true;
}

static unsigned take_number(struct golden *g, struct bytes *text)
{
    size_t len = 0;
    uint64_t value = 0;

    while (len < text->len && text->at[len] >= '0' && text->at[len] <= '9')
        len++;
    MUST(g, text_read_u64((struct bytes){ text->at, len }, 1000000, &value) == RC_OK,
         "expected a number");
    *text = (struct bytes){ text->at + len, text->len - len };
    return (unsigned)value;
}

/* \xHH is a byte, \\ a backslash, \{N*TEXT} a text N times. */
static void add_escape(struct golden *g, struct bytes *text, struct buf *out)
{
    switch (text->len > 1 ? text->at[1] : 0) {
    case '\\':
        buf_addf(out, "\\");
        *text = (struct bytes){ text->at + 2, text->len - 2 };
        break;
    case 'x':
        MUST(g,
             text->len >= 4 && text_read_hex((struct bytes){ text->at + 2, 2 }, out) == RC_OK,
             "\\x and two digits");
        *text = (struct bytes){ text->at + 4, text->len - 4 };
        break;
    case '{':
        *text = (struct bytes){ text->at + 2, text->len - 2 };
        unsigned times = take_number(g, text);
        struct bytes body = cut(text, '}');
        MUST(g, body.len > 0 && body.at[0] == '*', "\\{N*TEXT}");
        while (times-- > 0)
            buf_add(out, (struct bytes){ body.at + 1, body.len - 1 });
        break;
    default:
        MUST(g, false, "\\ and neither x, { nor \\");
    }
}

static void add_unescaped(struct golden *g, struct bytes text, struct buf *out)
{
    while (text.len > 0) {
        if (text.at[0] == '\\') {
            add_escape(g, &text, out);
            continue;
        }
        buf_add_u8(out, text.at[0]);
        text = (struct bytes){ text.at + 1, text.len - 1 };
    }
}

/* What stands between quotes; escapes are read afterwards, so \x22 is a quote. */
static void take_quoted(struct golden *g, struct bytes *text, struct buf *out)
{
    struct bytes ignored = { NULL, 0 };

    MUST(g, text->len > 0 && text->at[0] == '"', "expected a text in quotes");
    *text = (struct bytes){ text->at + 1, text->len - 1 };
    MUST(g, memchr(text->at, '"', text->len) != NULL, "a quote is open");
    buf_reset(out);
    add_unescaped(g, cut(text, '"'), out);
    MUST(g, buf_done(out, &ignored) == RC_OK, "too long");
    *text = trim(*text);
}

/* ---- One policy after the other ---- */

static void end_policy(struct golden *g)
{
    MUST(g, g->text.len == 0 || g->judged, "no case follows the policy above");
    MUST(g, g->errors_met == g->errors.count, "the policy above has more errors: %u:%u %s",
         g->errors.at[g->errors_met].line, g->errors.at[g->errors_met].column,
         g->errors.at[g->errors_met].text);
    policy_unref(TAKE(g->policy));
    g->facts.groups = NULL;
    buf_reset(&g->text);
    g->compiled = g->judged = g->bound = false;
    g->errors.count = g->errors_met = 0;
}

static void add_policy_line(struct golden *g, struct bytes line)
{
    if (g->compiled)
        end_policy(g);
    add_unescaped(g, line, &g->text);
    buf_addf(&g->text, "\n");
}

static void compile(struct golden *g)
{
    if (g->compiled)
        return;
    g->rc = policy_compile(buf_bytes(&g->text), 7, &g->errors, &g->policy);
    g->compiled = true;
}

/* "FILE:LINE" or "LINE". */
static unsigned take_place(struct golden *g, struct bytes *text, struct bytes *file)
{
    size_t len = 0;

    *file = (struct bytes){ text->at, 0 };
    if (text->len > 0 && (text->at[0] < '0' || text->at[0] > '9')) {
        *file = cut(text, ':');
        MUST(g, text->len > 0, "FILE:LINE");
    }
    while (len < text->len && text->at[len] != ' ' && text->at[len] != ':')
        len++;
    return take_number(g, text);
}

static void check_error(struct golden *g, struct bytes line)
{
    struct bytes file;
    unsigned at = take_place(g, &line, &file);
    MUST(g, line.len > 0 && line.at[0] == ':', "error [FILE:]LINE:COLUMN MESSAGE");
    line = (struct bytes){ line.at + 1, line.len - 1 };
    unsigned column = take_number(g, &line);

    MUST(g, g->errors_met < g->errors.count, "there is no such error");
    const struct policy_error *error = &g->errors.at[g->errors_met++];
    MUST(g,
         error->line == at && error->column == column && bytes_equal_text(file, error->file) &&
             bytes_equal_text(trim(line), error->text),
         "the error is %s:%u:%u %s", error->file, error->line, error->column, error->text);
    MUST(g, g->rc == RC_MALFORMED, "a policy with errors was compiled");
    g->cases++;
}

/* "refused MESSAGE", or nothing. */
static void check_bound(struct golden *g, struct bytes line)
{
    enum rc rc = policy_bind(g->policy, &g->facts, &g->session);

    g->bound = rc == RC_OK;
    if (take(&line, "refused")) {
        MUST(g, rc == RC_DENIED && bytes_equal_text(line, fault_text()), "refused %s",
             rc == RC_OK ? "by nobody" : fault_text());
        g->cases++;
        return;
    }
    MUST(g, g->bound, "refused %s", fault_text());
    MUST(g, line.len == 0, "behind who asks");
}

static void bind(struct golden *g, enum policy_asker asker, struct bytes line)
{
    struct policy_facts *facts = &g->facts;
    struct bytes *const NAMES[] = { &facts->device_id, &facts->operator_id, &facts->line_id,
                                    &facts->sink_name };

    MUST(g, g->rc == RC_OK, "the policy has errors: %u:%u %s", g->errors.at[0].line,
         g->errors.at[0].column, g->errors.at[0].text);
    *facts = (struct policy_facts){ .asker = asker, .groups = g->group_list };
    g->text_count = 0;
    take_quoted(g, &line, &g->id);
    *NAMES[asker] = buf_bytes(&g->id);
    while (line.len > 0 && line.at[0] == '"') {
        MUST(g, facts->group_count < POLICY_GROUPS_MAX, "too many groups");
        take_quoted(g, &line, &g->groups[facts->group_count]);
        g->group_list[facts->group_count] = buf_bytes(&g->groups[facts->group_count]);
        facts->group_count++;
    }
    check_bound(g, line);
}

/* knows FACT "TEXT" */
static void learn(struct golden *g, struct bytes line)
{
    struct bytes name = cut(&line, ' ');
    struct buf *text = &g->texts[g->text_count++];

    MUST(g, g->facts.groups != NULL && g->text_count < TEXTS, "nobody asks, or knows too much");
    line = trim(line);
    take_quoted(g, &line, text);
    MUST(g, policy_words_know(&g->facts, name, buf_bytes(text)), "no such fact, or no time");
    check_bound(g, line);
}

/* in "GROUP", size N, qos N, kept, fresh, at "TIME", type "TEXT" */
static bool take_request(struct golden *g, struct bytes *line, struct policy_request *request,
                         struct buf *type)
{
    AUTO_BUF(time, 64);

    if (take(line, "size")) {
        request->known |= POLICY_KNOWS_SIZE;
        request->size = take_number(g, line);
    } else if (take(line, "qos")) {
        request->known |= POLICY_KNOWS_QOS;
        request->qos = take_number(g, line);
    } else if (take(line, "at")) {
        request->known |= POLICY_KNOWS_NOW;
        take_quoted(g, line, &time);
        MUST(g, clock_read_rfc3339(buf_bytes(&time), &request->now_ms) == RC_OK, "no time");
    } else if (take(line, "type")) {
        take_quoted(g, line, type);
        request->content_type = buf_bytes(type);
    } else if (take(line, "in")) {
        size_t which = g->facts.group_count + g->target_group_count;
        MUST(g, which < POLICY_GROUPS_MAX, "too many groups");
        struct buf *group = &g->groups[which];
        take_quoted(g, line, group);
        g->target_groups[g->target_group_count++] = buf_bytes(group);
    } else if (take(line, "kept") || bytes_start_with(*line, BYTES("fresh "))) {
        request->known |= POLICY_KNOWS_RETAIN;
        request->retain = !take(line, "fresh");
    } else {
        return false;
    }
    *line = trim(*line);
    return true;
}

static void check_resource(struct golden *g, enum policy_action action, struct bytes resource)
{
    enum rc rc = action == POLICY_CONNECT     ? RC_OK
                 : action == POLICY_SUBSCRIBE ? policy_topic_check_filter(resource)
                                              : policy_topic_check_name(resource);

    MUST(g, rc == RC_OK, "%s", fault_text());
}

/* "allow LINE", "deny LINE", "large LINE", "none": as the decision's explanation begins. */
static void take_wanted(struct golden *g, struct bytes *line, struct buf *want)
{
    struct bytes file = { NULL, 0 };
    const char *verb = take(line, "allow") ? "allowed" : "denied";

    if (take(line, "none")) {
        buf_addf(want, "no rule of version 7 allows it");
        return;
    }
    MUST(g, verb[0] == 'a' || take(line, "deny"), "neither allow, deny nor none");
    unsigned at = take_place(g, line, &file);
    buf_addf(want, "%s by line %u", verb, at);
    if (file.len > 0)
        buf_addf(want, " of \"%.*s\"", BYTES_FMT(file));
    buf_addf(want, " of version 7");
    *line = trim(*line);
}

/* Behind a colon: what is obliged, or why not; obligations cannot be left out. */
static void check_reason(struct golden *g, const struct policy_decision *decision,
                         const struct policy_request *request, struct bytes line)
{
    AUTO_BUF(got, WHY_MAX);
    AUTO_BUF(want, WHY_MAX);
    const char *text = "";

    if (line.len > 0) {
        MUST(g, line.at[0] == ':', "behind the decision");
        add_unescaped(g, trim((struct bytes){ line.at + 1, line.len - 1 }), &want);
    }
    if (decision->too_large)
        buf_addf(&got, "too large");
    else if (decision->allowed || decision->obligations.log_full)
        policy_words_oblige(decision, &got);
    else if (line.len > 0)
        policy_explain_denial(&g->session, request, &got);
    MUST(g, buf_text(&got, &text) == RC_OK, "no reason");
    MUST(g, bytes_equal(buf_bytes(&got), buf_bytes(&want)), "the reason is: %s", text);
}

static void check_decision(struct golden *g, enum policy_action action, struct bytes line)
{
    AUTO_BUF(topic, POLICY_TOPIC_MAX + 1);
    AUTO_BUF(type, 1024);
    AUTO_BUF(got, WHY_MAX);
    AUTO_BUF(want, WHY_MAX);
    struct policy_request request = { .action = action };
    const char *text = "";

    MUST(g, g->bound, "no device asks");
    if (action != POLICY_CONNECT)
        take_quoted(g, &line, &topic);
    request.resource = buf_bytes(&topic);
    check_resource(g, action, request.resource);
    g->target_group_count = 0;
    while (take_request(g, &line, &request, &type))
        continue;
    if (action == POLICY_REVOKE) { /* as the authority knows it */
        request.known |= POLICY_KNOWS_TARGET;
        request.target_groups = g->target_groups;
        request.target_group_count = g->target_group_count;
    }
    struct policy_decision decision = policy_decide_request(&g->session, &request);
    policy_explain(&decision, &got);
    MUST(g, buf_text(&got, &text) == RC_OK, "no explanation");
    take_wanted(g, &line, &want);
    MUST(g,
         decision.too_large ? bytes_start_with(buf_bytes(&got), buf_bytes(&want))
                            : bytes_equal(buf_bytes(&got), buf_bytes(&want)),
         "%s", text);
    MUST(g, decision.allowed == bytes_start_with(buf_bytes(&got), BYTES("allowed")),
         "the explanation is not the decision");
    check_reason(g, &decision, &request, line);
    g->cases++;
}

static const char *const ASKERS[] = { [POLICY_BY_DEVICE] = "device",
                                      [POLICY_BY_OPERATOR] = "operator",
                                      [POLICY_BY_LINE] = "line",
                                      [POLICY_BY_SINK] = "sink" };

static void check_case(struct golden *g, struct bytes line)
{
    compile(g);
    g->judged = true;
    if (take(&line, "error")) {
        check_error(g, line);
        return;
    }
    for (enum policy_asker asker = POLICY_BY_DEVICE; asker <= POLICY_BY_SINK; asker++)
        if (take(&line, ASKERS[asker])) {
            bind(g, asker, line);
            return;
        }
    if (bytes_equal_text(line, "loads")) {
        MUST(g, g->rc == RC_OK, "%s", fault_text());
        g->cases++;
        return;
    }
    if (take(&line, "knows")) {
        learn(g, line);
        return;
    }
    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++)
        if (take(&line, policy_action_name(action))) {
            check_decision(g, action, line);
            return;
        }
    MUST(g, false, "neither error, who asks, what is known nor an action");
}

static void read_golden_line(struct golden *g, struct bytes line)
{
    struct bytes inner = trim(line);

    if (bytes_start_with(line, BYTES("| ")))
        add_policy_line(g, (struct bytes){ line.at + 2, line.len - 2 });
    else if (bytes_equal_text(line, "|"))
        add_policy_line(g, (struct bytes){ NULL, 0 });
    else if (bytes_equal_text(line, "policy")) /* the next one, though it be empty */
        end_policy(g);
    else if (inner.len > 0 && inner.at[0] != '#')
        check_case(g, inner);
}

/* Every block is one that is tried, or the grammar. */
static void read_document_line(struct golden *g, struct bytes line)
{
    static const char *const FENCES[] = {
        [IN_POLICY] = "```policy", [IN_CASES] = "```decisions", [IN_GRAMMAR] = "```abnf"
    };

    if (bytes_start_with(line, BYTES("```")) && g->fence != OUTSIDE) {
        g->fence = OUTSIDE;
    } else if (bytes_start_with(line, BYTES("```"))) {
        for (enum fence fence = IN_POLICY; fence <= IN_GRAMMAR; fence++)
            if (bytes_equal_text(line, FENCES[fence]))
                g->fence = fence;
        MUST(g, g->fence != OUTSIDE, "a block that nobody tries");
        if (g->fence == IN_POLICY)
            end_policy(g);
    } else if (g->fence == IN_POLICY) {
        add_policy_line(g, line);
    } else if (g->fence == IN_CASES && trim(line).len > 0) {
        check_case(g, trim(line));
    }
}

static size_t run(const char *folder, const char *name, bool document)
{
    AUTO_BUF(path, 4096);
    AUTO_BUF(content, FILE_MAX);
    const char *at = "";
    struct golden g = {
        .name = name, .document = document, .text = BUF_MAX(TEXT_MAX), .id = BUF_MAX(1024)
    };

    for (size_t i = 0; i < POLICY_GROUPS_MAX; i++)
        g.groups[i] = g.texts[i] = BUF_MAX(1024);
    buf_addf(&path, "%s/%s", folder, name);
    assert_int_equal(buf_text(&path, &at), RC_OK);
    MUST(&g, file_read(AT_FDCWD, at, &content) == RC_OK, "%s", fault_text());
    for (g.left = buf_bytes(&content); g.left.len > 0;) {
        struct bytes line = cut(&g.left, '\n');
        g.line++;
        if (document)
            read_document_line(&g, line);
        else
            read_golden_line(&g, line);
    }
    end_policy(&g);
    buf_clear(&g.text);
    buf_clear(&g.id);
    for (size_t i = 0; i < POLICY_GROUPS_MAX; i++) {
        buf_clear(&g.groups[i]);
        buf_clear(&g.texts[i]);
    }
    return g.cases;
}

static const char *folder_of(struct buf *room, const char *name)
{
    const char *source = getenv("TOUCHMARK_SOURCE"), *text = NULL;

    assert_non_null(source);
    buf_addf(room, "%s/%s", source, name);
    assert_int_equal(buf_text(room, &text), RC_OK);
    return text;
}

static void decides_as_the_golden_files_say(void **state)
{
    AUTO_BUF(room, 4096);
    const char *folder = folder_of(&room, "tests/golden/policy");
    struct dirent **names = NULL;
    size_t cases = 0;

    (void)state;
    int count = scandir(folder, &names, NULL, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        size_t len = strlen(names[i]->d_name);
        if (len > 4 && bytes_equal_text(bytes_of_text(names[i]->d_name + len - 4), ".txt"))
            cases += run(folder, names[i]->d_name, false);
        free(names[i]);
    }
    free(names);
    print_message("%zu cases\n", cases);
    assert_true(cases >= CASES_MIN);
}

static void decides_as_the_examples_of_the_document_say(void **state)
{
    AUTO_BUF(room, 4096);

    (void)state;
    size_t cases = run(folder_of(&room, "docs"), "policy-language.md", true);
    print_message("%zu cases\n", cases);
    assert_true(cases > 0);
}

/* Its table of facts is that of the engine. */
static void document_has_every_fact(void **state)
{
    AUTO_BUF(room, 4096);
    AUTO_BUF(content, FILE_MAX);
    AUTO_BUF(row, 4096);

    (void)state;
    assert_int_equal(file_read(AT_FDCWD, folder_of(&room, "docs/policy-language.md"), &content),
                     RC_OK);
    for (enum policy_fact fact = 0; fact < POLICY_FACTS; fact++) {
        const struct policy_fact_row *is = policy_fact_get(fact);
        static const char *const SCOPES[] = { "session", "message", "clock" };
        buf_reset(&row);
        buf_addf(&row, "\n| `%s` | %s | %s%s | %s | %s |\n", is->name,
                 policy_type_name(is->type), SCOPES[is->scope],
                 is->claimed ? ", client's word" : "", is->in_topic ? "yes" : "", is->meaning);
        if (memmem(content.at, content.len, row.at, row.len) == NULL)
            fail_msg("docs/policy-language.md has no row for %s", is->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides_as_the_golden_files_say),
        cmocka_unit_test(decides_as_the_examples_of_the_document_say),
        cmocka_unit_test(document_has_every_fact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
