/*
 * limits.h: rates, and what is counted per address. No I/O and no clock: the
 * caller says what time it is, in microseconds of any clock that only grows.
 */
#ifndef PROXY_LIMITS_H
#define PROXY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- a rate -----------------------------------------------------------------
 */

/* A bucket that refills at `rate` per second and holds `burst`: the time at
 * which it is full again is all there is to know. 0: full. */
struct bucket {
    uint64_t full_at;
};

/* Takes n out, if need be more than is in it. Returns how many microseconds
 * pass until nothing is owed any more; 0: it was there. */
uint64_t bucket_spend(struct bucket *bucket, uint64_t now, uint64_t n,
                      uint32_t rate, uint32_t burst);
/* Takes one out, if it is there. */
bool bucket_take(struct bucket *bucket, uint64_t now, uint32_t rate,
                 uint32_t burst);
/* Whether it is full: nothing was taken for long enough. */
bool bucket_full(const struct bucket *bucket, uint64_t now);

/* ---- addresses
 * --------------------------------------------------------------- */

/* How many connections there are from each address, and how fast they come. An
 * IPv6 address counts with all of its /64: that is what one subscriber gets.
 * An entry goes when it has no connection and a full bucket. */
struct addresses;

/* NULL for lack of memory. */
struct addresses *addresses_new(void);
void addresses_free(struct addresses *addresses); /* NULL is fine */

enum admission {
    ADMIT_YES,
    ADMIT_TOO_MANY, /* connections from there */
    ADMIT_TOO_FAST, /* new connections from there */
    ADMIT_ENOMEM
};

/* Counts one more connection from `peer` (as net_stream_peer has it), unless
 * that would be more than `most`, or faster than `rate` per second with ten
 * times as many at once. */
enum admission addresses_enter(struct addresses *addresses, const char *peer,
                               uint64_t now, uint32_t most, uint32_t rate);
/* It has gone. */
void addresses_leave(struct addresses *addresses, const char *peer,
                     uint64_t now);
/* Entries, for tests. */
size_t addresses_count(const struct addresses *addresses);

#endif
