/* arena.c: blocks of doubling size; the newest is the one that is filled. */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK = 4096, BLOCK_MAX = 256 * 1024 };

void arena_init(struct arena *arena, size_t max) {
    *arena = (struct arena){.max = max};
}

static void free_blocks(struct arena_block *block) {
    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_fini(struct arena *arena) {
    free_blocks(arena->first);
    arena_init(arena, arena->max);
}

void arena_reset(struct arena *arena) {
    if (!arena->first)
        return;
    free_blocks(arena->first->next);
    arena->first->next = NULL;
    arena->first->used = 0;
    arena->current = arena->first;
    arena->total = arena->first->cap;
}

static struct arena_block *add_block(struct arena *arena, size_t need) {
    size_t cap = arena->current ? arena->current->cap * 2 : FIRST_BLOCK;
    if (cap > BLOCK_MAX)
        cap = BLOCK_MAX;
    if (cap < need)
        cap = need;
    if (cap > arena->max || arena->total > arena->max - cap)
        return NULL;
    struct arena_block *block = malloc(sizeof(*block) + cap);
    if (!block)
        return NULL;
    *block = (struct arena_block){.cap = cap};
    if (arena->current)
        arena->current->next = block;
    else
        arena->first = block;
    arena->current = block;
    arena->total += cap;
    return block;
}

void *arena_more(struct arena *arena, size_t n) {
    struct arena_block *block = add_block(arena, n);
    if (!block)
        return NULL;
    block->used = n;
    return block->data;
}

char *arena_extend(struct arena *arena, char *p, size_t n, size_t more) {
    struct arena_block *block = arena->current;
    if (p + n == block->data + block->used &&
        more <= block->cap - block->used) {
        block->used += more;
        return p;
    }
    char *q = arena_chars(arena, 2 * (n + more));
    if (!q)
        return NULL;
    arena->current->used -= n + more; /* room to grow in place next time */
    memcpy(q, p, n);
    return q;
}
