#include "tests/support/checkpoint_rows.h"

#define ORIGIN  "acme.example/touchmark\n"
#define EMPTY   "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
#define HASH    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
#define JOURNAL "journal 12 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"

const struct checkpoint_row CHECKPOINT_ROWS[] = {
    { "an empty tree", ORIGIN "0\n" EMPTY JOURNAL, RC_OK, "" },
    { "an empty tree with another root", ORIGIN "0\n" HASH JOURNAL, RC_DENIED, "" },
    { "the largest size", ORIGIN "9223372036854775807\n" HASH JOURNAL, RC_OK, "" },
    { "a larger size", ORIGIN "9223372036854775808\n" HASH JOURNAL, RC_MALFORMED, "tree size" },
    { "another origin", "acme.example/touchmark2\n3\n" HASH JOURNAL, RC_DENIED,
      "found \"acme.example/touchmark2\"" },
    { "an origin with an escape", "acme\x1b[31m\n3\n" HASH JOURNAL, RC_DENIED,
      "acme\\x1b[31m" },
    { "no origin", "\n3\n" HASH JOURNAL, RC_DENIED, "found \"\"" },
    { "a leading zero", ORIGIN "03\n" HASH JOURNAL, RC_MALFORMED, "tree size" },
    { "a sign", ORIGIN "+3\n" HASH JOURNAL, RC_MALFORMED, "tree size" },
    { "a space", ORIGIN "3 \n" HASH JOURNAL, RC_MALFORMED, "tree size" },
    { "hexadecimal", ORIGIN "0x3\n" HASH JOURNAL, RC_MALFORMED, "tree size" },
    { "carriage returns", "acme.example/touchmark\r\n3\r\n" HASH JOURNAL, RC_DENIED, "\\x0d" },
    { "a root of 31 octets", ORIGIN "3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n" JOURNAL,
      RC_MALFORMED, "root hash" },
    { "a root of 33 octets", ORIGIN "3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" JOURNAL,
      RC_MALFORMED, "root hash" },
    { "a root without padding",
      ORIGIN "3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" JOURNAL, RC_MALFORMED,
      "root hash" },
    { "a root with bits under the padding",
      ORIGIN "3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n" JOURNAL, RC_MALFORMED,
      "root hash" },
    { "a root with a space",
      ORIGIN "3\n AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" JOURNAL, RC_MALFORMED,
      "root hash" },
    { "no journal", ORIGIN "3\n" HASH, RC_MALFORMED, "cut short" },
    { "an empty fourth line", ORIGIN "3\n" HASH "\n", RC_MALFORMED, "journal <sequence>" },
    { "another extension", ORIGIN "3\n" HASH "witness 1 " HASH, RC_MALFORMED,
      "journal <sequence>" },
    { "two journals", ORIGIN "3\n" HASH JOURNAL JOURNAL, RC_MALFORMED, "nothing after" },
    { "a signature", ORIGIN "3\n" HASH JOURNAL "\n", RC_MALFORMED, "nothing after" },
    { "journal sequence with a zero", ORIGIN "3\n" HASH "journal 012 " HASH, RC_MALFORMED,
      "journal <sequence>" },
    { "journal without sequence", ORIGIN "3\n" HASH "journal  " HASH, RC_MALFORMED,
      "journal <sequence>" },
    { "journal without hash", ORIGIN "3\n" HASH "journal 12\n", RC_MALFORMED,
      "journal <sequence>" },
    { "journal with more", ORIGIN "3\n" HASH "journal 12 " HASH " ", RC_MALFORMED,
      "nothing after" },
};
const size_t CHECKPOINT_COUNT = sizeof CHECKPOINT_ROWS / sizeof *CHECKPOINT_ROWS;
