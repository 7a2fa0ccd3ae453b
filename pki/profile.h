/* Profiles: what a certificate may contain, one table row each, and where its names come from.
 * RFC 5280 4.2, IEEE 802.1AR 8. */
#pragma once

#include "pki/alt_name.h"
#include "pki/extension.h"
#include "pki/name.h"
#include "pki/request.h"

enum { PKI_ID_MAX = 64, PKI_HOSTS_MAX = 16 };

/* Which attribute of the subject carries the holder's id. */
enum pki_id_place { PKI_ID_IN_COMMON_NAME, PKI_ID_IN_SERIAL_NUMBER };

struct pki_profile {
    const char *name;       /* the word in settings, messages and audit */
    const char *uri_prefix; /* subjectAltName: URI of this and the id; NULL for none */
    int64_t lifetime_s, lifetime_most_s;
    int64_t backdate_s; /* notBefore lies this far back: the holder's clock may be slow */
    struct pki_constraints constraints;
    unsigned purposes; /* of extendedKeyUsage; 0: no such extension */
    enum pki_id_place id_place;
    uint16_t key_usage;
    bool hosts; /* subjectAltName: dNSNames and iPAddresses, at least one */
};

/* Before a door's name in its certificate: which of our doors this is. Host names do not tell,
 * since the doors share a host. */
#define PKI_DOOR_URI "urn:touchmark:door:"

/* root, issuing, device, operator, line, door. NULL for any other word. */
const struct pki_profile *pki_profile_find(const char *name);
/* All rows, for tables in documents and tests. */
const struct pki_profile *pki_profile_all(size_t *count);

/*
 * Whom a certificate is for, as the registry and the settings know it. Nothing of it ever comes
 * from the request: no profile copies wishes.
 */
struct pki_holder {
    /* device id, operator's, line's or door's name, for a CA its commonName. Where the profile
     * has a URI: 1 to 64 letters, digits, '.', '-' and, but for a serialNumber, '_'. */
    struct bytes id;
    struct bytes organization; /* organizationName, empty for none */
    const struct pki_alt_name *hosts;
    size_t hosts_count;
};

/* RC_MALFORMED or RC_LIMIT when this holder's names cannot be written under this profile. */
enum rc pki_profile_check_holder(const struct pki_profile *profile,
                                 const struct pki_holder *holder);
/* The subject and, where the profile has one, the value of subjectAltName (else nothing is
 * appended). The holder must have passed the check. */
enum rc pki_profile_write_subject(const struct pki_profile *profile,
                                  const struct pki_holder *holder, struct buf *name);
void pki_profile_write_alt_names(const struct pki_profile *profile,
                                 const struct pki_holder *holder, struct buf *value);

/*
 * Appends one line of text for each wish in the request that the certificate will not fulfil:
 * another subject, another subjectAltName, key usage, purposes, constraints, any other
 * extension. An empty subject wishes nothing. For the audit record; not a refusal.
 */
enum rc pki_profile_compare(const struct pki_profile *profile, const struct pki_holder *holder,
                            const struct pki_request *request, struct buf *differences);
