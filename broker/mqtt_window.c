#include "broker/mqtt_window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 8 };

static struct outbound_item *item_at(const struct outbound *window, uint32_t offset)
{
    return &window->at[(window->head + offset) & (window->room - 1)];
}

static enum rc grow_outbound(struct outbound *window)
{
    uint32_t room = window->room == 0 ? FIRST_ROOM : window->room * 2;
    struct outbound_item *at = malloc(room * sizeof *at);

    if (at == NULL)
        return fault(RC_NOMEM, "window of %u messages", room);
    for (uint32_t i = 0; i < window->count; i++)
        at[i] = *item_at(window, i);
    free(window->at);
    window->at = at;
    window->head = 0;
    window->room = room;
    return RC_OK;
}

static enum rc keep_identifiers(const struct message_delivery *how, struct outbound_item *item)
{
    item->identifier_count = (uint32_t)how->identifier_count;
    if (how->identifier_count == 1)
        item->one = how->identifiers[0];
    if (how->identifier_count <= 1)
        return RC_OK;
    item->many = malloc(how->identifier_count * sizeof *item->many);
    if (item->many == NULL)
        return fault(RC_NOMEM, "subscription identifiers");
    memcpy(item->many, how->identifiers, how->identifier_count * sizeof *item->many);
    return RC_OK;
}

enum rc broker_mqtt_window_queue(struct outbound *window, const struct outbound_most *most,
                                 struct message *message, const struct message_delivery *how)
{
    struct outbound_item item = { .message = message, .retain = how->retain };
    size_t bytes = broker_message_bytes(message);

    if (window->count >= most->messages)
        return fault(RC_LIMIT, "%u messages wait for the client", window->count);
    if (window->bytes > most->bytes || bytes > most->bytes - window->bytes)
        return fault(RC_LIMIT, "messages of %zu bytes wait for the client", window->bytes);
    if (window->count == window->room)
        TRY(grow_outbound(window));
    TRY(keep_identifiers(how, &item));
    broker_message_hold(message);
    *item_at(window, window->count++) = item;
    window->bytes += bytes;
    return RC_OK;
}

static void let_go(struct outbound_item *item)
{
    broker_message_release(item->message);
    free(item->many);
}

const struct outbound_item *broker_mqtt_window_next(const struct outbound *window)
{
    return window->sent < window->count ? item_at(window, window->sent) : NULL;
}

/* Identifiers run from 1 to 65535 and over again. */
static uint16_t id_after(uint16_t first, uint32_t steps)
{
    return (uint16_t)((first - 1U + steps) % UINT16_MAX + 1);
}

uint16_t broker_mqtt_window_next_id(const struct outbound *window)
{
    return id_after(window->first_id == 0 ? 1 : window->first_id, window->sent);
}

void broker_mqtt_window_sent(struct outbound *window)
{
    assert(window->sent < window->count);
    if (window->first_id == 0)
        window->first_id = 1;
    window->sent++;
    window->unacknowledged++;
}

void broker_mqtt_window_skip(struct outbound *window)
{
    broker_mqtt_window_sent(window);
    item_at(window, window->sent - 1)->acknowledged = true;
    window->unacknowledged--;
    broker_mqtt_window_trim(window);
}

size_t broker_mqtt_window_withdraw(struct outbound *window,
                                   bool (*keep)(void *with, const struct message *message),
                                   void *with)
{
    uint32_t kept = window->sent, before = window->count;

    for (uint32_t i = window->sent; i < before; i++) {
        struct outbound_item *item = item_at(window, i);
        if (keep(with, item->message)) {
            *item_at(window, kept++) = *item;
            continue;
        }
        window->bytes -= broker_message_bytes(item->message);
        let_go(item);
    }
    window->count = kept;
    return before - kept;
}

const struct message *broker_mqtt_window_acknowledge(struct outbound *window, uint16_t id)
{
    if (window->sent == 0 || id == 0)
        return NULL;
    uint32_t offset = (uint32_t)(id + UINT16_MAX - window->first_id) % UINT16_MAX;
    struct outbound_item *item = offset < window->sent ? item_at(window, offset) : NULL;

    if (item == NULL || item->acknowledged)
        return NULL;
    item->acknowledged = true;
    window->unacknowledged--;
    return item->message;
}

void broker_mqtt_window_trim(struct outbound *window)
{
    while (window->sent > 0 && item_at(window, 0)->acknowledged) {
        window->bytes -= broker_message_bytes(item_at(window, 0)->message);
        let_go(item_at(window, 0));
        window->head = (window->head + 1) & (window->room - 1);
        window->count--;
        window->sent--;
        window->first_id = id_after(window->first_id, 1);
    }
}

void broker_mqtt_window_clear(struct outbound *window)
{
    for (uint32_t i = 0; i < window->count; i++)
        let_go(item_at(window, i));
    free(window->at);
    *window = (struct outbound){ .first_id = id_after(window->first_id, window->sent) };
}

static enum rc grow_inbound(struct inbound *window)
{
    uint32_t room = window->room == 0 ? FIRST_ROOM : window->room * 2;
    struct inbound_item *at = malloc(room * sizeof *at);

    if (at == NULL)
        return fault(RC_NOMEM, "window of %u identifiers", room);
    for (uint32_t i = 0; i < window->count; i++)
        at[i] = window->at[(window->head + i) & (window->room - 1)];
    free(window->at);
    *window = (struct inbound){ .at = at, .count = window->count, .room = room };
    return RC_OK;
}

enum rc broker_mqtt_window_arrive(struct inbound *window, uint16_t id)
{
    if (window->count == window->room)
        TRY(grow_inbound(window));
    window->at[(window->head + window->count++) & (window->room - 1)] =
        (struct inbound_item){ .id = id };
    return RC_OK;
}

enum rc broker_mqtt_window_answer(struct inbound *window, uint16_t id, enum mqtt_reason reason)
{
    for (uint32_t i = 0; i < window->count; i++) {
        struct inbound_item *item = &window->at[(window->head + i) & (window->room - 1)];
        if (item->id != id || item->answered)
            continue;
        item->answered = true;
        item->reason = (uint8_t)reason;
        return RC_OK;
    }
    return fault(RC_NOT_FOUND, "no PUBLISH with packet identifier %u waits for its PUBACK", id);
}

bool broker_mqtt_window_tell(struct inbound *window, struct inbound_item *item)
{
    if (window->count == 0 || !window->at[window->head].answered)
        return false;
    *item = window->at[window->head];
    window->head = (window->head + 1) & (window->room - 1);
    window->count--;
    return true;
}

void broker_mqtt_window_forget(struct inbound *window)
{
    free(window->at);
    *window = (struct inbound){ 0 };
}
