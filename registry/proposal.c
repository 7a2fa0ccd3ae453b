#include "registry/proposal.h"

#include <string.h>

#include "registry/field.h"

static const struct registry_act_row ACTS[] = {
    { REGISTRY_ACT_POLICY, "policy", "policy", REGISTRY_ASK_POLICY_APPLY },
    { REGISTRY_ACT_REVOCATION, "revocation", "revocation", REGISTRY_ASK_DEVICE_REVOKE_MANY },
    { REGISTRY_ACT_ERASURE, "erasure", "retention", REGISTRY_ASK_AUDIT_ERASE },
    { REGISTRY_ACT_RELEASE, "release", "retention", REGISTRY_ASK_AUDIT_HOLD },
};
enum { ACTS_COUNT = sizeof ACTS / sizeof *ACTS };

const struct registry_act_row *registry_act_list(size_t *count)
{
    *count = ACTS_COUNT;
    return ACTS;
}

const struct registry_act_row *registry_act_of(enum registry_ask ask)
{
    for (size_t i = 0; i < ACTS_COUNT; i++)
        if (ACTS[i].ask == ask)
            return &ACTS[i];
    return NULL;
}

const struct registry_act_row *registry_act_get(unsigned act)
{
    for (size_t i = 0; i < ACTS_COUNT; i++)
        if (ACTS[i].act == act)
            return &ACTS[i];
    return NULL;
}

/* ---- Sets of them ---- */

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && text.at[0] == ' ')
        text = (struct bytes){ text.at + 1, text.len - 1 };
    while (text.len > 0 && text.at[text.len - 1] == ' ')
        text.len--;
    return text;
}

/* Does a row above it have the same setting? */
static bool is_again(const struct registry_act_row *row)
{
    return row != ACTS && strcmp(row->setting, row[-1].setting) == 0;
}

static enum rc refuse_name(void)
{
    AUTO_BUF(all, 256);
    const char *known = "";

    for (size_t i = 0; i < ACTS_COUNT; i++)
        if (!is_again(&ACTS[i]))
            buf_addf(&all, "%s%s", i == 0 ? "" : ", ", ACTS[i].setting);
    TRY(buf_text(&all, &known));
    return fault(RC_MALFORMED, "the acts that can need two administrators are %s", known);
}

static enum rc add_acts(struct bytes name, uint32_t *acts)
{
    uint32_t named = 0;

    for (size_t i = 0; i < ACTS_COUNT; i++)
        if (bytes_equal_text(name, ACTS[i].setting))
            named |= UINT32_C(1) << ACTS[i].act;
    if (named == 0)
        return refuse_name();
    if ((*acts & named) != 0)
        return fault(RC_MALFORMED, "%.*s stands twice", BYTES_FMT(name));
    *acts |= named;
    return RC_OK;
}

enum rc registry_acts_read(struct bytes names, uint32_t *acts)
{
    uint32_t read = 0;
    struct bytes left = trim(names);

    while (left.len > 0) {
        const uint8_t *comma = memchr(left.at, ',', left.len);
        size_t len = comma == NULL ? left.len : (size_t)(comma - left.at);
        TRY(add_acts(trim((struct bytes){ left.at, len }), &read));
        if (comma == NULL)
            break;
        left = (struct bytes){ comma + 1, left.len - len - 1 };
        if (left.len == 0)
            return fault(RC_MALFORMED, "a comma, and nothing behind it");
    }
    *acts = read;
    return RC_OK;
}

void registry_acts_say(uint32_t acts, struct buf *out)
{
    const char *between = "";

    for (size_t i = 0; i < ACTS_COUNT; i++) {
        if ((acts & UINT32_C(1) << ACTS[i].act) == 0 || is_again(&ACTS[i]))
            continue;
        buf_addf(out, "%s%s", between, ACTS[i].setting);
        between = ",";
    }
    if (acts == 0)
        buf_addf(out, "none");
}

/* ---- One proposal ---- */

const char *registry_proposal_state_name(enum registry_proposal_state state)
{
    static const char *const NAMES[] = { "unknown",  "open",      "approved",
                                         "rejected", "withdrawn", "expired" };

    return state <= REGISTRY_PROPOSAL_EXPIRED ? NAMES[state] : NAMES[0];
}

#define AT(member) offsetof(struct registry_proposal, member)
static const struct registry_field FORM[] = {
    { "number", REGISTRY_FIELD_U64, AT(number), 0 },
    { "act", REGISTRY_FIELD_CHOICE, AT(act), REGISTRY_ACT_LAST },
    { "state", REGISTRY_FIELD_CHOICE, AT(state), REGISTRY_PROPOSAL_EXPIRED },
    { "base", REGISTRY_FIELD_U64, AT(base), 0 },
    { "hash", REGISTRY_FIELD_OCTETS, AT(hash), 32 },
    { "author", REGISTRY_FIELD_ID, AT(author), 0 },
    { "shown", REGISTRY_FIELD_OCTETS, AT(shown), REGISTRY_FINGERPRINT },
    { "why", REGISTRY_FIELD_TEXT, AT(why), REGISTRY_LABEL_MAX },
    { "made", REGISTRY_FIELD_U64, AT(made_ms), 0 },
    { "expires", REGISTRY_FIELD_U64, AT(expires_ms), 0 },
    { "decider", REGISTRY_FIELD_ID, AT(decider), 0 },
    { "decider shown", REGISTRY_FIELD_OCTETS, AT(decider_shown), REGISTRY_FINGERPRINT },
    { "decided why", REGISTRY_FIELD_TEXT, AT(decided_why), REGISTRY_LABEL_MAX },
    { "decided", REGISTRY_FIELD_U64, AT(decided_ms), 0 },
};

void registry_proposal_write(const struct registry_proposal *proposal, struct buf *out)
{
    registry_fields_write((struct registry_fields)REGISTRY_FIELDS(FORM), proposal, out);
}

enum rc registry_proposal_read(struct bytes from, struct registry_proposal *proposal)
{
    struct registry_proposal read = { 0 };
    struct reader r = READER(from);

    TRY(registry_fields_read((struct registry_fields)REGISTRY_FIELDS(FORM), &r, &read));
    if (!reader_done(&r) || read.number == 0 || registry_act_get(read.act) == NULL ||
        read.state < REGISTRY_PROPOSAL_OPEN || read.author[0] == '\0')
        return fault(RC_MALFORMED, "a proposal's form: cut short, or a tail, or a value of it");
    *proposal = read;
    return RC_OK;
}
