/* What load_traffic.c and load_messages.c share: the packets of a traffic, each way. */
#pragma once

#include "bench/load_traffic.h"

/* Publishing takes 1 to 65534: what waits for different answers must differ (section 2.2.1). */
enum { LOAD_PACKET_IDS = 65534, LOAD_SUBSCRIBE_ID = 65535 };

/* Publish what the window, or the rate, allows now. */
void load_messages_publish(struct load_traffic *traffic);
void load_messages_publish_again(struct load_traffic *traffic,
                                 struct load_publisher *publisher);
/* A packet that came. */
void load_messages_take(struct load_traffic *traffic, struct load_client *client,
                        const struct load_frame *frame);
/* Tell of what was acknowledged since. */
void load_messages_tell(struct load_traffic *traffic, struct load_publisher *publisher);

/* NULL if the client is none. */
struct load_publisher *load_traffic_publisher(struct load_traffic *traffic,
                                              const struct load_client *client);
struct load_subscriber *load_traffic_subscriber(struct load_traffic *traffic,
                                                const struct load_client *client);
bool load_traffic_is_pairs(const struct load_traffic *traffic);
