/*
 * text.h: growing text, and memory for a program that runs once: what is
 * allocated here lives until the process ends, and running out of memory ends
 * it with a message.
 */
#ifndef TERSE_CODEGEN_TEXT_H
#define TERSE_CODEGEN_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory for n things of this size. */
void *mem_new(size_t n, size_t size);
/* `array` of n things, with room for one more, zeroed. It may have moved. */
void *mem_grow(void *array, size_t n, size_t size);
/* Appends a zeroed thing to `array`, counts it in n and points to it. */
#define MEM_PUSH(array, n)                                                     \
    ((array) = mem_grow((array), (n), sizeof(*(array))), &(array)[(n)++])

struct text {
    char *data; /* terminated, once something was added */
    size_t len, cap;
};

void text_add(struct text *t, const char *s);
void text_add_n(struct text *t, const void *p, size_t n);
__attribute__((format(printf, 2, 3))) void text_printf(struct text *t,
                                                       const char *format, ...);
void text_vprintf(struct text *t, const char *format, va_list args);
/* Adds `s` as a C string literal, quotes included; "NULL" for NULL. */
void text_add_literal(struct text *t, const char *s);
/* Adds `s` with what is not printable ASCII escaped: fit for a comment. */
void text_add_escaped(struct text *t, const char *s);

/* A new string, printf style. */
__attribute__((format(printf, 1, 2))) char *text_format(const char *format,
                                                        ...);

#endif
