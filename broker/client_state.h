/* What the files of the client share. For client*.c only. */
#pragma once

#include "broker/door_state.h"

/* CONNECT: client_connect.c. */
void broker_client_on_connect(void *with, const struct mqtt_connect *connect);
/* PUBLISH, SUBSCRIBE: client_messages.c. */
void broker_client_on_publish(void *with, const struct mqtt_publish *publish);
void broker_client_on_subscribe(void *with, const struct mqtt_subscribe *subscribe);

/* The policy's word; without one bound everything is denied. */
struct policy_decision broker_client_decide(const struct client *client,
                                            enum policy_action action, struct bytes topic);
/* The same of a message, about which a policy may ask, too. */
struct policy_decision broker_client_decide_message(const struct client *client,
                                                    enum policy_action action,
                                                    const struct mqtt_publish *message);
struct policy_decision broker_client_decide_will(const struct client *client,
                                                 enum policy_action action,
                                                 const struct mqtt_will *will);
/* One act of the device's by the limit of what allows it; false: one too many. */
bool broker_client_take(struct client *client, const struct policy_decision *decided);
/* One act more than its limit is not done, and the audit log says so: then false. */
bool broker_client_within(struct client *client, enum audit_action action, struct bytes topic,
                          const struct policy_decision *decided);
/* False: it could not be recorded, so it is not done. */
bool broker_client_witness(struct client *client, enum audit_action action, bool allowed,
                           struct bytes target, const char *reason,
                           const struct policy_decision *decided);
/* The same of a message. A rule that wants it logged in full has its size, QoS and whether it
 * is kept in the record. */
bool broker_client_witness_message(struct client *client, enum audit_action action,
                                   const struct mqtt_publish *message, const char *reason,
                                   const struct policy_decision *decided);
struct mqtt_publish broker_client_will_of(const struct mqtt_will *will);
/* It was allowed, and not done. The reason is one of a few texts of ours. */
void broker_client_witness_failure(struct client *client, enum audit_action action,
                                   struct bytes target, const char *reason,
                                   const struct policy_decision *decided);
/* Publish the will, if it may still be; client_connect.c. */
void broker_client_publish_will(struct client *client, struct message *will);
/* Judge, witness, deliver. */
void broker_client_hand_over(struct client *client, struct message *message,
                             const struct message_delivery *how);

/* A subscription that came, and whether there was one of its filter before. */
struct broker_wanted {
    struct bytes filter;
    struct subscription subscription;
    bool replaced;
};
/* What is retained for it follows, as far as its options say so: client_retained.c. */
void broker_client_want_retained(struct client *client, const struct broker_wanted *wanted);
void broker_client_forget_walk(struct client *client, struct bytes filter);

/* Hand to the recorder to be kept; packet_id 0: nobody waits. */
enum rc broker_client_retain(struct client *client, struct message *message,
                             uint16_t packet_id);
