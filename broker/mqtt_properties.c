#include "broker/mqtt_properties.h"

#include <assert.h>

#include "base/text.h"

enum kind { ABSENT, BYTE, TWO_BYTES, FOUR_BYTES, VARINT, BINARY, STRING, PAIR };

#define IN(type) (1U << MQTT_##type)

enum {
    IN_PUBLICATION = IN(PUBLISH) | 1U << MQTT_IN_WILL,
    IN_ANSWERS = IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP) | IN(SUBACK) | IN(UNSUBACK),
    IN_ENDS = IN(CONNACK) | IN(DISCONNECT),
    IN_EVERY = 0xffff,
    ANY = 0, /* no bound beyond the type's own */
};

struct property_row {
    enum kind kind;
    bool repeats;
    unsigned in;        /* bit n: packet type n; bit 0: the will */
    uint32_t low, most; /* of a number */
    const char *name;
};

/* Section 2.2.2.2, table 2-4; bounds from the property's own section. */
static const struct property_row ROWS[] = {
    [MQTT_PAYLOAD_FORMAT] = { BYTE, 0, IN_PUBLICATION, 0, 1, "payload format indicator" },
    [MQTT_MESSAGE_EXPIRY] = { FOUR_BYTES, 0, IN_PUBLICATION, 0, ANY,
                              "message expiry interval" },
    [MQTT_CONTENT_TYPE] = { STRING, 0, IN_PUBLICATION, 0, ANY, "content type" },
    [MQTT_RESPONSE_TOPIC] = { STRING, 0, IN_PUBLICATION, 0, ANY, "response topic" },
    [MQTT_CORRELATION_DATA] = { BINARY, 0, IN_PUBLICATION, 0, ANY, "correlation data" },
    /* Repeats in a server's PUBLISH (3.3.2.3.8), not in SUBSCRIBE (3.8.2.1.2). */
    [MQTT_SUBSCRIPTION_ID] = { VARINT, 1, IN(PUBLISH) | IN(SUBSCRIBE), 1, MQTT_REMAINING_MAX,
                               "subscription identifier" },
    [MQTT_SESSION_EXPIRY] = { FOUR_BYTES, 0, IN(CONNECT) | IN_ENDS, 0, ANY,
                              "session expiry interval" },
    [MQTT_ASSIGNED_CLIENT_ID] = { STRING, 0, IN(CONNACK), 0, ANY,
                                  "assigned client identifier" },
    [MQTT_SERVER_KEEP_ALIVE] = { TWO_BYTES, 0, IN(CONNACK), 0, ANY, "server keep alive" },
    [MQTT_AUTHENTICATION_METHOD] = { STRING, 0, IN(CONNECT) | IN(CONNACK) | IN(AUTH), 0, ANY,
                                     "authentication method" },
    [MQTT_AUTHENTICATION_DATA] = { BINARY, 0, IN(CONNECT) | IN(CONNACK) | IN(AUTH), 0, ANY,
                                   "authentication data" },
    [MQTT_REQUEST_PROBLEM_INFORMATION] = { BYTE, 0, IN(CONNECT), 0, 1,
                                           "request problem information" },
    [MQTT_WILL_DELAY] = { FOUR_BYTES, 0, 1U << MQTT_IN_WILL, 0, ANY, "will delay interval" },
    [MQTT_REQUEST_RESPONSE_INFORMATION] = { BYTE, 0, IN(CONNECT), 0, 1,
                                            "request response information" },
    [MQTT_RESPONSE_INFORMATION] = { STRING, 0, IN(CONNACK), 0, ANY, "response information" },
    [MQTT_SERVER_REFERENCE] = { STRING, 0, IN_ENDS, 0, ANY, "server reference" },
    [MQTT_REASON_STRING] = { STRING, 0, IN_ENDS | IN_ANSWERS | IN(AUTH), 0, ANY,
                             "reason string" },
    [MQTT_RECEIVE_MAXIMUM] = { TWO_BYTES, 0, IN(CONNECT) | IN(CONNACK), 1, UINT16_MAX,
                               "receive maximum" },
    [MQTT_TOPIC_ALIAS_MAXIMUM] = { TWO_BYTES, 0, IN(CONNECT) | IN(CONNACK), 0, ANY,
                                   "topic alias maximum" },
    /* Zero is refused with its own reason code where it is used (3.3.2.3.4). */
    [MQTT_TOPIC_ALIAS] = { TWO_BYTES, 0, IN(PUBLISH), 0, ANY, "topic alias" },
    [MQTT_MAXIMUM_QOS] = { BYTE, 0, IN(CONNACK), 0, 1, "maximum QoS" },
    [MQTT_RETAIN_AVAILABLE] = { BYTE, 0, IN(CONNACK), 0, 1, "retain available" },
    [MQTT_USER_PROPERTY] = { PAIR, 1, IN_EVERY, 0, ANY, "user property" },
    [MQTT_MAXIMUM_PACKET_SIZE] = { FOUR_BYTES, 0, IN(CONNECT) | IN(CONNACK), 1, UINT32_MAX,
                                   "maximum packet size" },
    [MQTT_WILDCARD_AVAILABLE] = { BYTE, 0, IN(CONNACK), 0, 1, "wildcards available" },
    [MQTT_SUBSCRIPTION_IDS_AVAILABLE] = { BYTE, 0, IN(CONNACK), 0, 1,
                                          "subscription identifiers available" },
    [MQTT_SHARED_AVAILABLE] = { BYTE, 0, IN(CONNACK), 0, 1, "shared subscriptions available" },
};

enum { ROW_COUNT = sizeof ROWS / sizeof *ROWS };

static const struct property_row *find_row(uint32_t id)
{
    return id < ROW_COUNT && ROWS[id].kind != ABSENT ? &ROWS[id] : NULL;
}

static void take_value(struct reader *r, enum kind kind, struct mqtt_value *value)
{
    switch (kind) {
    case BYTE:
        value->number = reader_u8(r);
        break;
    case TWO_BYTES:
        value->number = reader_u16(r);
        break;
    case FOUR_BYTES:
        value->number = reader_u32(r);
        break;
    case VARINT:
        value->number = broker_mqtt_packet_varint(r);
        break;
    case BINARY:
    case STRING:
        value->data = reader_sized16(r, MQTT_STRING_MAX);
        break;
    case PAIR:
        value->data = reader_sized16(r, MQTT_STRING_MAX);
        value->text = reader_sized16(r, MQTT_STRING_MAX);
        break;
    case ABSENT:
        r->broken = true;
        break;
    }
}

static enum rc check_place(uint32_t id, const struct property_row *row, unsigned in,
                           uint64_t present, enum mqtt_reason *why)
{
    bool once = !row->repeats || (id == MQTT_SUBSCRIPTION_ID && in == MQTT_SUBSCRIBE);

    if ((row->in >> in & 1) == 0)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET, "MQTT 2.2.2.2: %s in %s", row->name,
                           in == MQTT_IN_WILL ? "the will" : broker_mqtt_type_name(in));
    if (once && (present >> id & 1) != 0)
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR, "MQTT 2.2.2.2: %s twice", row->name);
    return RC_OK;
}

static enum rc check_value(const struct property_row *row, const struct mqtt_value *value,
                           enum mqtt_reason *why)
{
    bool is_text = row->kind == STRING || row->kind == PAIR;

    if (value->number < row->low || (row->most != ANY && value->number > row->most))
        return MQTT_REFUSE(why, MQTT_PROTOCOL_ERROR, "MQTT 2.2.2.2: %s is %u, not %u to %u",
                           row->name, value->number, row->low, row->most);
    if (is_text && (!text_is_utf8(value->data) || !text_is_utf8(value->text)))
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "[MQTT-1.5.4-1] [MQTT-1.5.7-1] %s is not UTF-8 without U+0000",
                           row->name);
    return RC_OK;
}

/* One property from a block that may say anything. */
static enum rc check_next(struct reader *r, unsigned in, uint64_t *present,
                          enum mqtt_reason *why)
{
    struct mqtt_value value = { 0 };
    uint32_t id = broker_mqtt_packet_varint(r);
    const struct property_row *row = find_row(id);

    if (r->broken || row == NULL)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET, "MQTT 2.2.2.2: unknown property 0x%02x",
                           id);
    TRY(check_place(id, row, in, *present, why));
    take_value(r, row->kind, &value);
    if (r->broken)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET, "MQTT 2.2.2.2: %s is cut short",
                           row->name);
    TRY(check_value(row, &value, why));
    *present |= 1ULL << id;
    return RC_OK;
}

static enum rc check_block(struct bytes block, unsigned in, uint64_t *present,
                           enum mqtt_reason *why)
{
    struct reader r = READER(block);

    while (r.left.len > 0)
        TRY(check_next(&r, in, present, why));
    return RC_OK;
}

enum rc broker_mqtt_properties_read(struct reader *r, unsigned in,
                                    struct mqtt_properties *properties, enum mqtt_reason *why)
{
    uint64_t present = 0;
    uint32_t len = broker_mqtt_packet_varint(r);
    struct bytes block = reader_take(r, len);

    if (r->broken)
        return MQTT_REFUSE(why, MQTT_MALFORMED_PACKET,
                           "MQTT 2.2.2: properties of %s are cut short",
                           in == MQTT_IN_WILL ? "the will" : broker_mqtt_type_name(in));
    TRY(check_block(block, in, &present, why));
    *properties = (struct mqtt_properties){ block, present };
    return RC_OK;
}

void broker_mqtt_properties_write(const struct mqtt_properties *properties, struct buf *out)
{
    broker_mqtt_packet_add_varint(out, properties->block.len);
    buf_add(out, properties->block);
}

size_t broker_mqtt_properties_size(const struct mqtt_properties *properties)
{
    return broker_mqtt_packet_varint_size(properties->block.len) + properties->block.len;
}

bool broker_mqtt_properties_has(const struct mqtt_properties *properties, enum mqtt_property id)
{
    return (properties->present >> id & 1) != 0;
}

bool broker_mqtt_properties_next(struct bytes *rest, struct mqtt_value *value)
{
    struct reader r = READER(*rest);
    struct mqtt_value next = { 0 };

    if (rest->len == 0)
        return false;
    next.id = (enum mqtt_property)broker_mqtt_packet_varint(&r);
    const struct property_row *row = find_row(next.id);
    assert(row != NULL);
    take_value(&r, row->kind, &next);
    assert(!r.broken);
    next.wire = (struct bytes){ rest->at, rest->len - r.left.len };
    *rest = r.left;
    *value = next;
    return true;
}

static bool find_first(const struct mqtt_properties *properties, enum mqtt_property id,
                       struct mqtt_value *value)
{
    struct bytes rest = properties->block;

    if (!broker_mqtt_properties_has(properties, id))
        return false;
    while (broker_mqtt_properties_next(&rest, value))
        if (value->id == id)
            return true;
    return false;
}

uint32_t broker_mqtt_properties_number(const struct mqtt_properties *properties,
                                       enum mqtt_property id, uint32_t absent)
{
    struct mqtt_value value;

    return find_first(properties, id, &value) ? value.number : absent;
}

struct bytes broker_mqtt_properties_data(const struct mqtt_properties *properties,
                                         enum mqtt_property id)
{
    struct mqtt_value value;

    return find_first(properties, id, &value) ? value.data : (struct bytes){ 0 };
}

void broker_mqtt_properties_add_number(struct buf *block, enum mqtt_property id, uint32_t value)
{
    enum kind kind = ROWS[id].kind;

    assert(kind == BYTE || kind == TWO_BYTES || kind == FOUR_BYTES || kind == VARINT);
    buf_add_u8(block, (uint8_t)id);
    if (kind == BYTE)
        buf_add_u8(block, (uint8_t)value);
    else if (kind == TWO_BYTES)
        buf_add_u16(block, (uint16_t)value);
    else if (kind == FOUR_BYTES)
        buf_add_u32(block, value);
    else
        broker_mqtt_packet_add_varint(block, value);
}

void broker_mqtt_properties_add_data(struct buf *block, enum mqtt_property id,
                                     struct bytes value)
{
    assert(ROWS[id].kind == BINARY || ROWS[id].kind == STRING);
    buf_add_u8(block, (uint8_t)id);
    buf_add_sized16(block, value);
}

void broker_mqtt_properties_add_user(struct buf *block, struct bytes name, struct bytes value)
{
    buf_add_u8(block, MQTT_USER_PROPERTY);
    buf_add_sized16(block, name);
    buf_add_sized16(block, value);
}

struct mqtt_properties broker_mqtt_properties_of(const struct buf *block, unsigned in)
{
    struct mqtt_properties properties = { .block = buf_bytes(block) };
    enum mqtt_reason why = MQTT_SUCCESS;
    enum rc rc = check_block(properties.block, in, &properties.present, &why);

    assert(rc == RC_OK);
    return properties;
}
