#include "daemon/authority_state.h"

#include <string.h>

#include "base/text.h"
#include "daemon/events.h"

bool daemon_authority_trouble_begin(struct daemon_authority *authority,
                                    enum daemon_authority_trouble what)
{
    char *kept = authority->trouble[what];
    AUTO_BUF(text, 2 * REGISTRY_TROUBLE_MAX);

    text_add_escaped(&text, bytes_of_text(fault_text()));
    size_t len = text.len < REGISTRY_TROUBLE_MAX ? text.len : REGISTRY_TROUBLE_MAX;
    if (len == strlen(kept) && bytes_equal(bytes_of_text(kept), (struct bytes){ text.at, len }))
        return false;
    memset(kept, 0, sizeof authority->trouble[what]);
    memcpy(kept, text.at, len);
    if (authority->setup.log != NULL)
        log_write(authority->setup.log, DAEMON_EVENT_AUTHORITY_TROUBLE,
                  LOG_TEXT_FIELD("reason", kept));
    return true;
}

void daemon_authority_trouble_end(struct daemon_authority *authority,
                                  enum daemon_authority_trouble what)
{
    char *kept = authority->trouble[what];

    if (*kept == '\0')
        return;
    if (authority->setup.log != NULL)
        log_write(authority->setup.log, DAEMON_EVENT_AUTHORITY_TROUBLE_OVER,
                  LOG_TEXT_FIELD("reason", kept));
    memset(kept, 0, sizeof authority->trouble[what]);
}
