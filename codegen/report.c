#include "codegen/report.h"

void report_add(struct report *r, struct place at, const char *format, ...) {
    va_list args;
    text_printf(&r->lines, "%s%s:%d: ", r->n ? "\n" : "", at.file, at.line);
    va_start(args, format);
    text_vprintf(&r->lines, format, args);
    va_end(args);
    r->n++;
}
