#include "codegen/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p) {
    if (p)
        return p;
    fputs("protoc-gen-terse: out of memory\n", stderr);
    exit(1);
}

void *mem_new(size_t n, size_t size) {
    return checked(calloc(n ? n : 1, size));
}

void *mem_grow(void *array, size_t n, size_t size) {
    if ((n & (n - 1)) == 0) /* full at each power of two: double it */
        array = checked(reallocarray(array, n ? n * 2 : 1, size));
    memset((char *)array + n * size, 0, size);
    return array;
}

void text_add_n(struct text *t, const void *p, size_t n) {
    if (n >= SIZE_MAX / 2 - t->len)
        checked(NULL);
    if (t->len + n + 1 > t->cap) {
        t->cap = (t->len + n + 1) * 2;
        t->data = checked(realloc(t->data, t->cap));
    }
    if (n)
        memcpy(t->data + t->len, p, n);
    t->len += n;
    t->data[t->len] = '\0';
}

void text_add(struct text *t, const char *s) { text_add_n(t, s, strlen(s)); }

void text_vprintf(struct text *t, const char *format, va_list args) {
    char *s = NULL;
    if (vasprintf(&s, format, args) < 0)
        checked(NULL);
    text_add(t, s);
    free(s);
}

void text_printf(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    text_vprintf(t, format, args);
    va_end(args);
}

void text_add_escaped(struct text *t, const char *s) {
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            text_printf(t, "\\%c", c);
        else if (c >= ' ' && c < 0x7f)
            text_add_n(t, s, 1);
        else
            text_printf(t, "\\%03o", c);
    }
}

void text_add_literal(struct text *t, const char *s) {
    if (!s) {
        text_add(t, "NULL");
        return;
    }
    text_add(t, "\"");
    text_add_escaped(t, s);
    text_add(t, "\"");
}

char *text_format(const char *format, ...) {
    struct text t = {0};
    va_list args;
    va_start(args, format);
    text_add(&t, "");
    text_vprintf(&t, format, args);
    va_end(args);
    return t.data;
}
