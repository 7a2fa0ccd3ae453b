/* Target: integration_report_read, integration_report_write */
#include <stdlib.h>

#include "integration/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    AUTO_BUF(again, INTEGRATION_REPORT_MAX);
    struct integration_report report;

    if (integration_report_read((struct bytes){ at, len }, &report) != RC_OK)
        return 0;
    integration_report_write(&report, &again);
    if (!bytes_equal((struct bytes){ at, len }, buf_bytes(&again)))
        abort();
    return 0;
}
