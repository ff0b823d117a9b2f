/*
 * arena.h: memory that is taken piece by piece and given back all at once.
 * What belongs to one stanza lives in one arena and dies with it.
 */
#ifndef TERSE_ARENA_H
#define TERSE_ARENA_H

#include <stddef.h>

struct arena_block;

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
/* n bytes aligned for any object, not initialised; NULL if there is no memory
 * or the cap is reached. */
void *arena_alloc(struct arena *arena, size_t n);
/* n bytes of characters, not aligned; else the same. */
char *arena_chars(struct arena *arena, size_t n);
/* Grows the characters that were taken last, `p` of n bytes, by `more`. NULL as
 * above; p stays valid then. */
char *arena_extend(struct arena *arena, char *p, size_t n, size_t more);

#endif
