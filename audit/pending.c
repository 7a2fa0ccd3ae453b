#include "audit/pending.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "audit/pattern.h"
#include "base/file.h"

static const char NAME[] = "pending";
static const uint8_t MAGIC[8] = "TMpend1\n";
static const char BOOT_ID[] = "/proc/sys/kernel/random/boot_id";

enum { FREE, COUNTING, READY };
enum { HEADER_BYTES = 4096, CHUNK = 64 * 1024, CHUNKS_MOST = 3072 };

/* In the file, in the machine's own byte order. A kill leaves each store whole or undone, and
 * those of one thread in their order: what a state or a count vouches for is stored before. */
struct audit_slot {
    _Atomic uint32_t state;
    uint32_t length;           /* of the record's form */
    _Atomic uint64_t sequence; /* promised in the spool; 0: none */
    uint64_t order;            /* of making */
    _Atomic uint64_t count;    /* of a window; 0: a record of its own */
    int64_t first_ms, last_ms;
    uint32_t known, capped; /* targets; bits of enum capped */
    uint32_t room, size;    /* of targets; size class */
    uint64_t targets[];     /* `room` of its class, then the form */
};
/* PATTERNED: the last two places of targets are the pattern of all (pattern.h) and where in the
 * form the first target stands. */
enum capped { CAPPED = 1, PATTERNED = 2 };
enum { PATTERN_PLACES = 2 };

struct header {
    uint8_t magic[8];
    uint8_t boot[AUDIT_PENDING_BOOT];
    uint8_t spool[AUDIT_SPOOL_ID];
    uint32_t closed;            /* by its owner, not by a kill */
    uint8_t sizes[CHUNKS_MOST]; /* class of each chunk + 1; 0: not in use */
};
static_assert(sizeof(struct header) <= HEADER_BYTES, "the header has a page");

enum { SMALL, LARGE, CLASSES };
static const struct {
    size_t bytes, targets;
} SIZES[CLASSES] = {
    [SMALL] = { 1024, 16 }, [LARGE] = { 4096, AUDIT_PENDING_TARGETS + PATTERN_PLACES }
};
static_assert(sizeof(struct audit_slot) + 64 * 8 + AUDIT_RECORD_MAX <= 4096,
              "a large slot holds any record");

struct audit_pending {
    int fd;
    bool open;
    uint8_t *map;
    size_t map_bytes, chunks, chunks_most;
    atomic_uint_fast64_t order;
    pthread_mutex_t lock;          /* of what follows */
    size_t free[CLASSES];          /* its place in the map; 0: none */
    size_t used, octets;           /* slots that are not free, and what they take */
    struct audit_slot **recovered; /* sorted; handed out from `next` on */
    size_t recovered_count, next;
};

static struct header *header_of(const struct audit_pending *p)
{
    return (struct header *)(void *)p->map;
}

static uint8_t *form_of(const struct audit_slot *slot)
{
    return (uint8_t *)(uintptr_t)&slot->targets[SIZES[slot->size].targets];
}

static size_t form_room(unsigned size)
{
    return SIZES[size].bytes - sizeof(struct audit_slot) - SIZES[size].targets * 8;
}

static size_t room_of(unsigned size)
{
    return SIZES[size].targets - PATTERN_PLACES;
}

static uint64_t *pattern_of(struct audit_slot *slot)
{
    return &slot->targets[room_of(slot->size)];
}

static struct audit_slot *slot_at(const struct audit_pending *p, size_t chunk, unsigned size,
                                  size_t place)
{
    return (void *)(p->map + HEADER_BYTES + chunk * CHUNK + place * SIZES[size].bytes);
}

/* ---- Free slots; with the lock held. A free one holds the next in its place of order. ---- */

static void push_free(struct audit_pending *p, unsigned size, struct audit_slot *slot)
{
    slot->order = p->free[size];
    p->free[size] = (size_t)((uint8_t *)slot - p->map);
}

static enum rc write_zeros(int fd, size_t offset, size_t length)
{
    static const uint8_t ZEROS[4096];

    for (size_t at = 0; at < length;) {
        size_t part = length - at < sizeof ZEROS ? length - at : sizeof ZEROS;
        ssize_t n = pwrite(fd, ZEROS, part, (off_t)(offset + at));
        if (n < 0 && errno != EINTR)
            return errno == ENOSPC || errno == EDQUOT
                       ? fault(RC_LIMIT, "%s: no space for more records on their way", NAME)
                       : fault_errno("grow the file of records on their way");
        at += n > 0 ? (size_t)n : 0;
    }
    return RC_OK;
}

/* Written, not only made longer: a page without a block on disk would end the process when it
 * is touched and the disk is full. */
static enum rc grow(struct audit_pending *p, unsigned size)
{
    if (p->chunks == p->chunks_most)
        return fault(RC_LIMIT, "%s: %zu records are on their way already", NAME, p->used);
    TRY(write_zeros(p->fd, HEADER_BYTES + p->chunks * CHUNK, CHUNK));
    header_of(p)->sizes[p->chunks] = (uint8_t)(size + 1);
    for (size_t i = CHUNK / SIZES[size].bytes; i-- > 0;)
        push_free(p, size, slot_at(p, p->chunks, size, i));
    p->chunks++;
    return RC_OK;
}

static enum rc take_free(struct audit_pending *p, unsigned size, struct audit_slot **slot)
{
    if (p->free[size] == 0)
        TRY(grow(p, size));
    *slot = (void *)(p->map + p->free[size]);
    p->free[size] = (*slot)->order;
    p->used++;
    p->octets += SIZES[size].bytes;
    return RC_OK;
}

static enum rc take(struct audit_pending *p, unsigned size, struct audit_slot **slot)
{
    pthread_mutex_lock(&p->lock);
    enum rc rc = take_free(p, size, slot);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

/* What it told is not to be found in the file: the log may erase it any day. The state goes
 * last, so what a kill leaves half done is looked at, and wiped, by the next life. */
static void wipe(struct audit_slot *slot)
{
    explicit_bzero(slot->targets, SIZES[slot->size].bytes - sizeof *slot);
    atomic_signal_fence(memory_order_release);
}

void audit_pending_release(struct audit_pending *pending, struct audit_slot *slot)
{
    wipe(slot);
    atomic_store_explicit(&slot->state, FREE, memory_order_release);
    pthread_mutex_lock(&pending->lock);
    push_free(pending, slot->size, slot);
    pending->used--;
    pending->octets -= SIZES[slot->size].bytes;
    pthread_mutex_unlock(&pending->lock);
}

size_t audit_pending_used(struct audit_pending *pending)
{
    pthread_mutex_lock(&pending->lock);
    size_t used = pending->used;
    pthread_mutex_unlock(&pending->lock);
    return used;
}

bool audit_pending_is_crowded(struct audit_pending *pending)
{
    pthread_mutex_lock(&pending->lock);
    bool crowded = pending->octets > pending->chunks_most * CHUNK / 2;
    pthread_mutex_unlock(&pending->lock);
    return crowded;
}

/* ---- Making ---- */

static uint64_t next_order(struct audit_pending *p)
{
    return atomic_fetch_add_explicit(&p->order, 1, memory_order_relaxed);
}

static enum rc make(struct audit_pending *p, const struct audit_record *record, size_t targets,
                    struct audit_slot **slot)
{
    AUTO_BUF(form, AUDIT_RECORD_MAX);
    struct bytes bytes;
    struct audit_slot *made;

    TRY(audit_record_write(record, &form));
    TRY(buf_done(&form, &bytes));
    unsigned size = targets <= room_of(SMALL) && bytes.len <= form_room(SMALL) ? SMALL : LARGE;
    TRY(take(p, size, &made));
    made->size = size;
    made->room = (uint32_t)(targets < room_of(size) ? targets : room_of(size));
    made->length = (uint32_t)bytes.len;
    made->order = next_order(p);
    made->first_ms = made->last_ms = record->wall_ms;
    made->known = made->capped = 0;
    atomic_store_explicit(&made->sequence, 0, memory_order_relaxed);
    atomic_store_explicit(&made->count, 0, memory_order_relaxed);
    memcpy(form_of(made), bytes.at, bytes.len);
    *slot = made;
    return RC_OK;
}

enum rc audit_pending_add(struct audit_pending *pending, const struct audit_record *record,
                          struct audit_slot **slot)
{
    TRY(make(pending, record, 0, slot));
    atomic_store_explicit(&(*slot)->state, READY, memory_order_release);
    return RC_OK;
}

static void begin_pattern(struct audit_slot *slot, const struct audit_record *first)
{
    struct audit_record read = { 0 };
    uint64_t *pattern = pattern_of(slot);
    const uint8_t *form = form_of(slot);

    pattern[0] = pattern[1] = 0;
    if (first->target.len > 0 &&
        audit_record_read((struct bytes){ form, slot->length }, &read) == RC_OK)
        pattern[1] = (uint64_t)(read.target.at - form) << 32 | read.target.len;
    slot->capped = PATTERNED;
}

enum rc audit_pending_begin(struct audit_pending *pending, const struct audit_record *first,
                            size_t targets, struct audit_slot **slot)
{
    const struct audit_action_row *row = audit_action_get(first->action);

    TRY(make(pending, first, targets, slot));
    if ((row->fields & AUDIT_TOPIC_FIELD) != 0)
        begin_pattern(*slot, first);
    atomic_store_explicit(&(*slot)->state, COUNTING, memory_order_release);
    return RC_OK;
}

/* The first target, as the form has it. */
static struct bytes first_of(struct audit_slot *slot)
{
    const uint64_t place = pattern_of(slot)[1];

    return (struct bytes){ form_of(slot) + (place >> 32), (uint32_t)place };
}

static void widen(struct audit_slot *slot, struct bytes text)
{
    uint64_t *pattern = pattern_of(slot);

    if ((slot->capped & PATTERNED) != 0)
        *pattern = audit_pattern_widen(*pattern, first_of(slot), text);
    atomic_signal_fence(memory_order_release);
}

static void tell_target(struct audit_slot *slot, uint64_t target, struct bytes text)
{
    for (size_t i = slot->known; i-- > 0;)
        if (slot->targets[i] == target)
            return;
    widen(slot, text);
    if (slot->known == slot->room) {
        slot->capped |= CAPPED;
        return;
    }
    slot->targets[slot->known] = target;
    atomic_signal_fence(memory_order_release);
    slot->known++;
}

static void add(struct audit_slot *slot, int64_t wall_ms, uint64_t acts)
{
    uint64_t count = atomic_load_explicit(&slot->count, memory_order_relaxed);

    if (wall_ms > slot->last_ms) /* it may have stepped back */
        slot->last_ms = wall_ms;
    atomic_store_explicit(&slot->count, count + acts, memory_order_release);
}

void audit_slot_count(struct audit_slot *slot, int64_t wall_ms, uint64_t target,
                      struct bytes text)
{
    if (target != 0)
        tell_target(slot, target, text);
    add(slot, wall_ms, 1);
}

void audit_slot_count_more(struct audit_slot *slot, int64_t wall_ms, uint64_t acts)
{
    if (acts == 0)
        return;
    slot->capped |= CAPPED;
    add(slot, wall_ms, acts);
}

void audit_pending_end(struct audit_pending *pending, struct audit_slot *slot)
{
    slot->order = next_order(pending);
    atomic_store_explicit(&slot->state, READY, memory_order_release);
}

/* ---- Into the spool ---- */

enum rc audit_slot_read(const struct audit_slot *slot, struct buf *room,
                        struct audit_record *record)
{
    uint64_t count = atomic_load_explicit(&slot->count, memory_order_acquire);

    TRY(audit_record_read((struct bytes){ form_of(slot), slot->length }, record));
    if (count == 0)
        return RC_OK;
    /* A kill may have come between a target and its count. */
    record->aggregate =
        (struct audit_aggregate_part){ .count = count,
                                       .first_ms = slot->first_ms,
                                       .last_ms = slot->last_ms,
                                       .targets = slot->known < count ? slot->known : count,
                                       .targets_capped = (slot->capped & CAPPED) != 0 };
    if ((slot->capped & PATTERNED) != 0)
        record->target =
            audit_pattern_text(slot->targets[room_of(slot->size)], record->target, room);
    return RC_OK;
}

void audit_slot_promise(struct audit_slot *slot, uint64_t sequence)
{
    atomic_store_explicit(&slot->sequence, sequence, memory_order_release);
}

/* ---- What a life before left ---- */

struct look {
    const struct audit_pending_setup *setup;
    struct audit_pending_found *found;
    bool foreign; /* of another boot or spool */
};

static bool is_sound(const struct audit_slot *slot, unsigned size)
{
    AUTO_BUF(room, AUDIT_TARGET_MAX);
    AUTO_BUF(form, AUDIT_RECORD_MAX);
    struct audit_record record;

    return slot->size == size && slot->length <= form_room(size) &&
           slot->room <= SIZES[size].targets && slot->known <= slot->room &&
           slot->last_ms >= slot->first_ms && audit_slot_read(slot, &room, &record) == RC_OK &&
           audit_record_write(&record, &form) == RC_OK;
}

/* Does it wait to be sent? If not, it is free. */
static bool waits(const struct audit_slot *slot, unsigned size, const struct look *look)
{
    uint32_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    uint64_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);

    if (state == FREE)
        return false;
    if (state == COUNTING && atomic_load_explicit(&slot->count, memory_order_relaxed) == 0)
        return false; /* nothing that was counted is acknowledged */
    /* This one first: it may be wiped already. */
    if (!look->foreign && state == READY && sequence != 0 && sequence <= look->setup->last) {
        look->found->durable++;
        return false;
    }
    if (look->foreign || state > READY || !is_sound(slot, size)) {
        look->found->lost++;
        return false;
    }
    return true;
}

static enum rc keep_recovered(struct audit_pending *p, struct audit_slot *slot)
{
    if ((p->recovered_count & (p->recovered_count - 1)) == 0) { /* 0, 1, 2, 4, ... */
        size_t room = p->recovered_count == 0 ? 1 : 2 * p->recovered_count;
        struct audit_slot **grown = realloc(p->recovered, room * sizeof(void *));
        if (grown == NULL)
            return fault(RC_NOMEM, "records that a life before left");
        p->recovered = grown;
    }
    p->recovered[p->recovered_count++] = slot;
    return RC_OK;
}

static enum rc look_at_chunk(struct audit_pending *p, size_t chunk, unsigned size,
                             const struct look *look)
{
    for (size_t i = CHUNK / SIZES[size].bytes; i-- > 0;) {
        struct audit_slot *slot = slot_at(p, chunk, size, i);
        if (waits(slot, size, look)) {
            TRY(keep_recovered(p, slot));
            continue;
        }
        if (atomic_load_explicit(&slot->state, memory_order_relaxed) != FREE) {
            slot->size = size;
            wipe(slot);
        }
        atomic_store_explicit(&slot->state, FREE, memory_order_relaxed);
        push_free(p, size, slot);
    }
    return RC_OK;
}

static int by_order(const void *a, const void *b)
{
    const struct audit_slot *const *left = a, *const *right = b;

    return (*left)->order < (*right)->order ? -1 : (*left)->order > (*right)->order;
}

static enum rc look_at_all(struct audit_pending *p, const struct look *look)
{
    for (size_t i = 0; i < p->chunks; i++)
        TRY(look_at_chunk(p, i, header_of(p)->sizes[i] - 1u, look));
    if (p->recovered_count > 0)
        qsort(p->recovered, p->recovered_count, sizeof(void *), by_order);
    for (size_t i = 0; i < p->recovered_count; i++) {
        p->recovered[i]->order = i;
        audit_slot_promise(p->recovered[i], 0);
        atomic_store_explicit(&p->recovered[i]->state, READY, memory_order_release);
    }
    p->used = p->recovered_count;
    for (size_t i = 0; i < p->recovered_count; i++)
        p->octets += SIZES[p->recovered[i]->size].bytes;
    atomic_init(&p->order, p->recovered_count);
    look->found->recovered = p->recovered_count;
    return RC_OK;
}

struct audit_slot *audit_pending_recovered(struct audit_pending *pending)
{
    return pending->next < pending->recovered_count ? pending->recovered[pending->next++]
                                                    : NULL;
}

/* ---- Opening ---- */

/* The greatest number of whole chunks of a known class, and nothing in between that is not. */
static void find_chunks(struct audit_pending *p, size_t file_bytes)
{
    size_t whole = (file_bytes - HEADER_BYTES) / CHUNK;

    while (p->chunks < whole && p->chunks < CHUNKS_MOST && header_of(p)->sizes[p->chunks] > 0 &&
           header_of(p)->sizes[p->chunks] <= CLASSES)
        p->chunks++;
}

static enum rc map_file(struct audit_pending *p, size_t file_bytes, size_t bytes_most)
{
    size_t wanted = bytes_most > file_bytes ? bytes_most : file_bytes;

    p->chunks_most = wanted > HEADER_BYTES ? (wanted - HEADER_BYTES) / CHUNK : 0;
    if (p->chunks_most > CHUNKS_MOST)
        p->chunks_most = CHUNKS_MOST;
    p->map_bytes = HEADER_BYTES + p->chunks_most * CHUNK;
    void *map = mmap(NULL, p->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
    if (map == MAP_FAILED)
        return fault_errno("map the file of records on their way");
    p->map = map;
    return RC_OK;
}

static enum rc open_file(struct audit_pending *p, int dir, size_t *bytes)
{
    struct stat file;

    p->fd = openat(dir, NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (p->fd < 0 || fstat(p->fd, &file) != 0)
        return fault_errno("open the file of records on their way");
    *bytes = (size_t)file.st_size;
    if (*bytes >= HEADER_BYTES)
        return RC_OK;
    TRY(write_zeros(p->fd, 0, HEADER_BYTES)); /* new, or killed while it was made */
    *bytes = HEADER_BYTES;
    return RC_OK;
}

static enum rc which_boot(const struct audit_pending_setup *setup,
                          uint8_t boot[AUDIT_PENDING_BOOT])
{
    AUTO_BUF(told, 64);

    if (setup->boot.len == 0)
        TRY(file_read(AT_FDCWD, BOOT_ID, &told));
    struct bytes id = setup->boot.len > 0 ? setup->boot : buf_bytes(&told);
    if (id.len < AUDIT_PENDING_BOOT)
        return fault(RC_IO, "%s: %zu octets", BOOT_ID, id.len);
    memcpy(boot, id.at, AUDIT_PENDING_BOOT);
    return RC_OK;
}

static enum rc find_all(struct audit_pending *p, const struct audit_pending_setup *setup,
                        size_t file_bytes, struct audit_pending_found *found)
{
    static const uint8_t NONE[sizeof MAGIC];
    struct header *header = header_of(p);
    uint8_t boot[AUDIT_PENDING_BOOT];
    struct bytes spool = { setup->spool, AUDIT_SPOOL_ID };
    bool is_new = bytes_equal(BYTES_OF(header->magic), BYTES_OF(NONE));

    if (!is_new && !bytes_equal(BYTES_OF(header->magic), BYTES_OF(MAGIC)))
        return fault(RC_CORRUPT, "%s: not a file of records on their way", NAME);
    TRY(which_boot(setup, boot));
    const struct look look = { setup, found,
                               !bytes_equal(BYTES_OF(header->boot), BYTES_OF(boot)) ||
                                   !bytes_equal(BYTES_OF(header->spool), spool) };
    found->killed = !is_new && header->closed == 0;
    if (!is_new)
        find_chunks(p, file_bytes);
    TRY(look_at_all(p, &look));
    memcpy(header->boot, boot, sizeof boot);
    memcpy(header->spool, spool.at, spool.len);
    header->closed = 0;
    atomic_signal_fence(memory_order_release);
    memcpy(header->magic, MAGIC, sizeof MAGIC);
    return RC_OK;
}

enum rc audit_pending_open(const struct audit_pending_setup *setup,
                           struct audit_pending **pending, struct audit_pending_found *found)
{
    AUTO_OF(audit_pending) *made = calloc(1, sizeof *made);
    struct audit_pending_found told = { 0 };
    size_t bytes = 0;

    if (made == NULL)
        return fault(RC_NOMEM, "records on their way");
    made->fd = -1;
    pthread_mutex_init(&made->lock, NULL);
    TRY(open_file(made, setup->dir, &bytes));
    TRY(map_file(made, bytes, setup->bytes_most));
    TRY(find_all(made, setup, bytes, &told));
    made->open = true;
    *found = told;
    *pending = TAKE(made);
    return RC_OK;
}

void audit_pending_close(struct audit_pending *pending)
{
    if (pending == NULL)
        return;
    if (pending->open)
        header_of(pending)->closed = 1;
    if (pending->map != NULL)
        munmap(pending->map, pending->map_bytes);
    own_close(&pending->fd);
    pthread_mutex_destroy(&pending->lock);
    free(pending->recovered);
    free(pending);
}
