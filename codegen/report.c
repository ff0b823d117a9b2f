#include "codegen/report.h"

void report_add(struct report *r, struct place at, const char *format, ...) {
    va_list args;
    /* protoc puts a heading before the first: have it on a line of its own. */
    text_printf(&r->lines, "\n%s:%d: ", at.file, at.line);
    va_start(args, format);
    text_vprintf(&r->lines, format, args);
    va_end(args);
    r->n++;
}
