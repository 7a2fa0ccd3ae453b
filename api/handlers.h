/* The handlers that the table of routes names: a file for each resource. */
#pragma once

#include "api/request.h"

/* devices.c */
enum rc api_devices_list_told(struct api_request *, const struct registry_answer *);
enum rc api_devices_added(struct api_request *, const struct registry_answer *);
enum rc api_devices_shown(struct api_request *, const struct registry_answer *);
enum rc api_devices_revoked(struct api_request *, const struct registry_answer *);
/* changes.c: suspend, resume, revoke; whatever has a sequence that doors come to. */
enum rc api_changes_told(struct api_request *, const struct registry_answer *);
/* An answer of one's own, owned from here on, to which sequence and applied are added: at once,
 * or when all doors have applied it, if the request wants to wait. */
enum rc api_changes_answer(struct api_request *, struct json_t *json, uint64_t sequence);
/* certificates.c */
enum rc api_certificates_told(struct api_request *, const struct registry_answer *);
enum rc api_certificates_issued(struct api_request *, const struct registry_answer *);
/* tokens.c */
enum rc api_tokens_made(struct api_request *, const struct registry_answer *);
/* operators.c */
enum rc api_operators_told(struct api_request *, const struct registry_answer *);
/* policies.c */
enum rc api_policies_told(struct api_request *, const struct registry_answer *);
enum rc api_policies_shown(struct api_request *, const struct registry_answer *);
enum rc api_policies_applied(struct api_request *, const struct registry_answer *);
enum rc api_policies_check(struct api_request *);
/* texts.c: ask the route's question, however long its text is; and answer with json (owned from
 * here on) to which the text is added, perhaps later. */
enum rc api_texts_send(struct api_request *);
enum rc api_texts_answer(struct api_request *, struct json_t *json,
                         const struct registry_text *);
enum rc api_policies_checked(struct api_request *, const struct registry_answer *);
/* proposals.c */
enum rc api_proposals_told(struct api_request *, const struct registry_answer *);
enum rc api_proposals_shown(struct api_request *, const struct registry_answer *);
enum rc api_proposals_approved(struct api_request *, const struct registry_answer *);
enum rc api_proposals_rejected(struct api_request *, const struct registry_answer *);
/* 202: what was asked for waits. */
enum rc api_proposals_made(struct api_request *, const struct registry_answer *);
/* audit.c */
enum rc api_audit_list(struct api_request *);
enum rc api_audit_listed(struct api_request *, const struct registry_answer *);
enum rc api_audit_follow(struct api_request *);
enum rc api_audit_entries(struct api_request *);
enum rc api_audit_entries_told(struct api_request *, const struct registry_answer *);
enum rc api_audit_checkpoint(struct api_request *);
enum rc api_audit_checkpoint_told(struct api_request *, const struct registry_answer *);
enum rc api_audit_inclusion(struct api_request *);
enum rc api_audit_consistency(struct api_request *);
enum rc api_audit_proved(struct api_request *, const struct registry_answer *);
enum rc api_audit_proof(struct api_request *);
enum rc api_audit_proof_of_certificate(struct api_request *);
enum rc api_audit_proof_told(struct api_request *, const struct registry_answer *);
/* tiles.c */
enum rc api_tiles_tile(struct api_request *);
enum rc api_tiles_checkpoint(struct api_request *);
/* audit_retention.c */
enum rc api_audit_erase(struct api_request *);
enum rc api_audit_erasing(struct api_request *, const struct registry_answer *);
enum rc api_audit_erasures_told(struct api_request *, const struct registry_answer *);
enum rc api_audit_hold(struct api_request *);
enum rc api_audit_held(struct api_request *, const struct registry_answer *);
enum rc api_audit_release(struct api_request *);
enum rc api_audit_released(struct api_request *, const struct registry_answer *);
enum rc api_audit_holds_told(struct api_request *, const struct registry_answer *);
/* status.c */
enum rc api_status_told(struct api_request *, const struct registry_answer *);
enum rc api_status_copied(struct api_request *, const struct registry_answer *);
enum rc api_status_health(struct api_request *);
/* metrics.c */
enum rc api_metrics_show(struct api_request *);
/* openapi.c */
enum rc api_openapi_show(struct api_request *);
/* est.c */
enum rc api_est_cacerts(struct api_request *);
enum rc api_est_enroll(struct api_request *);
enum rc api_est_reenroll(struct api_request *);
/* public.c */
enum rc api_public_crl(struct api_request *);
enum rc api_public_chain(struct api_request *);
enum rc api_public_certificate(struct api_request *);
