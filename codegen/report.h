/* report.h: what is wrong with the schemas, one line each. */
#ifndef TERSE_CODEGEN_REPORT_H
#define TERSE_CODEGEN_REPORT_H

#include <stddef.h>

#include "codegen/text.h"

/* Where something stands in a schema; line counts from 1, 0 is unknown. */
struct place {
    const char *file;
    int line;
};

struct report {
    struct text lines; /* "file:line: what, fix" */
    size_t n;
};

/* Adds one line; `format` says what is wrong and how to mend it. */
__attribute__((format(printf, 3, 4))) void
report_add(struct report *r, struct place at, const char *format, ...);

#endif
