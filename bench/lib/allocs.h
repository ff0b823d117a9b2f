/*
 * allocs.h: counts what a program asks of malloc, its shared libraries
 * included: allocs.c takes malloc's place. For one thread.
 */
#ifndef BENCH_ALLOCS_H
#define BENCH_ALLOCS_H

#include <stdbool.h>
#include <stddef.h>

/* Calls of malloc, calloc and realloc so far. */
unsigned long allocs_calls(void);

/* From now on the blocks that are asked for belong to `owner`, 1 or more, until
 * it is freed by whomever; 0: to nobody. A block keeps its owner in realloc. */
enum { ALLOCS_OWNERS = 4 };
void allocs_own(unsigned owner);

/* Bytes that owner asked for and that are not freed. */
size_t allocs_bytes(unsigned owner);

/* Whether there were more blocks than could be followed. */
bool allocs_lost(void);

#endif
