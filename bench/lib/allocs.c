/* allocs.c: see allocs.h. Owned blocks are in a hash table by address; with no
 * block owned, all that is added to malloc is one counter. */
#include "allocs.h"

#include <errno.h>
#include <stdint.h>

/* glibc's own, which stay there when malloc is replaced. */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void __libc_free(void *p);

enum { TABLE = 1 << 16 };

struct block {
    void *p; /* NULL: free */
    size_t n;
    unsigned owner;
};

static struct block blocks[TABLE];
static unsigned long calls;
static unsigned owner_now;
static size_t used; /* entries that are not NULL */
static size_t bytes[ALLOCS_OWNERS];
static bool lost;

unsigned long allocs_calls(void) { return calls; }
void allocs_own(unsigned owner) { owner_now = owner; }
size_t allocs_bytes(unsigned owner) { return bytes[owner]; }
bool allocs_lost(void) { return lost; }

static size_t slot_of(const void *p) {
    uint64_t h = (uint64_t)(uintptr_t)p * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> 48) % TABLE;
}

static struct block *find(const void *p) {
    size_t i = slot_of(p);
    while (blocks[i].p && blocks[i].p != p)
        i = (i + 1) % TABLE;
    return blocks[i].p ? &blocks[i] : NULL;
}

static void add(void *p, size_t n, unsigned owner) {
    if (!p || owner == 0)
        return;
    if (used >= TABLE / 2) {
        lost = true;
        return;
    }
    size_t i = slot_of(p);
    while (blocks[i].p)
        i = (i + 1) % TABLE;
    used++;
    blocks[i] = (struct block){p, n, owner};
    bytes[owner] += n;
}

/* Takes entry i out; those behind it that were put off move up, so that the
 * table holds what is there and nothing of what was, however many come and
 * go. */
static void take_out(size_t i) {
    for (size_t j = (i + 1) % TABLE; blocks[j].p; j = (j + 1) % TABLE) {
        if ((j - slot_of(blocks[j].p)) % TABLE < (j - i) % TABLE)
            continue;
        blocks[i] = blocks[j];
        i = j;
    }
    blocks[i].p = NULL;
    used--;
}

/* Returns who owned p. */
static unsigned forget(const void *p) {
    struct block *b = used > 0 && p ? find(p) : NULL;
    if (!b)
        return 0;
    unsigned owner = b->owner;
    bytes[owner] -= b->n;
    take_out((size_t)(b - blocks));
    return owner;
}

void *malloc(size_t n) {
    void *p = __libc_malloc(n);
    calls++;
    add(p, n, owner_now);
    return p;
}

void *calloc(size_t n, size_t size) {
    void *p = __libc_calloc(n, size); /* NULL where n * size overflows */
    calls++;
    add(p, n * size, owner_now);
    return p;
}

void *realloc(void *p, size_t n) {
    unsigned owner = p ? forget(p) : owner_now;
    void *q = __libc_realloc(p, n);
    calls++;
    add(q, n, owner);
    return q;
}

void free(void *p) {
    int saved = errno; /* as glibc's own keeps it */
    forget(p);
    __libc_free(p);
    errno = saved;
}
