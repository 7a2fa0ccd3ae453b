/* Target: api_input_read */
#include <stdlib.h>

#include "api/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Up to a newline, which no request line holds. */
static struct bytes take_line(struct bytes *left)
{
    struct bytes line = *left;

    for (size_t i = 0; i < left->len; i++)
        if (left->at[i] == '\n') {
            line.len = i;
            *left = (struct bytes){ left->at + i + 1, left->len - i - 1 };
            return line;
        }
    *left = (struct bytes){ 0 };
    return line;
}

/* What passed can be asked: the authority would read the very same. */
static void ask(const struct api_route *route, const struct api_input *input)
{
    struct registry_question again;
    AUTO_BUF(body, LINK_BODY_MAX);

    if (route->ask == 0)
        return;
    must(registry_question_write(route->ask, &input->question, &body) == RC_OK);
    must(registry_question_read(route->ask, buf_bytes(&body), &again) == RC_OK);
}

/* Method, path, query, each a line; then the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes left = { data, size };
    struct bytes method = take_line(&left), path = take_line(&left), query = take_line(&left);
    const struct api_route *route = NULL;
    struct api_input input = { 0 };
    AUTO_BUF(allow, 256);

    enum rc rc =
        api_route_find(method, path, API_PUBLIC | API_EST | API_OPERATORS, &route, &allow);
    must(rc == RC_OK || rc == RC_NOT_FOUND || (rc == RC_DENIED && allow.len > 0));
    if (rc != RC_OK || left.len > route->body_max)
        return 0;
    rc = api_input_read(route, path, query, left, &input);
    must(rc == RC_OK || rc == RC_MALFORMED || rc == RC_NOT_FOUND || rc == RC_LIMIT);
    if (rc == RC_OK)
        ask(route, &input);
    api_input_clear(&input);
    return 0;
}
