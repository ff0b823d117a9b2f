/* err.h: filling a terse_error. The first error of a translation is kept. */
#ifndef TERSE_ERR_H
#define TERSE_ERR_H

#include "terse.h"

/* Makes *error, if not NULL, TERSE_OK. Its strings are half a kilobyte. */
static inline void err_clear(struct terse_error *error) {
    if (!error)
        return;
    error->code = TERSE_OK;
    error->offset = 0;
    error->path[0] = error->text[0] = '\0';
}

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
