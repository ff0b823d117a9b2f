/*
 * arena.h: memory that is taken piece by piece and given back all at once.
 * What belongs to one stanza lives in one arena and dies with it.
 */
#ifndef TERSE_ARENA_H
#define TERSE_ARENA_H

#include <stdalign.h>
#include <stddef.h>

struct arena_block {
    struct arena_block *next;
    size_t cap, used;
    alignas(max_align_t) char data[];
};

struct arena {
    struct arena_block *first, *current;
    size_t total; /* bytes of all blocks */
    size_t max;   /* total never exceeds it */
};

/* Starts empty; allocates nothing yet. */
void arena_init(struct arena *arena, size_t max);
/* Frees all of it. */
void arena_fini(struct arena *arena);
/* Gives everything back; keeps the first block for the next stanza. */
void arena_reset(struct arena *arena);
/* What the two below do where the block that is filled has no room. */
void *arena_more(struct arena *arena, size_t n);

static inline void *arena_take(struct arena *arena, size_t n, size_t align) {
    struct arena_block *block = arena->current;
    size_t at = block ? (block->used + align - 1) & ~(align - 1) : 0;
    if (!block || at > block->cap || n > block->cap - at)
        return arena_more(arena, n);
    block->used = at + n;
    return block->data + at;
}

/* n bytes aligned for any object, not initialised; NULL if there is no memory
 * or the cap is reached. */
static inline void *arena_alloc(struct arena *arena, size_t n) {
    return arena_take(arena, n, alignof(max_align_t));
}

/* n bytes of characters, not aligned; else the same. */
static inline char *arena_chars(struct arena *arena, size_t n) {
    return (char *)arena_take(arena, n, 1);
}
/* Grows the characters that were taken last, `p` of n bytes, by `more`. NULL as
 * above; p stays valid then. */
char *arena_extend(struct arena *arena, char *p, size_t n, size_t more);

#endif
