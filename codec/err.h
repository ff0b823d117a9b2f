/* err.h: filling a terse_error. The first error of a translation is kept. */
#ifndef TERSE_ERR_H
#define TERSE_ERR_H

#include "terse.h"

/* Fills *error, if not NULL and still TERSE_OK, and returns code. The text is a
 * sentence without content of the stanza. */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
enum terse_err
err_set(struct terse_error *error, enum terse_err code, size_t offset,
        const char *fmt, ...);

/* Puts `name` in front of error->path. */
void err_path(struct terse_error *error, struct terse_str name);

#endif
