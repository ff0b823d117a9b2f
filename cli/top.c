/*
 * top.c: see top.h. Bytes are counted where they are spent: a field of a
 * message type counts its tag and length, what is in it counts there.
 */
#include "top.h"

#include "pbwire.h"

#include <stdlib.h>
#include <string.h>
#include <terse.pb-c.h>

/* Rows printed; Protobuf's own recursion limit. */
enum { TOP_ROWS = 50, DEPTH_MAX = 100 };

struct row {
    const ProtobufCMessageDescriptor *type;
    const ProtobufCFieldDescriptor *field;
    uint64_t bytes;
    unsigned long times;
};

struct top {
    struct row *rows;
    size_t n, cap;
    uint64_t bytes;         /* of all frames */
    uint64_t generic;       /* of elements that no schema names */
    unsigned long generics; /* how many those are, outermost ones only */
    unsigned long frames;
};

struct top *top_new(void) {
    return calloc(1, sizeof(struct top));
}

void top_free(struct top *top) {
    if (top)
        free(top->rows);
    free(top);
}

/* The row of a field, made where it is new; NULL without memory. */
static struct row *row_of(struct top *top,
                          const ProtobufCMessageDescriptor *type,
                          const ProtobufCFieldDescriptor *field) {
    for (size_t i = 0; i < top->n; i++)
        if (top->rows[i].field == field && top->rows[i].type == type)
            return &top->rows[i];
    if (top->n == top->cap) {
        size_t cap = top->cap ? top->cap * 2 : 256;
        struct row *rows = realloc(top->rows, cap * sizeof(*rows));
        if (!rows)
            return NULL;
        top->rows = rows;
        top->cap = cap;
    }
    top->rows[top->n] = (struct row){.type = type, .field = field};
    return &top->rows[top->n++];
}

/* Whether this Element spells out its own name. */
static bool is_generic(struct pbwire in) {
    struct pbwire_field field;
    while (in.p < in.end && pbwire_next(&in, &field))
        if (field.number == 1 || field.number == 2)
            return true;
    return false;
}

static enum terse_err add_message(struct top *top,
                                  const ProtobufCMessageDescriptor *type,
                                  struct pbwire in, unsigned depth,
                                  bool generic) {
    struct pbwire_field field;
    if (depth > DEPTH_MAX)
        return TERSE_ELIMIT;
    while (in.p < in.end) {
        if (!pbwire_next(&in, &field))
            return TERSE_EFRAME;
        const ProtobufCFieldDescriptor *known =
            protobuf_c_message_descriptor_get_field(type, field.number);
        if (!known)
            return TERSE_EFRAME;
        struct row *row = row_of(top, type, known);
        if (!row)
            return TERSE_ENOMEM;
        row->times++;
        row->bytes += field.size;
        if (known->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        row->bytes -= field.value;
        bool start = !generic &&
                     known->descriptor == &terse__element__descriptor &&
                     is_generic(field.bytes);
        top->generics += start;
        top->generic += start ? field.size : 0;
        enum terse_err err = add_message(top, known->descriptor, field.bytes,
                                         depth + 1, generic || start);
        if (err != TERSE_OK)
            return err;
    }
    return TERSE_OK;
}

enum terse_err top_add(struct top *top, const void *p, size_t n) {
    top->bytes += n;
    top->frames++;
    return add_message(top, &terse__frame__descriptor, pbwire_start(p, n), 0,
                       false);
}

static int by_bytes(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

void top_print(struct top *top, FILE *out) {
    double all = top->bytes ? (double)top->bytes : 1;
    if (top->n)
        qsort(top->rows, top->n, sizeof(*top->rows), by_bytes);
    fprintf(out, "\n%-40s %9s %7s %8s %9s\n", "field (tag, length, value)",
            "bytes", "share", "times", "bytes/1");
    for (size_t i = 0; i < top->n && i < TOP_ROWS; i++) {
        const struct row *row = &top->rows[i];
        char name[128];
        snprintf(name, sizeof(name), "%s.%s", row->type->short_name,
                 row->field->name);
        fprintf(out, "%-40s %9llu %6.2f%% %8lu %9.1f\n", name,
                (unsigned long long)row->bytes, 100 * (double)row->bytes / all,
                row->times, (double)row->bytes / (double)row->times);
    }
    fprintf(out,
            "%lu elements that no schema names, in %lu frames: %llu of %llu "
            "bytes, %.2f%%\n",
            top->generics, top->frames, (unsigned long long)top->generic,
            (unsigned long long)top->bytes, 100 * (double)top->generic / all);
}
