/* Object identifiers that this module writes or knows, dotted: for der_add_oid() and
 * der_oid_is(). */
#pragma once

/* X.520 attribute types: RFC 5280 appendix A.1. */
#define PKI_OID_COMMON_NAME       "2.5.4.3"
#define PKI_OID_SERIAL_NUMBER     "2.5.4.5"
#define PKI_OID_ORGANIZATION_NAME "2.5.4.10"

/* RFC 5480 2.1.1, RFC 5758 3.2. */
#define PKI_OID_EC_PUBLIC_KEY     "1.2.840.10045.2.1"
#define PKI_OID_SECP256R1         "1.2.840.10045.3.1.7"
#define PKI_OID_ECDSA_WITH_SHA256 "1.2.840.10045.4.3.2"

/* PKCS#9 attributes of a request: RFC 2985 5.4. */
#define PKI_OID_CHALLENGE_PASSWORD "1.2.840.113549.1.9.7"
#define PKI_OID_EXTENSION_REQUEST  "1.2.840.113549.1.9.14"

/* RFC 5280 4.2, 5.2 and 5.3. */
#define PKI_OID_SUBJECT_KEY_IDENTIFIER   "2.5.29.14"
#define PKI_OID_KEY_USAGE                "2.5.29.15"
#define PKI_OID_SUBJECT_ALT_NAME         "2.5.29.17"
#define PKI_OID_BASIC_CONSTRAINTS        "2.5.29.19"
#define PKI_OID_CRL_NUMBER               "2.5.29.20"
#define PKI_OID_REASON_CODE              "2.5.29.21"
#define PKI_OID_CRL_DISTRIBUTION_POINTS  "2.5.29.31"
#define PKI_OID_AUTHORITY_KEY_IDENTIFIER "2.5.29.35"
#define PKI_OID_EXTENDED_KEY_USAGE       "2.5.29.37"
#define PKI_OID_AUTHORITY_INFO_ACCESS    "1.3.6.1.5.5.7.1.1"
#define PKI_OID_CA_ISSUERS               "1.3.6.1.5.5.7.48.2"

/* RFC 5652 4 and 5.1. */
#define PKI_OID_DATA        "1.2.840.113549.1.7.1"
#define PKI_OID_SIGNED_DATA "1.2.840.113549.1.7.2"
