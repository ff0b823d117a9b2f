/*
 * top.h: which fields the bytes of many frames go to.
 */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include "codec/terse.h"

#include <stdio.h>

struct top;

/* NULL where there is no memory. */
struct top *top_new(void);
void top_free(struct top *top); /* NULL is fine */
/* Adds one frame of n bytes. TERSE_EFRAME where it is none. */
TERSE_NODISCARD enum terse_err top_add(struct top *top, const void *p,
                                       size_t n);
/* Prints a table, the field with most bytes first. */
void top_print(struct top *top, FILE *out);

#endif
