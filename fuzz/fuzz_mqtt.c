/* Target: broker_mqtt_packet_next, broker_mqtt_properties_read, broker_mqtt_connect_read */
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/mqtt_mirror.h"

/*
 * First byte: version and how the stream is cut. The rest arrives in two pieces, as from a
 * socket; what is read must be written and read again as the same bytes.
 */
enum { PACKET_MAX = 1 << 16 };

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_stable(const struct mqtt_frame *frame, enum mqtt_version version)
{
    AUTO_BUF(once, 2 * PACKET_MAX);
    AUTO_BUF(twice, 2 * PACKET_MAX);
    struct mqtt_frame again;
    enum mqtt_reason why = MQTT_SUCCESS;

    if (mirror_packet(frame, version, &once, &why) != RC_OK) {
        must(why >= MQTT_UNSPECIFIED_ERROR);
        return;
    }
    must(!once.broken);
    must(broker_mqtt_packet_next(buf_bytes(&once), version, 2 * PACKET_MAX, &again, &why) ==
         RC_OK);
    must(again.whole && again.size == once.len);
    must(mirror_packet(&again, version, &twice, &why) == RC_OK);
    must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
}

/* The whole packets at the start of the stream; returns how many bytes they take. */
static size_t take_all(struct bytes stream, enum mqtt_version version)
{
    size_t taken = 0;

    for (;;) {
        struct bytes left = { stream.at + taken, stream.len - taken };
        struct mqtt_frame frame;
        enum mqtt_reason why;
        if (broker_mqtt_packet_next(left, version, PACKET_MAX, &frame, &why) != RC_OK)
            return stream.len;
        if (!frame.whole) {
            must(frame.size > left.len);
            return taken;
        }
        must(frame.size <= left.len);
        check_stable(&frame, version);
        taken += frame.size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len < 1)
        return 0;
    enum mqtt_version version = (at[0] & 1) != 0 ? MQTT_5 : MQTT_3_1_1;
    struct bytes stream = { at + 1, len - 1 };
    size_t cut = stream.len * (at[0] >> 1) / 127;

    size_t first = take_all((struct bytes){ stream.at, cut }, version);
    must(first <= cut);
    take_all((struct bytes){ stream.at + first, stream.len - first }, version);
    return 0;
}
