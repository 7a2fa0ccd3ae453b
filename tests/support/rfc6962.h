/* The eight leaves and the roots of the trees over the first 1 to 8 of them, in hexadecimal,
 * that certificate-transparency's tests made well known (RFC 6962 2.1). */
#pragma once

#include <stddef.h>

static const struct {
    const char *leaf, *root;
} RFC6962_KNOWN[] = {
    { "", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
    { "00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
    { "10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
    { "2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
    { "3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
    { "40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
    { "5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
    { "606162636465666768696a6b6c6d6e6f",
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
};

/*
 * Proofs over those leaves: the values that transparency-dev/merkle gives in
 * testonly/reference_test.go (TestRefInclusionProof, TestRefConsistencyProof). Inclusion: first
 * is the index; consistency: the old size.
 */
#define RFC6962_2_TO_4 "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
#define RFC6962_LEAF_0 "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
#define RFC6962_LEAF_1 "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
#define RFC6962_LEAF_4 "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
#define RFC6962_4_TO_8 "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
#define RFC6962_6_TO_8 "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
#define RFC6962_ROOT_4 "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"

struct rfc6962_proof {
    unsigned first, size;
    const char *nodes[4]; /* until NULL */
};

static const struct rfc6962_proof RFC6962_INCLUSION[] = {
    { 0, 1, { NULL } },
    { 0, 2, { RFC6962_LEAF_1 } },
    { 1, 2, { RFC6962_LEAF_0 } },
    { 2, 3, { "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" } },
    { 1, 5, { RFC6962_LEAF_0, RFC6962_2_TO_4, RFC6962_LEAF_4 } },
    { 0, 8, { RFC6962_LEAF_1, RFC6962_2_TO_4, RFC6962_4_TO_8 } },
    { 5, 8, { RFC6962_LEAF_4, RFC6962_6_TO_8, RFC6962_ROOT_4 } },
};

static const struct rfc6962_proof RFC6962_CONSISTENCY[] = {
    { 1, 1, { NULL } },
    { 1, 8, { RFC6962_LEAF_1, RFC6962_2_TO_4, RFC6962_4_TO_8 } },
    { 2, 5, { RFC6962_2_TO_4, RFC6962_LEAF_4 } },
    { 6,
      8,
      { "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a", RFC6962_6_TO_8,
        RFC6962_ROOT_4 } },
};
